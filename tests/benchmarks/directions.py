"""Directions of reaches on a circle: how far estimates are from the truth, and what would come of guessing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.outputs.metrics import paired_bootstrap

Angles = NDArray[np.float64]  # rad
_SHUFFLES = 2000
_NEAR_DEG = 45.0


def angle_of(vectors: NDArray[np.floating]) -> Angles:
    """Direction of (..., 2) vectors."""
    angle: Angles = np.arctan2(vectors[..., 1], vectors[..., 0]).astype(np.float64)
    return angle


def as_vectors(angle: Angles) -> NDArray[np.float64]:
    """Unit vectors (..., 2)."""
    return np.stack([np.cos(angle), np.sin(angle)], -1)


def mean_angle(angle: Angles) -> float:
    return float(angle_of(as_vectors(angle).mean(0)))


def error_deg(truth: Angles, estimate: Angles) -> NDArray[np.float64]:
    """Angle between the two, 0 to 180."""
    return np.abs(np.rad2deg(angle_of(as_vectors(estimate - truth))))


def circular_correlation(truth: Angles, estimate: Angles) -> float:
    """Of deviations from either's mean direction (Jammalamadaka & SenGupta 2001, eq. 8.2.4)."""
    a, b = np.sin(truth - mean_angle(truth)), np.sin(estimate - mean_angle(estimate))
    return float((a * b).sum() / np.sqrt(np.square(a).sum() * np.square(b).sum()))


def direction_scores(truth: Angles, estimate: Angles, generator: np.random.Generator) -> dict[str, float]:
    """Scores of (trial,) estimates; "shuffled" are those of the same estimates given to other trials."""
    error = error_deg(truth, estimate)
    shuffled = np.array([error_deg(generator.permutation(truth), estimate).mean() for _ in range(_SHUFFLES)])
    options = np.unique(np.round(truth, 9))
    nearest = options[error_deg(options[None], estimate[:, None]).argmin(1)]
    return {
        "mean_error_deg": round(float(error.mean()), 1),
        "median_error_deg": round(float(np.median(error)), 1),
        "within_45_deg": round(float((error <= _NEAR_DEG).mean()), 3),
        "nearest_target_right": round(float((error_deg(truth, nearest) < 1e-3).mean()), 3),
        "circular_correlation": round(circular_correlation(truth, estimate), 3),
        "shuffled_mean_error_deg": round(float(shuffled.mean()), 1),
        "shuffles_as_good": round(float((shuffled <= error.mean()).mean()), 4),
    }


def paired_difference(truth: Angles, model: Angles, other: Angles, generator: np.random.Generator) -> dict[str, Any]:
    """Mean of the model's error less the other's, degrees, with the 95 % interval of a bootstrap over trials."""
    difference = error_deg(truth, model) - error_deg(truth, other)
    interval = paired_bootstrap(difference[None], generator)
    return {"mean_deg": round(interval.mean, 1), "interval": [round(interval.low, 1), round(interval.high, 1)]}
