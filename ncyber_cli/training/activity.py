"""What a session's training trials look like before any model: smoothed activity and its principal components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ncyber_cli.data.recording import TRAIN, Session
from ncyber_cli.model.emission import Emission

_SMOOTHING_S = 0.05
_MOST_ENTRIES = 20_000_000  # of the activity that a start looks at; more trials add nothing to a start
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Activity:
    """Standardised, smoothed activity of a session's training trials, and the counts behind it."""

    trials: NDArray[np.int64]  # (trial,) their rows in the session
    observation: Array  # (trial, time, unit), NaN as missing
    smooth: Array  # (trial, time, unit), zeros as missing
    mean: Array  # (unit,)
    scale: Array  # (unit,)
    inside: NDArray[np.bool_]  # (trial, time)

    def of(self, rows: NDArray[np.int64]) -> Activity:
        """Of these trials alone."""
        timed = {name: getattr(self, name)[rows] for name in ("trials", "observation", "smooth", "inside")}
        return replace(self, **timed)


def log_linear_units(emission: Emission, sessions: Sequence[Session]) -> list[NDArray[np.bool_]]:
    """Which units of each session are log-linear, with a spread like that of counts, (unit,)."""
    table = emission.log_linear_units().cpu().numpy()
    return [row[: len(session.unit_id)] for row, session in zip(table, sessions, strict=True)]


def unit_area_index(unit_area: list[str], names: tuple[str, ...]) -> NDArray[np.int64]:
    """The area of each unit; with a single block every unit belongs to it whatever its label."""
    if len(names) == 1:
        return np.zeros(len(unit_area), np.int64)
    return np.array([names.index(area) for area in unit_area], np.int64)


def moments(observation: Array) -> tuple[Array, Array]:
    """Mean and variance of each unit over its recorded entries; zeros for a unit that has none."""
    there = ~np.isnan(observation)
    count = np.maximum(there.sum(axis=(0, 1)), 1)
    mean = np.where(there, observation, 0.0).sum(axis=(0, 1)) / count
    variance = np.square(np.where(there, observation - mean, 0.0)).sum(axis=(0, 1)) / count
    return mean, variance


def smoothed_activity(session: Session, log_linear: NDArray[np.bool_]) -> Activity:
    """Of training trials alone. Units are in units of their spread, `log_linear` ones in a Poisson unit's."""
    trials = np.flatnonzero(session.split == TRAIN)
    most = max(1, _MOST_ENTRIES // max(1, session.mask.shape[1] * len(session.unit_id)))
    trials = trials[:: max(1, -(-len(trials) // most))]
    inside = session.mask[trials]
    observation = np.where(inside[:, :, None], session.observation[trials], np.nan).astype(np.float64)
    mean, variance = moments(observation)
    spread = np.sqrt(np.where(log_linear, np.maximum(mean, 0), variance))
    scale = np.where(spread > 0, spread, 1.0)
    there = ~np.isnan(observation)
    standard = np.where(there, (observation - mean) / scale, 0.0)
    width = _SMOOTHING_S / session.bin_s
    if width > 0.3:  # bins wider than the kernel need no smoothing
        weight = gaussian_filter1d(there.astype(np.float64), width, axis=1, mode="constant")
        standard = gaussian_filter1d(standard, width, axis=1, mode="constant") / np.maximum(weight, 1e-3)
    return Activity(trials, observation, standard * inside[:, :, None], mean, scale, inside)


def principal_scores(activity: Activity, unit_areas: NDArray[np.int64], n_latent: tuple[int, ...]) -> Array:
    """Leading principal components of each area, unit variance, (trial, time, latent).

    Latents beyond an area's number of units are zeros.
    """
    rows = activity.smooth[activity.inside]
    columns = []
    for area, wanted in enumerate(n_latent):
        chosen = rows[:, unit_areas == area]
        got = min(wanted, chosen.shape[1])
        scores = np.zeros((len(rows), wanted))
        if got:
            _, vectors = np.linalg.eigh(chosen.T @ chosen)
            leading = vectors[:, ::-1][:, :got]
            leading = leading * np.sign(leading.sum(axis=0) + 1e-12)
            projected = chosen @ leading
            scores[:, :got] = projected / np.maximum(projected.std(axis=0), 1e-9)
        columns.append(scores)
    scattered = np.zeros((*activity.inside.shape, sum(n_latent)))
    scattered[activity.inside] = np.concatenate(columns, axis=1)
    return scattered
