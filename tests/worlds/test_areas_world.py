"""Silencing an area changes what it speaks to and nothing else, and the file says which edges there are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ncyber_cli.worlds.area_network import AREAS, BIN_S, FLOOR_HZ, STEP_S, draw_network, run_network
from ncyber_cli.worlds.areas import NOBODY, bin_means, draw_events, simulate
from ncyber_cli.worlds.to_nwb import save_animal
from ncyber_cli.worlds.truth import read_truth

TRIALS, UNITS, FIRST_S = 10, 30, 0.5


def test_some_edges_are_there_and_some_are_not() -> None:
    count = [draw_network(np.random.default_rng(seed), UNITS).edge.sum() for seed in range(50)]
    assert min(count) >= 1
    assert max(count) <= 5
    assert 2.5 < np.mean(count) < 3.5


@pytest.mark.parametrize("silenced", range(3))
@pytest.mark.parametrize("seed", [1, 2])
def test_silencing_changes_what_an_area_reaches_and_nothing_else(seed: int, silenced: int) -> None:
    network = draw_network(np.random.default_rng(seed), UNITS)
    nobody = np.full(TRIALS, NOBODY)
    events = draw_events(TRIALS, nobody, nobody, np.random.default_rng(seed))
    off = events.silenced.copy()
    off[:, round(FIRST_S / STEP_S) :, silenced] = True
    usual, other = (
        run_network(network, each, np.random.default_rng(seed)) for each in (events, replace(events, silenced=off))
    )
    reached = np.linalg.matrix_power(network.edge + np.eye(3), 2)[:, silenced] > 0
    changed = (usual.rate_hz != other.rate_hz).any((0, 1))
    np.testing.assert_array_equal(changed, reached[network.unit_area])
    before = round(FIRST_S / STEP_S)
    np.testing.assert_array_equal(usual.rate_hz[:, :before], other.rate_hz[:, :before])
    assert (other.rate_hz[:, before:, network.unit_area == silenced] == FLOOR_HZ).all()
    for target in np.flatnonzero(network.edge[:, silenced] & ~np.eye(3, dtype=bool)[:, silenced]):
        late = before + round(network.delay_s[target, silenced] / STEP_S)  # what is on its way still arrives
        same = (usual.latent[:, :, target] == other.latent[:, :, target]).all((0, 2))
        assert same[:late].all()
        assert not same[late:].any()


def test_what_is_disturbed_does_not_change_what_else_happens() -> None:
    plain, disturbed = (
        simulate(trials=TRIALS, units=UNITS, silenced=[], stimulated=[]),
        simulate(trials=40, units=UNITS),
    )
    assert set(plain.trial_columns["silenced"]) == {NOBODY}
    again = simulate(trials=40, units=UNITS, silenced=[], stimulated=[])
    untouched = (disturbed.trial_columns["silenced"] == NOBODY) & (disturbed.trial_columns["stimulated"] == NOBODY)
    assert 0.25 < untouched.mean() < 0.75
    np.testing.assert_array_equal(disturbed.truth["rate"].values[untouched], again.truth["rate"].values[untouched])
    off = np.stack([disturbed.inputs[f"silencing_{area}"].values[:, :, 0] for area in AREAS], 2)
    assert ((off > 0).any(1) == (disturbed.trial_columns["silenced"][:, None] == np.array(AREAS))).all()


def test_the_file_holds_the_edges_and_the_rates(tmp_path: Path) -> None:
    animal = simulate(trials=4, units=UNITS, seed=3)
    truth = read_truth(save_animal(animal, tmp_path / "areas-1.nwb"))
    network = draw_network(np.random.default_rng([3, 0, 11]), UNITS)
    for to, target in enumerate(AREAS):
        for of, source in enumerate(AREAS):
            if to != of:
                assert truth.constants[f"edge_{source}_{target}"] == network.edge[to, of]
                assert (truth.constants[f"gain_{source}_{target}"] > 0) == network.edge[to, of]
    centres = truth.trials["start_time"][:, None] + BIN_S * (np.arange(animal.counts.shape[1]) + 0.5)
    np.testing.assert_allclose(truth.series["rate"].at(centres), animal.truth["rate"].values, rtol=2.0**-8)


def test_bins_are_means_of_steps() -> None:
    np.testing.assert_array_equal(bin_means(np.arange(8.0).reshape(1, 8, 1))[0, :, 0], [1.5, 5.5])
