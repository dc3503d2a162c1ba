"""Calibration: does the truth fall inside the intervals as often as they claim."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2, norm

from ncyber_cli.outputs.metrics.entries import Array, Mask, scored_entries

LEVELS = (0.5, 0.9)


def interval_coverage(
    truth: Array, mean: Array, sd: Array, mask: Mask | None = None, levels: tuple[float, ...] = LEVELS
) -> dict[float, float]:
    """Share of scored entries whose truth lies in the central Gaussian interval of each level.

    truth, mean, sd (trial, time, feature). A calibrated posterior gives back the levels; NaN if nothing is scored.
    """
    scored = scored_entries(truth, mask, mean, sd)
    if not scored.any():
        return {level: float("nan") for level in levels}
    distance = np.abs(truth[scored] - mean[scored])
    return {level: float((distance <= norm.ppf((1 + level) / 2) * sd[scored]).mean()) for level in levels}


def region_coverage(
    truth: Array, mean: Array, sd: Array, mask: Mask | None = None, levels: tuple[float, ...] = LEVELS
) -> dict[float, float]:
    """As `interval_coverage`, of the ellipsoids that hold each level of a Gaussian over all features together."""
    scored = scored_entries(truth, mask, mean, sd).all(-1)
    if not scored.any():
        return {level: float("nan") for level in levels}
    distance = np.square((truth[scored] - mean[scored]) / sd[scored]).sum(-1)
    return {level: float((distance <= chi2.ppf(level, truth.shape[-1])).mean()) for level in levels}
