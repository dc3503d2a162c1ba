"""Sums taken batch by batch give the scores that outputs.metrics gives of everything at once."""

from __future__ import annotations

import numpy as np
import pytest

from ncyber_cli.outputs.metrics import co_bps, fp_bps, mean_counts
from ncyber_cli.pipeline.score import BitsTally, UnitTally


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


def test_streamed_r2_is_that_of_each_unit_at_once_and_counts_are_left_to_bits() -> None:
    rng = np.random.default_rng(1)
    recorded = rng.normal(3.0, [0.5, 2.0, 1.0, 1.0], (12, 9, 4))
    recorded[..., 3] = rng.poisson(1.0, (12, 9))  # the one that emits counts
    rates = np.where(np.arange(4) == 3, 1.1, recorded + rng.normal(0, 0.5, recorded.shape))
    recorded[2, 3:5, 1] = np.nan
    recorded[..., 2] = 7.0  # a unit that never changes
    mask = np.arange(9) < rng.integers(4, 10, 12)[:, None]
    counting, null = np.arange(4) == 3, np.full(4, 2.5)
    tally = UnitTally(counting)
    for some in np.array_split(np.arange(12), 5):
        tally.add(recorded[some], rates[some], mask[some])
    expected, constant = [], []
    for unit in (0, 1):
        seen = mask & ~np.isnan(recorded[..., unit])
        values = recorded[seen][:, unit]
        expected.append(1 - np.mean((values - rates[seen][:, unit]) ** 2) / values.var())
        constant.append(1 - np.mean((values - 2.5) ** 2) / values.var())
    found = tally.scores("co", null, np.ones(4, bool))
    assert set(found) == {"co_bps", "co_bps_null", "co_r2", "co_r2_null"}
    assert found["co_r2"] == pytest.approx(np.mean(expected))
    assert found["co_r2_null"] == pytest.approx(np.mean(constant))
    assert found["co_bps"] == tally.bits.bits(counting)
    assert set(tally.scores("co", null, ~counting)) == {"co_r2", "co_r2_null"}
    assert tally.scores("co", np.full(4, np.nan), ~counting)["co_r2_null"] is None
