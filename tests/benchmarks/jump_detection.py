"""When a change of mind shows in the causal objective: the first bin in which it has moved further than it errs.

The threshold is fixed on training and validation trials without a jump; nothing of a test trial enters but its past.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_BACK = (4, 8)  # bins between the two beliefs that are compared, 80 and 160 ms
_FALSE_ALARMS = 0.01  # of the trials that fix the threshold, half of what the bar allows


@dataclass(frozen=True)
class Detections:
    latency_s: Floats  # (jump trial,) from the jump's arrival at the brain; inf where it is missed, negative too early
    false_alarms: Mask  # (jump-free trial,)


def movement(mean: Floats, sd: Floats, after_go: Mask) -> Floats:
    """How far the belief has moved, in units of its own errors, (trial, time); 0 where it may not be looked at."""
    moved = np.zeros(mean.shape[:2])
    for back in _BACK:
        shift = mean[:, back:] - mean[:, :-back]
        spread = np.sqrt(np.square(sd[:, back:]) + np.square(sd[:, :-back]))
        size = np.sqrt(np.square(shift / spread).sum(2))
        moved[:, back:] = np.maximum(moved[:, back:], np.where(after_go[:, :-back], np.nan_to_num(size), 0))
    return moved


def threshold(moved: Floats, jumped: Mask) -> float:
    """Exceeded in a share of `_FALSE_ALARMS` of the jump-free trials given."""
    return float(np.quantile(moved[~jumped].max(1), 1 - _FALSE_ALARMS))


def detect(moved: Floats, limit: float, end_s: Floats, arrival_s: Floats) -> Detections:
    """First bin (`end_s` (trial, time) is when each ends) above the limit, against when the jump arrived, or never."""
    above = moved > limit
    first_s = np.where(above.any(1), end_s[np.arange(len(end_s)), above.argmax(1)], np.inf)
    jumped = ~np.isnan(arrival_s)
    return Detections(first_s[jumped] - arrival_s[jumped], above[~jumped].any(1))
