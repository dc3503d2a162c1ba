"""The switching world: goals that are shared, a chain that leaves at its rate, and truth that says which goal it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ncyber_cli.worlds import switching
from ncyber_cli.worlds.simulated import SimulatedAnimal
from ncyber_cli.worlds.to_nwb import save_animal
from ncyber_cli.worlds.truth import read_truth


@pytest.fixture(scope="module")
def animal() -> SimulatedAnimal:
    return switching.simulate(trials=60, seed=5, units=24)


def state_of(animal: SimulatedAnimal) -> np.ndarray:
    return animal.truth["prototype"].values[..., 0].astype(int)


def place_of(animal: SimulatedAnimal, number: int = 4) -> np.ndarray:
    return np.array([[animal.constants[f"prototype_{k}_{axis}_m"] for axis in "xy"] for k in range(number)])


def test_the_objective_is_near_the_prototype_that_the_truth_names(animal: SimulatedAnimal) -> None:
    gap = np.linalg.norm(animal.truth["objective"].values - place_of(animal)[state_of(animal)], axis=-1)
    settled = np.ones_like(gap, bool)
    switched = np.diff(state_of(animal), axis=1) != 0
    for shift in (-1, 0, 1, 2):
        settled[:, 1:] &= ~np.roll(switched, shift, axis=1)
    assert np.quantile(gap[settled], 0.95) < 4 * switching.GOAL_SD_M


def test_the_hand_goes_where_the_objective_is(animal: SimulatedAnimal) -> None:
    hand, goal = animal.behavior["hand_pos"].values[:, 1::2], animal.truth["objective"].values
    steady = (np.diff(state_of(animal), axis=1) == 0).all(1)
    assert steady.any()
    assert np.median(np.linalg.norm(hand - goal, axis=-1)[steady, -1]) < 0.01
    assert np.linalg.norm(animal.behavior["hand_vel"].values, axis=-1).max() > 0.2


def test_goals_are_left_at_the_stated_rate_and_visited_alike() -> None:
    rng = np.random.default_rng(0)
    states = switching.draw_states(400, 2000, 4, 0.8, rng)
    leaves = (np.diff(states, axis=1) != 0).mean() / switching.STEP_S
    assert leaves == pytest.approx(0.8, rel=0.06)
    np.testing.assert_allclose(np.bincount(states.ravel()) / states.size, 0.25, atol=0.03)


def test_animals_of_a_world_share_goals_and_nothing_else(animal: SimulatedAnimal) -> None:
    other = switching.simulate(trials=60, seed=5, animal=1, units=24)
    np.testing.assert_array_equal(place_of(animal), place_of(other))
    assert not np.array_equal(state_of(animal), state_of(other))
    assert other.animal == "switching-2"
    assert not np.array_equal(place_of(animal), place_of(switching.simulate(trials=2, seed=6, units=24)))


def test_the_file_gives_the_prototypes_back(animal: SimulatedAnimal, tmp_path: Path) -> None:
    truth = read_truth(save_animal(animal, tmp_path / "switching-1.nwb"))
    centres = truth.trials["start_time"][:, None] + animal.bin_s * (np.arange(animal.counts.shape[1]) + 0.5)
    np.testing.assert_array_equal(truth.series["prototype"].at(centres)[..., 0], state_of(animal))
    assert truth.constants["prototype_3_y_m"] == pytest.approx(place_of(animal)[3, 1])
