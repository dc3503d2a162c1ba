"""Bits per spike of more trials than fit in memory: the sums behind outputs.metrics.bits, batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

_FLOOR = 1e-9  # of a rate, as in outputs.metrics.bits
Units = NDArray[np.bool_]  # (unit,)


class BitsTally:
    """Spikes, bins and log-likelihood of each unit over the entries that are scored."""

    def __init__(self, n_unit: int) -> None:
        self.spikes, self.bins, self.log_likelihood = np.zeros((3, n_unit))

    def add(self, counts: NDArray[Any], rates: NDArray[Any], scored: NDArray[np.bool_]) -> None:
        """Take in counts (NaN as missing) and rates, (trial, time, unit), of the scored (trial, time) bins."""
        seen = scored[:, :, None] & ~np.isnan(counts)
        there = np.where(seen, counts, 0).astype(np.float64)
        expected = np.where(seen, np.maximum(rates, _FLOOR), 1).astype(np.float64)
        self.spikes += there.sum((0, 1))
        self.bins += seen.sum((0, 1))
        self.log_likelihood += np.where(seen, xlogy(there, expected) - expected, 0).sum((0, 1))

    def mean_counts(self) -> NDArray[np.float64]:
        """Mean count a bin of each unit, (unit,); NaN for a unit never seen."""
        mean = np.full(len(self.bins), np.nan)
        np.divide(self.spikes, self.bins, out=mean, where=self.bins > 0)
        return mean

    def bits(self, units: Units | None = None) -> float | None:
        """Bits per spike over each unit's mean in the scored bins (Pei et al. 2021); None without spikes."""
        return self._over_mean(self.log_likelihood, units)

    def bits_of_constant(self, counts: NDArray[np.float64], units: Units | None = None) -> float | None:
        """What a constant count a bin, (unit,), would score; None without spikes or where a count is unknown."""
        return self._over_mean(self._constant(counts), units)

    def _constant(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        floored = np.maximum(counts, _FLOOR)
        value: NDArray[np.float64] = np.where(self.bins > 0, xlogy(self.spikes, floored) - self.bins * floored, 0)
        return value

    def _over_mean(self, log_likelihood: NDArray[np.float64], units: Units | None) -> float | None:
        chosen = slice(None) if units is None else units
        gain = float((log_likelihood - self._constant(self.mean_counts()))[chosen].sum())
        spikes = float(self.spikes[chosen].sum())
        bits = gain / (np.log(2) * spikes) if spikes else np.nan
        return float(bits) if np.isfinite(bits) else None
