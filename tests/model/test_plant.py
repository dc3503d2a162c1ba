"""A command held for a bin does to the muscle what feedback in every short step of the bin would have done."""

from __future__ import annotations

import pytest
import torch
from test_body import BIN_S, linear_body, point_mass, random
from torch import Tensor

from ncyber_cli.model.body import Body, PointMass
from ncyber_cli.model.plant import plant_of

STEPS = 8


def with_lag(body: Body, learned: bool) -> Body:
    if not learned:
        body.lag = None
    return body


def gain_of(body: Body) -> Tensor:
    """Any feedback on (body, actuator, goal) of two animals; goals are for the first two channels."""
    return torch.cat([20 * random(2, 2, 4), random(2, 2, 2, seed=1), 20 * random(2, 2, 2, seed=2)], 2)


@pytest.mark.parametrize("body", [point_mass(), linear_body(0.3)], ids=["point_mass", "linear"])
@pytest.mark.parametrize("muscle", [True, False], ids=["muscle", "no_muscle"])
def test_a_held_command_takes_the_muscle_where_feedback_at_every_step_does(body: Body, muscle: bool) -> None:
    body = with_lag(body, muscle)
    with torch.no_grad():
        plant, gain = plant_of(body, 2, BIN_S), gain_of(body)
        state, goal = random(2, 6, 1, seed=3), random(2, 2, 1, seed=4)
        here = state
        for _ in range(STEPS):
            here = plant.transition @ here - plant.drive @ gain @ torch.cat([here, goal], 1)
        command = -plant.held(gain, moving=False) @ torch.cat([state, goal], 1)
        keep = plant.keep**STEPS
        torch.testing.assert_close(keep * state[:, 4:] + (1 - keep) * command, here[:, 4:])


@pytest.mark.parametrize("body", [point_mass(), linear_body(0.3)], ids=["point_mass", "linear"])
def test_a_bin_of_short_steps_under_a_constant_muscle_is_the_bodys_own_bin(body: Body) -> None:
    """The parts of a bin, put together, are `predict`."""
    animal, state, push = torch.tensor([0, 1]), random(2, 4), random(2, 2, seed=1)
    part = body.part(animal, STEPS)
    here = (state - part.origin)[:, :, None]
    for _ in range(STEPS):
        here = part.transition @ here + part.drive @ push[:, :, None]
    torch.testing.assert_close(here[:, :, 0] + part.origin, body.predict(body.at(animal), state, push))


def test_feedback_in_a_bin_that_is_short_needs_no_foresight() -> None:
    body = PointMass(2, 2, 1e-5, torch.ones(2, 2), None, None).double()
    gain = gain_of(body)
    torch.testing.assert_close(plant_of(body, 2, 1e-5).held(gain, moving=False), gain, rtol=1e-2, atol=1e-2)


def test_a_goal_that_moves_is_foreseen_to_move() -> None:
    """Feedback in every short step on a goal that its own velocity carries along, against the held command."""
    body = point_mass()
    with torch.no_grad():
        plant, gain = plant_of(body, 2, BIN_S), torch.cat([gain_of(body), 20 * random(2, 2, 2, seed=5)], 2)
        start, goal, velocity = random(2, 6, 1, seed=3), random(2, 2, 1, seed=4), random(2, 2, 1, seed=6)
        here, place = start, goal
        for _ in range(STEPS):
            here = plant.transition @ here - plant.drive @ gain @ torch.cat([here, place, velocity], 1)
            place = place + plant.step_s * velocity
        command = -plant.held(gain, moving=True) @ torch.cat([start, goal, velocity], 1)
        keep = plant.keep**STEPS
        torch.testing.assert_close(keep * start[:, 4:] + (1 - keep) * command, here[:, 4:])
