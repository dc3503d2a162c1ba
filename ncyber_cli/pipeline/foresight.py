"""How well a run foretells the body of each trial from a few starts, with its objective and with others in its place.

Nothing recorded after a start enters, and nothing is fitted to the trials that are scored. The arms:

    objective   the inferred objective, frozen: what a goal is for
    none        the same loop pursuing the mean of the objective's prior
    shuffled    the same loop pursuing what was inferred in another trial of the animal
    behavior    as `objective`, inferred from behaviour alone
    motion      no loop at all: a linear forecast from where the body was and how it moved
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.data.recording import TEST, TRAIN, VALIDATION, Session
from ncyber_cli.inference.forecast import Outset, forecast_body, outset
from ncyber_cli.inference.posterior import Sources
from ncyber_cli.outputs.metrics import Examples, fit_ridge
from ncyber_cli.outputs.metrics.entries import scored_rows
from ncyber_cli.pipeline.open_run import OpenRun, TrialBatch, trial_batches

# Shares of a trial that are over when a forecast begins. Later starts meet a body that has arrived and rests: nothing
# is left to foretell, and millimetres between forecasts of rest would count as much as the reach.
STARTS = (0.2, 0.35, 0.5)
HORIZON_S = 1.0  # how far it goes, where the trial is that long
SAMPLES, SHUFFLES, SEED = 8, 4, 0
_TRIALS = 128  # at once
_PAST_BINS = (0, 1, 3, 7)  # before the start, what `motion` is told of the body
Errors = NDArray[np.float64]  # (trial, start, horizon, n_body): forecast less recorded, NaN where nothing is recorded


@dataclass(frozen=True)
class Foresight:
    """Errors of every arm on the scored trials of a session and on the trials that set the spread of its density.

    `shuffled` has as many errors as there were shuffles; the other arms have one.
    """

    scored: dict[str, list[Errors]]
    setting: dict[str, list[Errors]]


def foresee(run: OpenRun, session: Session, arms: Sequence[str]) -> Foresight:
    """Forecasts of one session's test trials; validation trials, or training trials without them, set the spread."""
    scored, setting = np.flatnonzero(session.split == TEST), np.flatnonzero(session.split == VALIDATION)
    if not len(setting):
        setting = np.flatnonzero(session.split == TRAIN)
    found = [_errors(run, session, trials, arms) for trials in (scored, setting)]
    return Foresight(*found)


def horizon_bins(bin_s: float) -> int:
    return max(1, round(HORIZON_S / bin_s))


def motion_forecast(session: Session, horizon: int) -> Errors:
    """Errors of a ridge from the body's recent past, (trial, start, horizon, n_body), for every trial.

    One map a horizon for all times: the body moves by laws of its own, and these are the best linear ones.
    """
    start = start_bins(session)
    truth = recorded_after(session, start, horizon)
    here = _past(session, start)
    every = np.broadcast_to(np.arange(session.mask.shape[1]), session.mask.shape)
    future, past = recorded_after(session, every, horizon), _past(session, every)
    training, choosing = (session.split == part for part in (TRAIN, VALIDATION))
    choosing = choosing if choosing.any() else training
    forecast = np.full_like(truth, np.nan)
    for step in range(horizon):
        teach, choose = (Examples(past[part], future[part, :, step]) for part in (training, choosing))
        if _rows(teach) > past.shape[2] and _rows(choose):
            forecast[:, :, step] = fit_ridge(teach, choose)(here)
    return forecast - truth


def _past(session: Session, start: NDArray[np.int64]) -> Errors:
    """The body in and before bins (trial, start) as (trial, start, feature)."""
    trial = np.arange(len(start))[:, None]
    return np.concatenate([session.body[trial, np.maximum(start - lag, 0)] for lag in _PAST_BINS], -1).astype(
        np.float64
    )


def _rows(examples: Examples) -> int:
    return len(scored_rows(None, examples.inputs, examples.targets)[0])


def start_bins(session: Session) -> NDArray[np.int64]:
    """The last bin before each forecast, (trial, start)."""
    length = session.mask.sum(1)
    last: NDArray[np.int64] = np.round(length[:, None] * np.array(STARTS)).astype(np.int64) - 1
    return np.asarray(np.maximum(last, 0))


def recorded_after(session: Session, start: NDArray[np.int64], horizon: int) -> Errors:
    """The recorded body in the bins after each start, (trial, start, horizon, n_body); NaN where there is none."""
    index = start[:, :, None] + 1 + np.arange(horizon)
    inside = index < session.mask.sum(1)[:, None, None]
    trial = np.arange(len(start))[:, None, None]
    body = session.body[trial, np.minimum(index, session.mask.shape[1] - 1)].astype(np.float64)
    begun = np.asarray(np.isfinite(session.body[trial[..., 0], start]).all(-1))
    return np.where((inside & begun[:, :, None])[..., None], body, np.nan)


def _errors(run: OpenRun, session: Session, trials: NDArray[np.int64], arms: Sequence[str]) -> dict[str, list[Errors]]:
    horizon, start = horizon_bins(session.bin_s), start_bins(session)
    truth = recorded_after(session, start, horizon)[trials]
    forecasts: dict[str, list[list[Errors]]] = {}
    for some in trial_batches(run, session, trials, _TRIALS):
        of_arm: dict[str, list[list[Errors]]] = {}
        for bins in start[some.trials].T:
            for arm, repeats in _forecasts(run, some, bins, arms, horizon).items():
                of_arm.setdefault(arm, []).append(repeats)
        for arm, by_start in of_arm.items():
            stacked = [np.stack(repeat, axis=1) for repeat in zip(*by_start, strict=True)]
            forecasts.setdefault(arm, []).append(stacked)
    found = {
        arm: [np.concatenate(repeat) - truth for repeat in zip(*batches, strict=True)]
        for arm, batches in forecasts.items()
    }
    return found | ({"motion": [motion_forecast(session, horizon)[trials]]} if "motion" in arms else {})


def _forecasts(
    run: OpenRun, some: TrialBatch, bins: NDArray[np.int64], arms: Sequence[str], horizon: int
) -> dict[str, list[Errors]]:
    """Bodies (trial, horizon, n_body) of one start, of every arm that has a loop."""
    prior = run.model.loop.objective
    assert prior is not None
    begin = _outset(run, some, bins, "both")
    own, found = begin.objective, {}
    if "objective" in arms:
        found["objective"] = [_forecast(run, begin, own, horizon)]
    if "none" in arms:
        found["none"] = [_forecast(run, begin, prior.mean.expand_as(own), horizon)]
    if "shuffled" in arms:
        others = range(1, 1 + min(SHUFFLES, max(1, len(own) - 1)))
        found["shuffled"] = [_forecast(run, begin, own.roll(by, 0), horizon) for by in others]
    if "behavior" in arms:
        blind = _outset(run, some, bins, "behavior")
        found["behavior"] = [_forecast(run, blind, blind.objective, horizon)]
    return found


def _outset(run: OpenRun, some: TrialBatch, bins: NDArray[np.int64], sources: Sources) -> Outset:
    at = torch.from_numpy(bins).to(run.device)
    return outset(run.model, some.batch, run.spec.inference, some.keys, at, sources=sources)


def _forecast(run: OpenRun, begin: Outset, objective: torch.Tensor, horizon: int) -> Errors:
    body = forecast_body(run.model, begin, objective, horizon, samples=SAMPLES, seed=SEED)
    return body.double().cpu().numpy()
