"""Bits per spike: Poisson log-likelihood over a mean-rate model, per spike (Pei et al. 2021, Neural Latents Benchmark).

    bits = (sum log p(counts | rates) - sum log p(counts | null)) / (log 2 * sum counts)

All sums run over the scored bins and neurons; the factorial cancels. Rates are expected counts per bin, and
the rate of a posterior is its mean over samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from ncyber_cli.outputs.metrics.entries import Array, Mask, scored_entries

# A spike where the rate is exactly zero would cost infinitely many bits; the benchmark floors rates here.
_FLOOR = 1e-9


@dataclass(frozen=True)
class BitsPerSpike:
    """A score over both nulls."""

    bits: float  # over each neuron's mean in the scored bins: the benchmark's definition
    over_training_mean: float  # over each neuron's mean in training trials
    training_mean_null: float  # the training mean's own score by the benchmark's definition, never above 0


def poisson_bits_per_spike(
    counts: Array, rates: Array, *, null_rates: Array | None = None, mask: Mask | None = None
) -> float:
    """Bits per spike of `rates` over `null_rates` on `counts`, all (trial, time, unit).

    The default null is each unit's mean over the scored bins (Pei et al. 2021); `null_rates` is anything
    that broadcasts against counts. NaN if no spike is scored. Raises ValueError on a missing or negative rate.
    """
    counts = np.asarray(counts, np.float64)
    scored = scored_entries(counts, mask, rates)
    if (rates[scored] < 0).any():
        raise ValueError("rates are negative; they are expected counts per bin, not logarithms")
    null = _mean_over_bins(counts, scored) if null_rates is None else null_rates
    null = np.broadcast_to(null, counts.shape)
    spikes = counts[scored].sum()
    if spikes == 0:
        return float("nan")
    gain = _log_likelihood(counts[scored], rates[scored]) - _log_likelihood(counts[scored], null[scored])
    return float(gain / (np.log(2) * spikes))


def expected_bits_per_spike(
    true_rates: Array, rates: Array, *, null_rates: Array | None = None, mask: Mask | None = None
) -> float:
    """`poisson_bits_per_spike` with the true expected counts in place of spikes (simulated animals only).

    Its largest value is reached by the true rates alone, so that refitting seen spikes cannot raise it.
    """
    return poisson_bits_per_spike(true_rates, rates, null_rates=null_rates, mask=mask)


def mean_counts(counts: Array, mask: Mask | None = None) -> NDArray[np.float64]:
    """Each unit's mean count per scored bin, (unit,); of training trials it is the training-mean null.

    NaN for a unit that is never scored.
    """
    counts = np.asarray(counts, np.float64)
    return _mean_over_bins(counts, scored_entries(counts, mask))


def co_bps(
    counts: Array, rates: Array, held_out: Mask, *, training_mean: Array, mask: Mask | None = None
) -> BitsPerSpike:
    """Co-smoothing: bits per spike of the units that no encoder saw.

    counts, rates (trial, time, unit); held_out (unit,); training_mean (unit,) from `mean_counts`.
    """
    return _over_both_nulls(counts[..., held_out], rates[..., held_out], training_mean[held_out], mask)


def fp_bps(counts: Array, rates: Array, forecast: Mask, *, training_mean: Array) -> BitsPerSpike:
    """Forward prediction: bits per spike of all units in the bins after the encoder's last one.

    counts, rates (trial, time, unit); forecast (trial, time), True in bins that the encoder did not see.
    """
    return _over_both_nulls(counts, rates, training_mean, forecast)


def _over_both_nulls(counts: Array, rates: Array, training_mean: Array, mask: Mask | None) -> BitsPerSpike:
    constant = np.broadcast_to(training_mean, counts.shape)
    return BitsPerSpike(
        bits=poisson_bits_per_spike(counts, rates, mask=mask),
        over_training_mean=poisson_bits_per_spike(counts, rates, null_rates=training_mean, mask=mask),
        training_mean_null=poisson_bits_per_spike(counts, constant, mask=mask),
    )


def _log_likelihood(counts: Array, rates: Array) -> float:
    floored = np.maximum(rates, _FLOOR)
    return float((xlogy(counts, floored) - floored).sum())


def _mean_over_bins(counts: Array, scored: Mask) -> NDArray[np.float64]:
    axes = tuple(range(counts.ndim - 1))
    bins = scored.sum(axes)
    total = np.where(scored, counts, 0.0).sum(axes)
    mean: NDArray[np.float64] = np.divide(total, bins, out=np.full(total.shape, np.nan), where=bins > 0)
    return mean
