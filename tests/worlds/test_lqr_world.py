"""Animals that minimise known costs: nothing cheaper lands, and the truth says what they weigh."""

from __future__ import annotations

import numpy as np
import pytest

from ncyber_cli.worlds import lqr
from ncyber_cli.worlds.lqr import CostWeights, draw_weights, optimal_gains
from ncyber_cli.worlds.reach_loop import STEP_S
from ncyber_cli.worlds.simulated import SimulatedAnimal

LAG_S = 0.04


@pytest.fixture(scope="module")
def animal() -> SimulatedAnimal:
    return lqr.simulate(trials=40, seed=8)


def cost(weights: CostWeights, gains: np.ndarray) -> float:
    """What axis 0 pays for reaching 0.1 m from rest, step by step."""
    keep, state, total = np.exp(-STEP_S / LAG_S), np.array([-0.1, 0.0, 0.0]), 0.0
    for _ in range(1200):
        control = -gains @ state
        total += weights.position_per_s4[0] * state[0] ** 2 + weights.velocity_per_s2[0] * state[1] ** 2 + control**2
        place, speed, muscle = state
        place, speed = place + STEP_S * speed + 0.5 * STEP_S**2 * muscle, speed + STEP_S * muscle
        state = np.array([place, speed, keep * muscle + (1 - keep) * control])
    return float(total)


def test_no_other_gains_cost_less() -> None:
    rng = np.random.default_rng(0)
    weights = draw_weights(rng)
    best = optimal_gains(weights, LAG_S)[0]
    for _ in range(10):
        assert cost(weights, best * (1 + 0.1 * rng.standard_normal(3))) > cost(weights, best)


def test_dearer_speed_damps_the_animal_and_equal_axes_have_equal_gains() -> None:
    calm, hasty = (CostWeights(np.array([5e3, 5e3]), np.array([w, w])) for w in (600.0, 60.0))
    assert optimal_gains(calm, LAG_S)[0, 1] > optimal_gains(hasty, LAG_S)[0, 1]
    np.testing.assert_allclose(optimal_gains(calm, LAG_S)[0], optimal_gains(calm, LAG_S)[1])


def test_the_hand_lands_and_the_truth_names_weights_and_gains(animal: SimulatedAnimal) -> None:
    columns, known = animal.trial_columns, animal.constants
    target = np.stack([columns["final_target_x"], columns["final_target_y"]], axis=1)
    miss = np.linalg.norm(animal.behavior["hand_pos"].values[:, -1] - target, axis=1)
    assert np.median(miss) < 0.004
    assert np.quantile(miss, 0.95) < 0.012
    weights = CostWeights(
        *(
            np.array([known[name.format(axis)] for axis in (0, 1)])
            for name in (
                "position_weight_{}_per_s4",
                "velocity_weight_{}_per_s2",
            )
        )
    )
    gains = optimal_gains(weights, known["muscle_lag_s"])
    np.testing.assert_allclose([known["stiffness_00_per_s2"], known["stiffness_11_per_s2"]], gains[:, 0])
    np.testing.assert_allclose([known["damping_00_per_s"], known["damping_11_per_s"]], gains[:, 1])
    np.testing.assert_allclose([known["restraint_0"], known["restraint_1"]], gains[:, 2])
    assert (animal.world, animal.animal) == ("lqr", "lqr-1")


def test_trials_do_not_change_the_animal_and_animals_differ() -> None:
    few, many = (lqr.simulate(trials=trials, seed=8) for trials in (2, 5))
    assert few.constants == many.constants
    assert lqr.simulate(trials=2, seed=8, animal=1).constants["position_weight_0_per_s4"] != pytest.approx(
        few.constants["position_weight_0_per_s4"]
    )
