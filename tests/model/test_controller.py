"""The command pulls towards the goal in the body's units, never beyond its bound, never through a closed gate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ncyber_cli.model.controller import Belief, Controller, MLPController, Setpoint
from ncyber_cli.model.controller.setpoint import Pull

ANIMAL = torch.tensor([0, 1, 1, 0])


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def setpoint() -> Setpoint:
    controller = Setpoint(2, 3, 2, 5.0, torch.tensor([1.0, 1.0, 0.0]), Pull(4, 2, True)).double()
    with torch.no_grad():
        for seed, parameter in enumerate(controller.parameters()):
            parameter.add_(0.3 * random(*parameter.shape, seed=seed))
    return controller


def state(scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, Belief]:
    """Latent, objective, and belief of position and velocity, of four trials."""
    belief = Belief(scale * random(4, 4, seed=2), random(4, 2, seed=4))
    return random(4, 3), scale * random(4, 2, seed=1), belief


def shifted(belief: Belief, position: float = 0.0, velocity: float = 0.0) -> Belief:
    return replace(belief, body=belief.body + torch.tensor([position, position, velocity, velocity]))


def with_gate(controller: Setpoint, offset: float) -> Setpoint:
    with torch.no_grad():
        controller.gate.readout.bias.fill_(offset)
    return controller


def test_the_command_is_its_equation() -> None:
    controller, (latent, goal, belief) = setpoint(), state(0.1)
    command, gate = controller.command(controller.at(ANIMAL), latent, goal, belief)
    for trial, animal in enumerate(ANIMAL):
        factor = np.tril(controller.factor.detach().numpy())
        stiffness = controller.stiffness(animal[None])[0].item() * factor @ factor.T
        damping, bound = controller.damping(animal[None])[0].detach().numpy(), controller.bound(animal[None])[0].item()
        weight = controller.gate.readout.weight.detach().numpy()[0] * [1, 1, 0]
        raw = (
            weight @ latent[trial].numpy() + controller.gate.readout.bias.item() + controller.gate.offset[animal].item()
        )
        open_share = np.clip(1.1 / (1 + np.exp(-raw)) - 0.05, 0, 1)
        pull = stiffness @ (goal - belief.body[:, :2])[trial].numpy() - damping * belief.body[trial, 2:].numpy()
        expected = open_share * bound * np.tanh(pull / bound)
        np.testing.assert_allclose(command[trial].detach().numpy(), expected, rtol=1e-10)
        np.testing.assert_allclose(gate[trial].item(), open_share, rtol=1e-10)


def test_no_goal_is_far_enough_to_exceed_the_bound() -> None:
    controller = with_gate(setpoint(), 20.0)
    command, _ = controller.command(controller.at(ANIMAL), *state(1e6))
    torch.testing.assert_close(command.abs(), controller.bound(ANIMAL)[:, None].expand(4, 2))


def test_a_closed_gate_commands_exactly_nothing_and_an_open_one_everything() -> None:
    for offset, expected in ((-20.0, 0.0), (20.0, 1.0)):
        controller = with_gate(setpoint(), offset)
        command, gate = controller.command(controller.at(ANIMAL), *state())
        assert torch.all(gate == expected)
        assert (command.abs().sum() == 0) == (expected == 0)


def test_at_rest_on_the_goal_nothing_is_commanded() -> None:
    controller, (latent, goal, _) = setpoint(), state()
    command, _ = controller.command(controller.at(ANIMAL), latent, goal, Belief(torch.cat([goal, 0 * goal], 1), goal))
    torch.testing.assert_close(command, torch.zeros_like(command), atol=1e-12, rtol=0)


def test_goal_and_position_move_together_without_effect() -> None:
    controller, (latent, goal, belief) = setpoint(), state()
    here = controller.at(ANIMAL)
    command, _ = controller.command(here, latent, goal, belief)
    elsewhere, _ = controller.command(here, latent, goal + 3, shifted(belief, position=3))
    torch.testing.assert_close(elsewhere, command)


def test_only_the_named_areas_open_the_gate() -> None:
    controller, (latent, *rest) = setpoint(), state()
    other = latent.clone()
    other[:, 2] += 5
    here = controller.at(ANIMAL)
    assert torch.equal(controller.command(here, other, *rest)[1], controller.command(here, latent, *rest)[1])


def test_the_stiffness_is_positive_whatever_the_weights() -> None:
    controller = setpoint()
    with torch.no_grad():
        controller.factor.copy_(5 * random(2, 2, seed=8))
    stiffness = controller.stiffness_of(ANIMAL)
    assert torch.linalg.eigvalsh(stiffness).min() > 0
    torch.testing.assert_close(stiffness, stiffness.mT)


def test_a_projection_turns_the_wanted_change_into_controls() -> None:
    projection = random(3, 2, seed=4)
    controller = Setpoint(2, 3, 2, 1e6, torch.ones(3), Pull(5, 3, True, lambda: projection)).double()
    plain = Setpoint(2, 3, 2, 1e6, torch.ones(3), Pull(4, 2, True)).double()
    plain.load_state_dict(controller.state_dict())
    latent, goal, belief = state(1e-3)
    further = Belief(torch.cat([belief.body, random(4, 1)], 1), random(4, 3))  # a channel that is no goal
    projected, _ = controller.command(controller.at(ANIMAL), latent, goal, further)
    wanted, _ = plain.command(plain.at(ANIMAL), latent, goal, belief)
    torch.testing.assert_close(projected, wanted @ projection.T, rtol=1e-6, atol=1e-9)


def test_a_body_that_moves_along_with_a_moving_goal_needs_no_command() -> None:
    """On the goal and at its velocity nothing is commanded; a stationary setpoint would brake."""
    controller = Setpoint(2, 3, 2, 5.0, torch.ones(3), Pull(4, 2, True, moving_goals=True)).double()
    together = random(4, 4, seed=3)
    along, _ = controller.command(controller.at(ANIMAL), random(4, 3), together, Belief(together, random(4, 2)))
    torch.testing.assert_close(along, torch.zeros_like(along), atol=1e-12, rtol=0)
    faster = together + torch.tensor([0, 0, 1.0, 1.0])
    pulled, _ = controller.command(controller.at(ANIMAL), random(4, 3), faster, Belief(together, random(4, 2)))
    assert torch.all(pulled > 0)


def test_the_unstructured_controller_sees_brain_and_goal_alone() -> None:
    controller = MLPController(3, 2, 2, 8, 5.0).double()
    latent, goal, belief = state()
    command, gate = controller.command(controller.at(ANIMAL), latent, goal, belief)
    elsewhere, _ = controller.command(None, latent, goal, shifted(belief, 1, -1))
    assert torch.equal(command, elsewhere)
    assert torch.all(gate == 1)


@pytest.mark.parametrize("controller", [setpoint(), MLPController(3, 2, 2, 8, 5.0)], ids=["setpoint", "mlp"])
def test_a_controller_is_what_the_loop_asks_for(controller: Controller) -> None:
    assert isinstance(controller, Controller)
    assert torch.isfinite(controller.log_prior())
