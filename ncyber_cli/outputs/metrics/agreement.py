"""Do two fits say the same? Agreement of values in their own units, no map fitted."""

from __future__ import annotations

import numpy as np

from ncyber_cli.outputs.metrics.entries import Array, Mask, scored_rows


def concordance(one: Array, other: Array, mask: Mask | None = None) -> float:
    """Lin's (1989) concordance of two (trial, time, feature) arrays, pooled over features; NaN if neither varies.

    1 where they are equal, 0 where they have nothing in common; a shift or another scale counts against it.
    """
    a, b = scored_rows(mask, one, other)
    if not len(a):
        return float("nan")
    covariance = ((a - a.mean(0)) * (b - b.mean(0))).mean(0).sum()
    spread = a.var(0).sum() + b.var(0).sum() + np.square(a.mean(0) - b.mean(0)).sum()
    return float(2 * covariance / spread) if spread > 0 else float("nan")
