from typing import get_args

import numpy as np
import pytest

from ncyber_cli.worlds import reach, without_goal
from ncyber_cli.worlds.simulated import SimulatedAnimal
from ncyber_cli.worlds.without_goal import Kind

TRIALS = 60


@pytest.fixture(scope="module", params=get_args(Kind))
def animal(request: pytest.FixtureRequest) -> SimulatedAnimal:
    return without_goal.simulate(request.param, trials=TRIALS, seed=4)


def _position(animal: SimulatedAnimal) -> np.ndarray:
    return animal.behavior["hand_pos"].values


def test_same_seed_same_data(animal: SimulatedAnimal) -> None:
    again = without_goal.simulate(animal.world, trials=TRIALS, seed=4)
    np.testing.assert_array_equal(again.counts, animal.counts)
    np.testing.assert_array_equal(_position(again), _position(animal))


def test_the_files_look_like_those_of_reaches(animal: SimulatedAnimal) -> None:
    reaching = reach.simulate(trials=3, seed=4)
    assert animal.trial_columns.keys() == reaching.trial_columns.keys()
    assert animal.behavior.keys() == reaching.behavior.keys()
    assert animal.inputs.keys() == reaching.inputs.keys()
    assert animal.unit_area == reaching.unit_area
    assert animal.counts.shape[1:] == reaching.counts.shape[1:]


def test_size_and_speed_are_those_of_reaches(animal: SimulatedAnimal) -> None:
    peak = np.linalg.norm(animal.behavior["hand_vel"].values, axis=-1).max(axis=1)
    assert 0.2 < np.median(peak) < 0.7
    assert np.all((_position(animal).std((0, 1)) > 0.02) & (_position(animal).std((0, 1)) < 0.25))


def test_there_is_no_objective_and_targets_mean_nothing(animal: SimulatedAnimal) -> None:
    assert "objective" not in animal.truth
    ends = _position(animal)[:, -1]
    for axis, name in enumerate(("target_x", "target_y")):
        assert abs(np.corrcoef(ends[:, axis], animal.trial_columns[name])[0, 1]) < 4 / np.sqrt(TRIALS)


def test_position_and_velocity_are_of_one_motion(animal: SimulatedAnimal) -> None:
    position, velocity = _position(animal), animal.behavior["hand_vel"].values
    between = 0.5 * (velocity[:, 1:] + velocity[:, :-1])
    rate_hz = animal.behavior["hand_pos"].rate_hz
    assert np.abs(np.diff(position, axis=1) * rate_hz - between).max() < 2e-3


def test_a_limit_cycle_turns_on_and_on() -> None:
    """Its radius has a place of its own, and its phase moves one way, whatever the trial."""
    position = _position(without_goal.simulate("limit_cycle", trials=TRIALS, seed=5, pulse_probability=0.0))
    around = (position - position.mean((0, 1))).reshape(-1, 2)
    back = np.linalg.inv(np.linalg.cholesky(np.cov(around.T)))  # the ellipse as a circle
    turned = np.einsum("tbi,ji->tbj", position - position.mean((0, 1)), back)
    phase = np.unwrap(np.arctan2(turned[..., 1], turned[..., 0]), axis=1)
    total = phase[:, -1] - phase[:, 0]
    assert np.all(np.sign(total) == np.sign(total[0]))
    assert np.abs(total).min() > np.pi
    radius = np.linalg.norm(turned, axis=-1)
    assert radius.std() / radius.mean() < 0.35


def test_a_random_walk_spreads() -> None:
    position = _position(without_goal.simulate("random_walk", trials=200, seed=5, pulse_probability=0.0))
    gone = position - position[:, :1]
    early, late = (float(np.square(gone[:, step]).sum(-1).mean()) for step in (60, 180))
    assert 2.0 < late / early < 6.0  # 3 for a walk that forgets at once, up to 9 for one that never does


def test_neurons_know_the_drive_before_the_body_shows_it(animal: SimulatedAnimal) -> None:
    """The body's acceleration follows the drive by the muscle's lag."""
    drive, actuator = animal.truth["control"].values, animal.truth["actuator"].values
    lead = [np.corrcoef(drive[:, :-3].ravel(), np.roll(actuator, -k, 1)[:, :-3].ravel())[0, 1] for k in (0, 1, 2, 3)]
    assert max(lead) > lead[0]
