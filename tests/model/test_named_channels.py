"""Goals of a linear body are for its named position; its named velocity is damped; other channels move along."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tiny import MODELS, make_session, make_spec

from ncyber_cli.data.batches import Cohort
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.model.closed_loop import ClosedLoop
from ncyber_cli.model.linear_body import LinearBody
from ncyber_cli.training.measure import measure

NAMED = ["position_0", "position_1", "velocity_0", "velocity_1", "gaze_0"]
UNNAMED = ["speed_0", "angle_0", "bend_0", "bend_1", "gaze_0"]


def loop_of(names: list[str], controller: str = "setpoint", prior: str = "slow") -> ClosedLoop:
    """The model of a linear body with five channels, the last of them beside position and velocity."""
    session = make_session(trials=10, bins=20)
    gaze = np.random.default_rng(0).normal(size=(*session.mask.shape, 1)).astype(np.float32)
    session = replace(session, body=np.concatenate([session.body, gaze], 2), body_names=names, body_units=["m"] * 5)
    model: dict[str, Any] = {
        "controller": {"kind": controller},
        "body": {"kind": "linear"},
        "objective": {"prior": prior},
    }
    spec = make_spec(model)
    cohort = Cohort([session], ["a"], dtype=torch.float64)
    return assemble(spec, measure(spec, cohort), torch.Generator().manual_seed(0)).loop


@pytest.mark.parametrize("controller", ["setpoint", "lqr"])
@pytest.mark.parametrize(("names", "size"), [(NAMED, 2), (UNNAMED, 5)])
def test_goals_are_for_the_position_where_there_is_one_else_for_every_channel(
    controller: str, names: list[str], size: int
) -> None:
    loop = loop_of(names, controller)
    assert loop.objective is not None
    assert loop.objective.size == size


def test_position_and_velocity_are_read_and_driven_as_named() -> None:
    body = loop_of(NAMED).body
    assert isinstance(body, LinearBody)
    state = torch.arange(10, dtype=torch.float64).view(2, 5)
    assert torch.equal(body.position(state), state[:, :2])
    assert torch.equal(body.velocity(state), state[:, 2:4])
    assert torch.count_nonzero(loop_of(UNNAMED).body.velocity(state)) == 0
    # A control moves velocity first, and `pseudo_inverse` undoes just that.
    moved = (body.drive * body.sd)[:, 2:4]
    torch.testing.assert_close(body.pseudo_inverse().T @ moved, torch.eye(2).double())


def test_a_channel_that_is_no_goal_has_no_gain_in_a_setpoint() -> None:
    loop = loop_of(NAMED)
    gain = loop.controller.at(torch.tensor([0])).gain[0]
    assert gain.shape == (2, 5 + 2 + 2)
    assert torch.count_nonzero(gain[:, 4]) == 0
    torch.testing.assert_close(gain[:, 7:], -gain[:, :2])


@pytest.mark.parametrize("controller", ["setpoint", "lqr"])
def test_moving_goals_have_position_and_velocity(controller: str) -> None:
    loop = loop_of(NAMED, controller, "moving")
    assert loop.objective is not None
    assert (loop.objective.size, loop.objective.n_axis) == (4, 2)
    gain = loop.controller.at(torch.tensor([0])).gain[0]
    assert gain.shape == (2, 5 + 2 + 4)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"controller": {"kind": "lqr"}}, "controller lqr needs a body"),
        ({"controller": {"kind": "setpoint"}, "objective": {"prior": "moving"}}, "moving goals need a body"),
        ({**MODELS["mlp_controller"], "objective": {"prior": "moving"}}, "moving goals need a body and controller"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(model: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make_spec(model)
