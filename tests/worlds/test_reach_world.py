import dataclasses

import numpy as np
import pytest

from ncyber_cli.worlds import reach
from ncyber_cli.worlds.reach_animal import REACH_M, Body, draw_animal
from ncyber_cli.worlds.reach_loop import STEP_S, Loop, run_loop
from ncyber_cli.worlds.reach_task import Schedule, draw_schedule
from ncyber_cli.worlds.simulated import SimulatedAnimal

STEPS = 800
ANIMALS = range(3)


@pytest.fixture(scope="module", params=ANIMALS)
def animal(request: pytest.FixtureRequest) -> SimulatedAnimal:
    return reach.simulate(trials=40, seed=8, animal=request.param)


@pytest.fixture(scope="module")
def body() -> Body:
    return draw_animal(0, 8).body


@pytest.fixture(scope="module")
def schedule() -> Schedule:
    return draw_schedule(20, np.random.default_rng(0), "eight", 1.0, 1.0)


def _run(body: Body, schedule: Schedule) -> Loop:
    return run_loop(body, schedule, STEPS, np.random.default_rng(1))


def test_same_seed_same_data(animal: SimulatedAnimal) -> None:
    again = reach.simulate(trials=40, seed=8, animal=int(animal.animal[-1]) - 1)
    np.testing.assert_array_equal(again.counts, animal.counts)
    np.testing.assert_array_equal(again.behavior["hand_pos"].values, animal.behavior["hand_pos"].values)


def test_trials_do_not_change_the_animal() -> None:
    few, many = (reach.simulate(trials=count, seed=8, goals=goals) for count, goals in ((3, "eight"), (9, "disc")))
    assert few.constants == many.constants
    assert few.unit_area == many.unit_area


def test_animals_differ_in_neurons_gains_and_delays() -> None:
    animals = [reach.simulate(trials=2, seed=8, animal=index) for index in ANIMALS]
    for name in ("mass_kg", "muscle_lag_s", "delay_s", "bound_m_s2", "stiffness_00_per_s2"):
        assert len({each.constants[name] for each in animals}) == len(animals)
    assert all(43 <= each.counts.shape[2] <= 68 for each in animals)
    assert all(set(each.unit_area) == {"PMd", "S1", "M1"} for each in animals)


def test_the_hand_lands_on_the_target_at_a_natural_speed(animal: SimulatedAnimal) -> None:
    columns = animal.trial_columns
    target = np.stack([columns["final_target_x"], columns["final_target_y"]], axis=1)
    miss = np.linalg.norm(animal.behavior["hand_pos"].values[:, -1] - target, axis=1)
    assert np.median(miss) < 0.004
    assert np.quantile(miss, 0.95) < 0.01
    straight = np.isnan(columns["jump_time"]) & np.isnan(columns["pulse_time"])
    peak = np.linalg.norm(animal.behavior["hand_vel"].values[straight], axis=-1).max(axis=1)
    assert 0.3 < np.median(peak) < 0.6


def test_the_command_saturates_and_waits_for_go(animal: SimulatedAnimal) -> None:
    control = animal.truth["control"].values
    size = np.abs(control).max()
    assert 0.9 * animal.constants["bound_m_s2"] < size <= animal.constants["bound_m_s2"]
    early = animal.truth["control"].start_s + animal.bin_s * np.arange(control.shape[1])
    before = early[None] < animal.trial_columns["go_time"][:, None]
    assert np.all(control[before] == 0)


def test_the_plan_is_there_before_go(animal: SimulatedAnimal) -> None:
    """At go the believed goal and the plan latents already are the target."""
    go = np.round(animal.trial_columns["go_time"] / animal.bin_s).astype(int)
    trials = np.arange(len(go))
    target = np.stack([animal.trial_columns["target_x"], animal.trial_columns["target_y"]], axis=1)
    np.testing.assert_allclose(animal.truth["objective"].values[trials, go - 1], target, atol=1e-9)
    np.testing.assert_allclose(animal.truth["latent"].values[trials, go - 1, :2], target / REACH_M, atol=0.3)


def test_velocity_changes_by_actuator_and_force(animal: SimulatedAnimal) -> None:
    """d velocity / dt = actuator + force / mass + noise, on what is recorded; the noise is small and blind to both."""
    hz = animal.behavior["hand_vel"].rate_hz
    velocity, force = animal.behavior["hand_vel"].values, animal.inputs["external_force"].values
    change = (velocity[:, 1::2] - velocity[:, ::2]) * hz  # over the 10 ms around a bin's centre
    pushed = (force[:, ::2] + force[:, 1::2]) / 2 / animal.constants["mass_kg"]
    expected = animal.truth["actuator"].values + pushed
    noise = change - expected
    assert noise.std() < 0.25 * change.std()
    assert abs((noise * expected).sum() / np.square(expected).sum()) < 0.05


def test_position_is_the_integral_of_velocity(animal: SimulatedAnimal) -> None:
    position, velocity = (animal.behavior[name].values for name in ("hand_pos", "hand_vel"))
    mean_velocity = (velocity[:, :-1] + velocity[:, 1:]) / 2
    step_s = 1 / animal.behavior["hand_pos"].rate_hz
    np.testing.assert_allclose(np.diff(position, axis=1), mean_velocity * step_s, atol=2e-5)


def test_without_noise_the_mass_obeys_newton(body: Body, schedule: Schedule) -> None:
    quiet = dataclasses.replace(body, motor_noise=0.0, process_noise_m_s2=0.0)
    loop = _run(quiet, schedule)
    acceleration = loop.actuator + loop.force / body.mass_kg
    np.testing.assert_allclose(np.diff(loop.velocity, axis=1), STEP_S * acceleration[:, :-1], atol=1e-12)


