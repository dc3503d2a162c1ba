"""R2, the share of variance explained: 1 - squared error / squared deviation of the truth from its mean.

The mean is each feature's own over the scored entries; an estimate worse than that mean is below zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.outputs.metrics.entries import Array, Mask, scored_entries


def r2(truth: Array, estimate: Array, mask: Mask | None = None) -> float:
    """R2 pooled over features: summed error over summed variance. No map is fitted: this is "raw".

    truth, estimate (trial, time, feature); mask (trial, time). NaN if the truth never varies.
    """
    error, variance = _sums(truth, estimate, mask)
    return _share(error.sum(), variance.sum())


def r2_per_feature(truth: Array, estimate: Array, mask: Mask | None = None) -> NDArray[np.float64]:
    """R2 of each feature, (feature,); NaN for a feature that never varies."""
    error, variance = _sums(truth, estimate, mask)
    return np.array([_share(e, v) for e, v in zip(error, variance, strict=True)])


def control_r2(truth: Array, estimate: Array, mask: Mask | None = None) -> float:
    """R2 of the command against the true command, raw, in the command's own units, pooled over axes."""
    return r2(truth, estimate, mask)


def rate_r2(true_rates: Array, rates: Array, mask: Mask | None = None) -> float:
    """Mean over units of the R2 of each unit's rate (trial, time, unit) against its true rate (simulated animals).

    A mean over units, not pooled: a few fast units would otherwise decide it. Constant units are left out.
    """
    return _mean_of_defined(r2_per_feature(true_rates, rates, mask))


def psth_r2(counts: Array, rates: Array, condition: NDArray[np.integer], mask: Mask | None = None) -> float:
    """Mean over units of the R2 between the PSTH of the rates and that of the counts (Pei et al. 2021).

    counts, rates (trial, time, unit); condition (trial,). A PSTH is the mean over a condition's scored trials,
    bin by bin; counts are taken as they come, so smooth them first where trials are few.
    """
    scored = scored_entries(np.asarray(counts, np.float64), mask, rates)
    conditions = [condition == label for label in np.unique(condition)]
    recorded = np.stack([_mean_over_trials(counts[rows], scored[rows]) for rows in conditions])
    modelled = np.stack([_mean_over_trials(rates[rows], scored[rows]) for rows in conditions])
    return _mean_of_defined(r2_per_feature(recorded, modelled))


def _mean_over_trials(values: Array, scored: Mask) -> NDArray[np.float64]:
    trials = scored.sum(0)
    total = np.where(scored, values, 0.0).sum(0)
    mean: NDArray[np.float64] = np.divide(total, trials, out=np.full(total.shape, np.nan), where=trials > 0)
    return mean


def _sums(truth: Array, estimate: Array, mask: Mask | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared error and squared deviation of the truth, summed over scored entries, (feature,) each."""
    truth = np.asarray(truth, np.float64)
    scored = scored_entries(truth, mask, estimate)
    axes = tuple(range(truth.ndim - 1))
    count = np.maximum(scored.sum(axes), 1)
    mean = np.where(scored, truth, 0.0).sum(axes) / count
    error = np.where(scored, truth - estimate, 0.0)
    deviation = np.where(scored, truth - mean, 0.0)
    return np.square(error).sum(axes), np.square(deviation).sum(axes)


def _share(error: float, variance: float) -> float:
    return float(1 - error / variance) if variance > 0 else float("nan")


def _mean_of_defined(values: NDArray[np.float64]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
