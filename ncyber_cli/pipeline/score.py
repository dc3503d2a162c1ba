"""Scores of more trials than fit in memory, batch by batch: the sums behind bits per spike, and behind R2."""

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


class VarianceTally:
    """Sums of each unit that emits a continuous signal, over the entries that are scored."""

    def __init__(self, n_unit: int) -> None:
        self.bins, self.total, self.squares, self.residuals = np.zeros((4, n_unit))

    def add(self, recorded: NDArray[Any], rates: NDArray[Any], scored: NDArray[np.bool_]) -> None:
        """Take in values (NaN as missing) and rates, (trial, time, unit), of the scored (trial, time) bins."""
        seen = scored[:, :, None] & ~np.isnan(recorded)
        values = np.where(seen, recorded, 0).astype(np.float64)
        self.bins += seen.sum((0, 1))
        self.total += values.sum((0, 1))
        self.squares += np.square(values).sum((0, 1))
        self.residuals += np.square(np.where(seen, recorded - rates, 0).astype(np.float64)).sum((0, 1))

    def mean(self) -> NDArray[np.float64]:
        """Mean of each unit, (unit,); NaN for a unit never seen."""
        mean = np.full(len(self.bins), np.nan)
        np.divide(self.total, self.bins, out=mean, where=self.bins > 0)
        return mean

    def r2(self, units: Units | None = None) -> float | None:
        """R2 of the rates over each unit's mean in the scored bins, units weighing the same; None without variance."""
        return self._of_variance(self.residuals, units)

    def r2_of_constant(self, values: NDArray[np.float64], units: Units | None = None) -> float | None:
        """What constant values, (unit,), would score."""
        return self._of_variance(self.squares - 2 * values * self.total + self.bins * np.square(values), units)

    def _of_variance(self, residuals: NDArray[np.float64], units: Units | None) -> float | None:
        variance = self.squares - np.square(self.total) / np.maximum(self.bins, 1)
        chosen = (variance > 1e-9 * self.squares) & (True if units is None else units) & np.isfinite(residuals)
        return float(np.mean(1 - residuals[chosen] / variance[chosen])) if chosen.any() else None


class UnitTally:
    """Both: bits per spike of the units that emit counts, R2 of the others."""

    def __init__(self, counting: Units) -> None:
        self.counting = counting
        self.bits, self.variance = BitsTally(len(counting)), VarianceTally(len(counting))

    def add(self, recorded: NDArray[Any], rates: NDArray[Any], scored: NDArray[np.bool_]) -> None:
        self.bits.add(recorded, rates, scored)
        self.variance.add(recorded, rates, scored)

    def scores(self, name: str, training_mean: NDArray[np.float64], units: Units) -> dict[str, float | None]:
        """`name`_bps and `name`_r2 of some units, with what their training means score; only those that apply."""
        counting, rest = units & self.counting, units & ~self.counting
        found: dict[str, float | None] = {}
        if counting.any():
            null = self.bits.bits_of_constant(training_mean, counting)
            found |= {f"{name}_bps": self.bits.bits(counting), f"{name}_bps_null": null}
        if rest.any():
            null = self.variance.r2_of_constant(training_mean, rest)
            found |= {f"{name}_r2": self.variance.r2(rest), f"{name}_r2_null": null}
        return found
