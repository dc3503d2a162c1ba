"""Which entries of (trial, time, feature) arrays are scored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Mask = NDArray[np.bool_]


def scored_entries(truth: Array, mask: Mask | None, *estimates: Array) -> Mask:
    """Where `truth` (trial, time, feature) is scored: inside the mask (trial, time) and not NaN.

    Raises ValueError if an estimate has another shape than the truth, or is NaN where it would be scored.
    """
    scored: Mask = ~np.isnan(truth)
    if mask is not None:
        if mask.shape != truth.shape[:-1]:
            raise ValueError(f"mask of shape {mask.shape} for values of shape {truth.shape}")
        scored &= mask[..., None]
    for estimate in estimates:
        if estimate.shape != truth.shape:
            raise ValueError(f"estimate of shape {estimate.shape} for truth of shape {truth.shape}")
        missing = int(np.isnan(estimate[scored]).sum())
        if missing:
            raise ValueError(f"the estimate is NaN in {missing} of {int(scored.sum())} scored entries")
    return scored


def scored_rows(mask: Mask | None, *arrays: Array) -> list[NDArray[np.float64]]:
    """Arrays (trial, time, feature) as (row, feature) over the bins of the mask where no array has a NaN."""
    keep = np.ones(arrays[0].shape[:-1], bool) if mask is None else mask.copy()
    for array in arrays:
        keep &= ~np.isnan(array).any(axis=-1)
    return [array[keep].astype(np.float64) for array in arrays]
