"""`ncyber/Reach-v0` keeps the rules of Gymnasium and the laws of a mass with a muscle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.utils.env_checker import check_env  # noqa: E402

from ncyber_cli.worlds.reach_animal import draw_body  # noqa: E402
from ncyber_cli.worlds.reach_env import LANDED_M, REACH_ID, ReachEnv  # noqa: E402
from ncyber_cli.worlds.reach_loop import STEP_S, run_loop  # noqa: E402
from ncyber_cli.worlds.reach_task import draw_schedule  # noqa: E402

NEVER = np.zeros(2)


def pushed(env: ReachEnv, action: Any, steps: int, seed: int = 0) -> np.ndarray:
    """Position and velocity (step, 4), the first before any step, under a constant action."""
    seen = [env.reset(seed=seed)[0]]
    seen += [env.step(np.asarray(action))[0] for _ in range(steps)]
    return np.stack(seen)[:, :4]


# The checker would like actions between -1 and 1; ours have units.
@pytest.mark.filterwarnings("ignore:.*recommend using a symmetric and normalized space")
@pytest.mark.parametrize("settings", [{}, {"motor_noise": 0.1, "pulse_probability": 1.0, "muscle_lag_s": 0.05}])
def test_gymnasiums_own_checks_pass(settings: dict[str, Any]) -> None:
    check_env(gymnasium.make(REACH_ID, **settings).unwrapped)


def test_a_constant_acceleration_moves_it_along_a_parabola() -> None:
    seen = pushed(ReachEnv(step_s=0.03), [2.0, -1.0], 20)
    time, a = 0.03 * np.arange(21)[:, None], np.array([2.0, -1.0])
    np.testing.assert_allclose(seen[:, :2], seen[0, :2] + 0.5 * a * time**2, atol=1e-12)
    np.testing.assert_allclose(seen[:, 2:], a * time, atol=1e-12)


def test_a_force_moves_twice_the_mass_half_as_far() -> None:
    moved = [pushed(ReachEnv(command="force", mass_kg=mass), [1.0, 0.0], 10)[-1, 2] for mass in (1.0, 2.0)]
    assert moved[0] == pytest.approx(2 * moved[1])


def test_the_muscle_is_a_first_order_lag() -> None:
    env, lag_s = ReachEnv(muscle_lag_s=0.06, step_s=0.02), 0.06
    env.reset(seed=0)
    for step in range(1, 10):
        env.step(np.array([3.0, 0.0]))
        assert env.actuator[0] == pytest.approx(3.0 * (1 - np.exp(-0.02 * step / lag_s)))


def test_it_is_the_plant_of_the_reaching_world() -> None:
    """Sent the commands of the world's own animal, it goes where that animal went."""
    rng = np.random.default_rng(0)
    body = replace(draw_body(rng), motor_noise=0.0, process_noise_m_s2=0.0)
    loop = run_loop(body, draw_schedule(1, rng, "disc", 0.5, 0.0), 600, rng)
    env = ReachEnv(step_s=STEP_S, muscle_lag_s=body.muscle_lag_s, mass_kg=body.mass_kg)
    env.reset(seed=0)
    env.position = loop.position[0, 0]
    seen = np.stack([env.step(command)[0][:4] for command in loop.command[0, :-1]])
    np.testing.assert_allclose(seen[:, :2], loop.position[0, 1:], atol=1e-12)
    np.testing.assert_allclose(seen[:, 2:], loop.velocity[0, 1:], atol=1e-12)


def test_a_pulse_is_an_impulse_over_the_mass_in_its_own_time() -> None:
    light, heavy = (pushed(ReachEnv(pulse_probability=1.0, mass_kg=mass), NEVER, 90, seed=3) for mass in (1.0, 2.0))
    begun = 0.02 * np.flatnonzero(np.abs(light[:, 2:]).max(1) > 0)[0]
    assert 0.4 + 0.05 - 0.02 <= begun <= 0.4 + 0.6 + 0.02
    np.testing.assert_allclose(light[-1, 2:], 2 * heavy[-1, 2:])
    speed = np.linalg.norm(light[-1, 2:])
    assert 1.0 * 0.06 * 2 / np.pi - 1e-3 < speed < 2.5 * 0.1 * 2 / np.pi + 1e-3  # a half sine of 1 - 2.5 N, 60 - 100 ms


def test_without_noise_only_the_action_moves_it_and_with_it_noise_goes_with_the_command() -> None:
    assert (pushed(ReachEnv(), NEVER, 30)[:, 2:] == 0).all()
    still, moving = (pushed(ReachEnv(motor_noise=0.2), action, 30)[:, 3] for action in (NEVER, np.array([4.0, 0.0])))
    assert (still == 0).all()
    assert moving.std() > 0


def test_the_seed_decides_everything() -> None:
    settings = {"motor_noise": 0.1, "process_noise_m_s2": 0.1, "pulse_probability": 0.5}
    first, again, other = (pushed(ReachEnv(**settings), [1.0, 1.0], 60, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_it_pays_for_distance_and_effort_and_ends_when_landed() -> None:
    env = ReachEnv(effort=1e-3)
    observation, info = env.reset(seed=1)
    np.testing.assert_array_equal(info["target"], observation[4:])
    ended = truncated = False
    while not (ended or truncated):
        pull = 60 * (observation[4:] - observation[:2]) - 14 * observation[2:4]
        observation, reward, ended, truncated, _ = env.step(pull)
        gap = np.linalg.norm(observation[:2] - observation[4:])
        assert reward == pytest.approx(-(gap**2 + 1e-3 * pull @ pull))
    assert ended
    assert gap < LANDED_M


def test_an_episode_that_never_lands_is_truncated() -> None:
    env = ReachEnv(trial_s=0.5)
    env.reset(seed=0)
    ends = [env.step(np.array([9.0, 0.0]))[2:4] for _ in range(25)]
    assert ends == [(False, False)] * 24 + [(False, True)]
