"""Scores as a function of time: from an event (how early is it known), or of the horizon (how far is it foreseen)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.outputs.metrics.entries import Array, Mask
from ncyber_cli.outputs.metrics.variance import r2


@dataclass(frozen=True)
class TimeCourse:
    """A score at times from an event."""

    at_s: NDArray[np.float64]  # (offset,)
    r2: NDArray[np.float64]  # (offset,), NaN where no truth varies
    trials: NDArray[np.int64]  # (offset,) how many trials are behind each score


@dataclass(frozen=True)
class ForecastR2:
    """A forecast's score at each horizon 1..K, (horizon,), beside the nulls on the same entries."""

    model: NDArray[np.float64]
    persistence: NDArray[np.float64]  # the last recorded bin, held
    mean: NDArray[np.float64]  # the training mean


def bin_at(time_s: Array, event_s: Array, offset_s: float, *, bin_s: float, mask: Mask) -> NDArray[np.int64]:
    """Per trial, the last bin that has ended by `offset_s` after the event; -1 where there is none, (trial,).

    time_s (trial, time) is the centre of each bin. A bin that ended a whole bin earlier does not count: the trial
    was over, or had not begun.
    """
    # Times are sums of floats: a bin that ends on the offset has ended by it.
    tolerance = 1e-6 * bin_s
    end_s = time_s + bin_s / 2
    target_s = (event_s + offset_s)[:, None]
    eligible = mask & (end_s <= target_s + tolerance) & (end_s > target_s - bin_s + tolerance)
    last = eligible.shape[1] - 1 - np.argmax(eligible[:, ::-1], axis=1)
    return np.where(eligible.any(1), last, -1)


def objective_r2_by_time(
    truth: Array, estimate: Array, *, time_s: Array, event_s: Array, at_s: Array, bin_s: float, mask: Mask
) -> TimeCourse:
    """R2 over trials, raw and pooled over axes, of the objective at each time `at_s` from an event.

    truth, estimate (trial, time, feature); time_s, mask (trial, time); event_s (trial,), NaN where the trial
    has no such event. "go + 0.1 s" is the last bin ending by then, so a causal estimate saw nothing later.
    """
    scores, trials = [], []
    for offset_s in at_s:
        bins = bin_at(time_s, event_s, float(offset_s), bin_s=bin_s, mask=mask)
        rows = np.flatnonzero((bins >= 0) & ~np.isnan(event_s))
        rows = rows[~np.isnan(truth[rows, bins[rows]]).any(-1)]
        scores.append(r2(truth[rows, bins[rows]][:, None], estimate[rows, bins[rows]][:, None]))
        trials.append(len(rows))
    return TimeCourse(np.asarray(at_s, np.float64), np.array(scores), np.array(trials, np.int64))


def forecast_r2(
    truth: Array, forecast: Array, *, last_seen: int, training_mean: Array, mask: Mask | None = None
) -> ForecastR2:
    """R2 of a forecast at each horizon, pooled over features, against persistence and mean nulls.

    truth (trial, time, feature), bins up to `last_seen` were given; forecast (trial, K, feature) is for bins
    last_seen + 1 ... last_seen + K; training_mean (feature,). Entries whose last seen value is missing are not
    scored for any of the three, so that all have the same denominator.
    """
    truth = np.asarray(truth, np.float64)
    held = truth[:, last_seen : last_seen + 1]
    if mask is not None:
        held = np.where(mask[:, last_seen : last_seen + 1, None], held, np.nan)
    scores: dict[str, list[float]] = {"model": [], "persistence": [], "mean": []}
    for step in range(forecast.shape[1]):
        place = slice(last_seen + 1 + step, last_seen + 2 + step)
        target = np.where(np.isnan(held), np.nan, truth[:, place])
        at = None if mask is None else mask[:, place]
        known = np.nan_to_num(held)
        scores["model"].append(r2(target, forecast[:, step : step + 1], at))
        scores["persistence"].append(r2(target, known, at))
        scores["mean"].append(r2(target, np.broadcast_to(training_mean, target.shape), at))
    return ForecastR2(*(np.array(scores[name]) for name in ("model", "persistence", "mean")))
