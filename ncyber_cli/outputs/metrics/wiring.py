"""Do learned edges agree with given ones? Each score has its null: the same strengths, or the same graph, shuffled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

_SHUFFLES = 2000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AgainstShuffled:
    """A score, its mean over shuffled edges, and the share of shuffles that reach it (one-sided, never zero)."""

    score: float
    shuffled: float
    p: float


def strength_agreement(learned: Floats, given: Floats) -> AgainstShuffled | None:
    """Spearman's rank correlation over the given edges, (edge,) each; None where ranks say nothing."""
    if len(learned) < 3 or np.ptp(learned) == 0 or np.ptp(given) == 0:
        return None
    ours, theirs = (rankdata(values) for values in (learned, given))
    return _against_shuffled(theirs, lambda shuffled: float(np.corrcoef(ours, shuffled)[0, 1]))


def share_on_given(learned: Floats, present: NDArray[np.bool_]) -> AgainstShuffled | None:
    """Share of all learned strength that lies on `present` edges, (edge,) each; None where all or none are."""
    if present.all() or not present.any() or learned.sum() == 0:
        return None
    return _against_shuffled(present, lambda shuffled: float(learned[shuffled].sum() / learned.sum()))


def _against_shuffled(given: NDArray, score: Callable[[NDArray], float]) -> AgainstShuffled:  # type: ignore[type-arg]
    rng = np.random.default_rng(0)
    found = score(given)
    nulls = np.array([score(rng.permutation(given)) for _ in range(_SHUFFLES)])
    reached = int((nulls >= found - 1e-12).sum())
    return AgainstShuffled(found, float(nulls.mean()), (1 + reached) / (1 + _SHUFFLES))
