"""How sure a paired difference is: a bootstrap over test trials and over seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Interval:
    mean: float
    low: float
    high: float


def paired_bootstrap(
    differences: NDArray[np.floating], generator: np.random.Generator, *, level: float = 0.95, draws: int = 4000
) -> Interval:
    """Mean of `differences` (seed, trial) between two models on the same trials, with its bootstrap interval.

    Seeds and trials are drawn anew, with replacement and independently, because either alone understates
    the spread. Raises ValueError on missing values.
    """
    if np.isnan(differences).any():
        raise ValueError("a paired difference needs both models on every trial, some are NaN")
    seeds, trials = differences.shape
    seed_weight = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    trial_weight = generator.multinomial(trials, np.full(trials, 1 / trials), size=draws) / trials
    means = ((seed_weight @ differences) * trial_weight).sum(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(differences.mean()), float(low), float(high))
