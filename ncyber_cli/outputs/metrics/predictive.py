"""Predictive densities of forecasts whose spread is learned elsewhere, so that no forecast gains by being too sure.

A forecast gives a place for every horizon and feature. Its density is a Student-t around that place whose scale, one
for each feature and group of horizons, is fitted to the same forecaster's errors on trials that are not scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

DEGREES = 3  # of freedom, as the body's own residuals: a push that nobody foresaw is an outlier
_GROUP = 10  # neighbouring horizons that share a scale
_STEPS = 100  # of EM; each shrinks the distance to the maximum
_SMALLEST = 1e-9  # of a scale, as a share of the largest: a feature that never errs


@dataclass(frozen=True)
class Spread:
    """Scales of a forecaster's errors, (horizon, feature)."""

    scale: NDArray[np.float64]

    def nats(self, errors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Log density of errors (trial, horizon, feature), summed over features: (trial, horizon); NaN is passed on."""
        density = student.logpdf(errors / self.scale, DEGREES) - np.log(self.scale)
        total: NDArray[np.float64] = density.sum(-1)
        return total


def fit_spread(errors: NDArray[np.floating]) -> Spread:
    """The maximum-likelihood scales of errors (trial, horizon, feature), NaN as missing; ten horizons share one.

    Raises ValueError where a group of horizons has no error at all.
    """
    horizons, features = errors.shape[1:]
    scale = np.empty((horizons, features))
    for first in range(0, horizons, _GROUP):
        group = slice(first, first + _GROUP)
        for feature in range(features):
            values = errors[:, group, feature]
            scale[group, feature] = _scale(values[~np.isnan(values)].astype(np.float64))
    return Spread(np.maximum(scale, _SMALLEST * scale.max()))


def _scale(errors: NDArray[np.float64]) -> float:
    """EM for the scale of a centred Student-t (Liu & Rubin 1995)."""
    if not len(errors):
        raise ValueError("a scale needs errors, there are none")
    square = np.square(errors)
    variance = float(square.mean())
    for _ in range(_STEPS):
        if variance == 0:
            break
        variance = float(((DEGREES + 1) * square / (DEGREES + square / variance)).mean())
    return float(np.sqrt(variance))
