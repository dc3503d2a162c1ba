"""One blob of any flatness: what goals look like that lie anywhere in a region and form no clusters."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]

_SHAPES = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)  # 1 is Gaussian, 16 as good as an even disc


def numbers_of_flat(n_axis: int) -> int:
    """Free numbers of the density: centre, covariance and shape."""
    return n_axis + n_axis * (n_axis + 1) // 2 + 1


def flat_log_likelihood(values: Floats, smallest_sd: float) -> float:
    """Mean log density of `values` (bin, axis) under the power exponential law that fits them best.

    exp(-(r^2)^shape / 2) of the Mahalanobis distance r (Gomez, Gomez-Villegas & Marin 1998): Gaussian at shape 1,
    an evenly filled ellipse as the shape grows. Centre and axes are those of the sample; scale and shape are at
    maximum likelihood. `smallest_sd` keeps the covariance from collapsing.
    """
    n_axis = values.shape[1]
    covariance = np.cov(values.T).reshape(n_axis, n_axis) + smallest_sd**2 * np.eye(n_axis)
    root = np.linalg.cholesky(np.linalg.inv(covariance))
    square = (((values - values.mean(0)) @ root) ** 2).sum(1)
    volume = float(np.linalg.slogdet(root).logabsdet)
    return max(_log_likelihood(square, n_axis, shape) for shape in _SHAPES) + volume


def _log_likelihood(square: Floats, n_axis: int, shape: float) -> float:
    """Mean log density of squared distances, in units of the covariance, at the best scale."""
    largest = max(float(square.max()), 1e-300)
    log_power = shape * math.log(largest) + math.log(max(float(((square / largest) ** shape).mean()), 1e-300))
    log_scale = (math.log(shape / n_axis) + log_power) / shape
    norm = math.log(shape) + gammaln(n_axis / 2) - 0.5 * n_axis * math.log(math.pi) - gammaln(n_axis / (2 * shape))
    spread = 0.5 * n_axis * (math.log(2) / shape + log_scale)
    return float(norm - spread - 0.5 * n_axis / shape)
