"""What of a latent path does not depend on the basis that it is written in: time constants, frequencies, shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import procrustes

_EVEN = 1e-6  # of the largest singular value: directions in which a path does not move have no dynamics


@dataclass(frozen=True)
class Mode:
    """One eigenvalue of the linear dynamics that fit a path best; a pair that turns is one mode."""

    time_constant_s: float | None  # None: it does not decay
    frequency_hz: float  # 0: it does not turn


def modes(path: NDArray[np.floating], bin_s: float) -> list[Mode]:
    """The modes of x_{t+1} = A x_t + b, fitted to (trial, time, feature) by least squares; the slowest first.

    Any invertible linear map of the features leaves them as they are.
    """
    before, after = (part.reshape(-1, path.shape[2]).astype(np.float64) for part in (path[:, :-1], path[:, 1:]))
    mean = before.mean(0)
    _, singular, directions = np.linalg.svd(before - mean, full_matrices=False)
    moving = directions[singular > _EVEN * max(singular[0], np.finfo(float).tiny)].T
    design = np.concatenate([(before - mean) @ moving, np.ones((len(before), 1))], axis=1)
    weights = np.linalg.lstsq(design, (after - mean) @ moving, rcond=None)[0]
    values = np.linalg.eigvals(weights[:-1].T)
    kept = sorted((value for value in values if value.imag >= 0), key=abs, reverse=True)
    return [_mode(complex(value), bin_s) for value in kept]


def _mode(value: complex, bin_s: float) -> Mode:
    size = abs(value)
    constant = None if size >= 1 else 0.0 if size == 0 else -bin_s / math.log(size)
    return Mode(constant, abs(math.atan2(value.imag, value.real)) / (2 * math.pi * bin_s))


def shape_distance(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Procrustes distance, 0 to 1, of two paths (trial, time, feature) that began alike.

    It is the root of the share of variance that no shift, scale, rotation or reflection brings together.
    """
    here, there = (path.reshape(-1, path.shape[2]).astype(np.float64) for path in (one, other))
    if not (np.ptp(here, axis=0).any() and np.ptp(there, axis=0).any()):  # a path that stands still has no shape
        return 0.0 if np.array_equal(here, there) else 1.0
    return math.sqrt(min(1.0, max(0.0, float(procrustes(here, there)[2]))))