def test_a_jump_moves_the_objective_only_after_the_delay(animal: SimulatedAnimal) -> None:
    goal, columns = animal.truth["objective"], animal.trial_columns
    centre = goal.start_s + animal.bin_s * np.arange(goal.values.shape[1])
    arrival = animal.trial_truth["jump_arrival_time"]
    jumped = np.flatnonzero(~np.isnan(columns["jump_time"]))
    assert jumped.size > 0
    for trial in jumped:
        assert arrival[trial] == pytest.approx(columns["jump_time"][trial] + animal.constants["delay_s"])
        known = (centre > columns["target_on_time"][trial] + 0.2) & (centre < arrival[trial])
        old = columns["target_x"][trial], columns["target_y"][trial]
        new = columns["final_target_x"][trial], columns["final_target_y"][trial]
        np.testing.assert_allclose(goal.values[trial, known], np.tile(old, (known.sum(), 1)), atol=1e-9)
        settled = centre > arrival[trial] + 0.04
        np.testing.assert_allclose(goal.values[trial, settled], np.tile(new, (settled.sum(), 1)), atol=1e-9)


def test_a_push_reaches_the_command_only_after_the_delay(body: Body, schedule: Schedule) -> None:
    """With and without the pulse, commands are equal to the bit until a delay after its onset, then differ."""
    unpushed = dataclasses.replace(schedule, pulse_n=np.zeros_like(schedule.pulse_n))
    with_push, without = _run(body, schedule), _run(body, unpushed)
    differs = np.any(with_push.command != without.command, axis=-1)
    first = np.argmax(differs, axis=1)
    assert np.all(differs.any(axis=1))
    assert np.all(first * STEP_S >= schedule.pulse_s + body.delay_s - STEP_S)
    moved = np.any(with_push.velocity != without.velocity, axis=-1)
    assert np.all(np.argmax(moved, axis=1) * STEP_S < schedule.pulse_s + 3 * STEP_S)


def test_the_estimate_is_exact_where_nothing_is_unpredictable(body: Body, schedule: Schedule) -> None:
    """The forward model rolls the delayed state through the commands: without noise and pushes it is the state."""
    quiet = dataclasses.replace(body, motor_noise=0.0, process_noise_m_s2=0.0)
    loop = _run(quiet, dataclasses.replace(schedule, pulse_n=np.zeros_like(schedule.pulse_n)))
    np.testing.assert_allclose(loop.estimated_position, loop.position, atol=1e-12)
    np.testing.assert_allclose(loop.estimated_velocity, loop.velocity, atol=1e-12)


def test_the_muscle_lags_the_command(body: Body, schedule: Schedule) -> None:
    """The actuator is the exact first-order response to a command held over each step."""
    loop = _run(body, schedule)
    keep = np.exp(-STEP_S / body.muscle_lag_s)
    np.testing.assert_allclose(
        loop.actuator[:, 1:], keep * loop.actuator[:, :-1] + (1 - keep) * loop.command[:, :-1], atol=1e-12
    )


def test_rates_are_positive_counts_of_plausible_neurons(animal: SimulatedAnimal) -> None:
    rate = animal.truth["rate"].values
    assert rate.min() >= 0
    assert rate.max() / animal.bin_s <= 120
    mean_hz = animal.counts.mean(axis=(0, 1)) / animal.bin_s
    assert 3 < np.median(mean_hz) < 15
    score = (animal.counts - rate).sum() / np.sqrt(rate.sum())  # a standard normal if the counts are Poisson
    assert abs(score) < 4


def test_goals_on_the_disc_and_on_eight_points() -> None:
    columns = reach.simulate(trials=60, seed=1, goals="disc", jump_probability=0.5).trial_columns
    radius = np.hypot(columns["target_x"], columns["target_y"])
    assert radius.max() <= REACH_M
    assert (radius < 0.5 * REACH_M).mean() == pytest.approx(0.25, abs=0.15)
    columns = reach.simulate(trials=60, seed=1, jump_probability=1.0).trial_columns
    np.testing.assert_allclose(np.hypot(columns["target_x"], columns["target_y"]), REACH_M)
    moved = np.hypot(columns["target_x"] - columns["final_target_x"], columns["target_y"] - columns["final_target_y"])
    assert moved.min() > 0.03


def test_probabilities_of_zero_and_one() -> None:
    calm = reach.simulate(trials=10, seed=1, jump_probability=0.0, pulse_probability=0.0)
    assert np.all(np.isnan(calm.trial_columns["jump_time"]))
    assert np.all(calm.inputs["external_force"].values == 0)
    busy = reach.simulate(trials=10, seed=1, jump_probability=1.0, pulse_probability=1.0)
    assert np.all(np.isfinite(busy.trial_columns["jump_time"]))
    assert np.all(np.abs(busy.inputs["external_force"].values).max(axis=(1, 2)) > 0.5)


def test_a_heavier_hand_does_the_same_trials_more_slowly_and_still_lands() -> None:
    usual, heavy = (
        reach.simulate(trials=20, seed=8, jump_probability=0, pulse_probability=0, mass_scale=scale)
        for scale in (1.0, 2.0)
    )
    assert heavy.constants["mass_kg"] == 2 * usual.constants["mass_kg"]
    for name, values in usual.trial_columns.items():
        np.testing.assert_array_equal(values, heavy.trial_columns[name], err_msg=name)
    fast, slow = (np.linalg.norm(each.behavior["hand_vel"].values, axis=2).max(1) for each in (usual, heavy))
    assert (slow < fast).mean() > 0.9
    target = np.stack([usual.trial_columns["target_x"], usual.trial_columns["target_y"]], axis=1)
    assert np.median(np.linalg.norm(heavy.behavior["hand_pos"].values[:, -1] - target, axis=1)) < 0.02
