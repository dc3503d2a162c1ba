"""Sums taken batch by batch give the scores that outputs.metrics gives of everything at once."""

from __future__ import annotations

import numpy as np
import pytest

from ncyber_cli.outputs.metrics import co_bps, fp_bps, mean_counts
from ncyber_cli.pipeline.score import BitsTally


def test_streamed_bits_are_those_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    rates = rng.gamma(2.0, 0.3, (12, 9, 5))
    counts = rng.poisson(rates).astype(np.float32)
    counts[2, 3:5, 1] = np.nan
    counts[:, :, 4] = 0  # a unit that never fires
    mask = np.arange(9) < rng.integers(4, 10, 12)[:, None]
    held_out, forecast, training = np.arange(5) >= 3, mask & (np.arange(9) >= 4), np.full(5, 0.4)
    whole, late = BitsTally(5), BitsTally(5)
    for some in np.array_split(np.arange(12), 5):
        whole.add(counts[some], rates[some], mask[some])
        late.add(counts[some], rates[some], forecast[some])
    expected = co_bps(counts, rates, held_out, training_mean=training, mask=mask)
    assert whole.bits(held_out) == pytest.approx(expected.bits)
    assert whole.bits_of_constant(training, held_out) == pytest.approx(expected.training_mean_null)
    assert late.bits() == pytest.approx(fp_bps(counts, rates, forecast, training_mean=training).bits)
    np.testing.assert_allclose(whole.mean_counts(), mean_counts(counts, mask))


def test_without_spikes_there_is_no_score() -> None:
    tally = BitsTally(2)
    tally.add(np.zeros((1, 3, 2)), np.ones((1, 3, 2)), np.ones((1, 3), bool))
    assert tally.bits() is None
    assert BitsTally(2).bits_of_constant(np.ones(2)) is None
