from pathlib import Path

import numpy as np
import pytest
from bayes_lorenz import bayes_ceiling, bits_per_spike, read_trials

from ncyber_cli.worlds import lorenz
from ncyber_cli.worlds.lorenz import LorenzReadout
from ncyber_cli.worlds.to_nwb import save_animal


def test_the_ceiling_lies_between_nothing_and_the_true_rates() -> None:
    animal = lorenz.simulate(trials=12, seed=2)
    readout = LorenzReadout(animal.unit_truth["weights"], animal.unit_truth["offset"])
    held_out = animal.unit_columns["heldout"]
    ceiling = bayes_ceiling(animal.counts, animal.truth["latent"].values, readout, held_out, library=16_000)
    assert 0.1 < ceiling.co_bps < ceiling.true_co_bps + 0.01
    assert 0.1 < ceiling.fp_bps < ceiling.true_fp_bps
    assert ceiling.latent_r2 > 0.98


def test_the_null_scores_zero_and_bits_are_bits() -> None:
    counts = np.random.default_rng(0).poisson(0.3, (5, 40, 3)).astype(np.uint8)
    null = np.broadcast_to(counts.mean(axis=(0, 1)), counts.shape).astype(np.float64)
    assert bits_per_spike(counts, null) == pytest.approx(0, abs=1e-12)
    # a unit that spikes in half of the bins, known exactly: 1 bit a spike, less the rate's own cost of none
    known = np.zeros((1, 8, 1), dtype=np.uint8)
    known[:, ::2] = 1
    rate = np.where(known > 0, 1.0, 1e-300)
    assert bits_per_spike(known, rate) == pytest.approx(1.0)


def test_trials_read_from_a_file_are_those_simulated(tmp_path: Path) -> None:
    animal = lorenz.simulate(trials=5, seed=3)
    counts, latent, readout, held_out = read_trials(save_animal(animal, tmp_path / "lorenz-1.nwb"), slice(2, 5))
    np.testing.assert_array_equal(counts, animal.counts[2:])
    np.testing.assert_allclose(latent, animal.truth["latent"].values[2:], atol=1e-3)
    np.testing.assert_allclose(readout.weights, animal.unit_truth["weights"])
    assert held_out.sum() == 16
