"""Latents of areas that a session did not record: they start as the other sessions know them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RIDGE = 1e-2  # of the mean variance of what predicts
Array = NDArray[np.float64]


@dataclass(frozen=True)
class SessionLatents:
    """Latents of a session's training trials in the common basis, zeros where nothing shows them."""

    scores: Array  # (trial, time, latent)
    inside: NDArray[np.bool_]  # (trial, time)
    shown: NDArray[np.bool_]  # (latent,) False where the session has no unit of the latent's area

    def steps(self) -> Array:
        """Changes from bin to bin, (step, latent)."""
        return np.diff(self.scores, axis=1)[self.inside[:, 1:] & self.inside[:, :-1]]

    def everywhere(self) -> Array:
        """All bins, (bin, latent)."""
        return self.scores[self.inside]

    def starts(self) -> Array:
        """First bins, (trial, latent)."""
        return self.scores[:, 0]


def over_sessions(
    sessions: Sequence[SessionLatents],
    rows_of: Callable[[SessionLatents], Array],
    statistic: Callable[..., Array],
) -> Array:
    """A statistic of each latent, (latent,), over the sessions that show it; over all where none does."""
    rows = [rows_of(each) for each in sessions]
    found = statistic(np.concatenate(rows), axis=0)
    for latent in np.flatnonzero(~np.all([each.shown for each in sessions], axis=0)):
        known = [part[:, latent] for part, each in zip(rows, sessions, strict=True) if each.shown[latent]]
        if known:
            found[latent] = statistic(np.concatenate(known), axis=0)
    return found


def paths_to_missing(sessions: Sequence[SessionLatents]) -> dict[int, Array]:
    """By session that lacks areas: weights (latent, latent) from the latents that it shows to those that it does not.

    Ridge regression over the sessions that show both. Left out where there is none.
    """
    found = {}
    for index, session in enumerate(sessions):
        told, missing = np.flatnonzero(session.shown), np.flatnonzero(~session.shown)
        both = [each for each in sessions if missing.size and each.shown.all()]
        if told.size and both:
            rows = np.concatenate([each.scores[each.inside] for each in both])
            gram = rows[:, told].T @ rows[:, told]
            penalty = _RIDGE * np.trace(gram) / told.size * np.eye(told.size)
            weights = np.zeros((session.shown.size,) * 2)
            weights[np.ix_(told, missing)] = np.linalg.solve(gram + penalty, rows[:, told].T @ rows[:, missing])
            found[index] = weights
    return found
