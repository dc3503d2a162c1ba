"""The optimal command: the gain is scipy's for the body as the loop steps it, and nothing cheaper reaches the goal."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import scipy.linalg
import torch
from test_body import BIN_S, linear_body
from torch import Tensor

from ncyber_cli.model.body import Body, PointMass
from ncyber_cli.model.controller import Belief, Lqr
from ncyber_cli.model.controller.lqr import FirstWeights
from ncyber_cli.model.plant import plant_of

STEPS = 8  # of the plant in a bin
ANIMAL = torch.tensor([0, 1, 1])
POSITION, VELOCITY = torch.tensor([8000.0, 12000.0]), torch.tensor([250.0, 400.0])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def arm(bin_s: float = BIN_S, lag_s: float | None = None) -> PointMass:
    """Two animals whose muscles differ; `lag_s` None learns the lag."""
    body = PointMass(2, 2, bin_s, torch.ones(2, 2), lag_s, None).double()
    if body.lag is not None:
        with torch.no_grad():
            body.lag.deviation.copy_(torch.tensor([-1.0, 0.5]))
    return body


def lqr(body: Body, horizon_s: float | None = None, n_velocity: int = 2) -> Lqr:
    plant = partial(plant_of, body, 2, body.bin_s)
    velocity = VELOCITY[:n_velocity]
    n_goal = 2 if isinstance(body, PointMass) else body.n_position
    position = POSITION[:1].expand(n_goal) if n_goal != 2 else POSITION
    controller = Lqr(
        plant, 3, 2, body.n_control, 5.0, torch.ones(3), FirstWeights(position, velocity), horizon_s
    ).double()
    with torch.no_grad():
        controller.position_weight.deviation.add_(0.3 * random(2, n_goal, seed=1))
        controller.gate.readout.bias.fill_(50.0)
    return controller


def stepped(body: Body, animal: int, state: Tensor, control: Tensor) -> Tensor:
    """The obvious twin: one short step of body and muscle, as the loop takes bins, on rows (body, actuator)."""
    index = torch.full((len(state),), animal)
    keep = 0.0 if body.lag is None else torch.exp(-body.bin_s / body.lag(index)[:, None])
    actuator = keep * state[:, body.n_body :] + (1 - keep) * control
    push = 0.5 * (state[:, body.n_body :] + actuator)
    return torch.cat([body.predict(body.at(index), state[:, : body.n_body], push), actuator], 1)


@pytest.mark.parametrize("lag_s", [None, 0.0], ids=["muscle", "no_muscle"])
def test_the_gain_is_scipys_for_the_body_as_the_loop_steps_it(lag_s: float | None) -> None:
    controller, fine = lqr(arm(lag_s=lag_s)), arm(BIN_S / STEPS, lag_s)
    with torch.no_grad():
        gains, weights = controller.optimal_gain(controller.plant()), controller.position_weight(torch.arange(2))
        for animal in range(2):
            n = 6
            transition = stepped(fine, animal, torch.eye(n).double(), torch.zeros(n, 2).double()).T.numpy()
            drive = stepped(fine, animal, torch.zeros(2, n).double(), torch.eye(2).double()).T.numpy()
            cost = np.diag([*weights[animal].tolist(), *VELOCITY.tolist(), 0, 0]) * BIN_S / STEPS
            effort = np.eye(2) * BIN_S / STEPS
            ahead = scipy.linalg.solve_discrete_are(transition, drive, cost, effort)
            expected = np.linalg.solve(effort + drive.T @ ahead @ drive, drive.T @ ahead @ transition)
            np.testing.assert_allclose(gains[animal, :, :n].numpy(), expected, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(gains[animal, :, n:].numpy(), -expected[:, :2], rtol=1e-6, atol=1e-6)


def cost_of_reaching(body: PointMass, controller: Lqr, gains: Tensor) -> Tensor:
    """What animal 0 pays for a second of short steps from rest, 0.1 m off its goal, under other gains."""
    state, total = torch.tensor([[-0.1, 0.06, 0, 0, 0, 0]]).double(), torch.zeros(()).double()
    weight = controller.position_weight(torch.tensor([0]))[0]
    for _ in range(400):
        control = -state @ gains.T
        total = total + (weight * state[0, :2] ** 2 + VELOCITY * state[0, 2:4] ** 2 + control[0] ** 2).sum()
        state = stepped(body, 0, state, control)
    return total


def test_no_other_gains_reach_a_goal_at_lower_cost() -> None:
    fine, controller = arm(BIN_S / STEPS), lqr(arm())
    with torch.no_grad():
        best = controller.optimal_gain(controller.plant())[0, :, :6]
        least = cost_of_reaching(fine, controller, best)
        for seed in range(4):
            other = best * (1 + 0.1 * random(2, 6, seed=seed))
            assert cost_of_reaching(fine, controller, other) > least


def test_weights_mean_the_same_in_bins_of_any_width() -> None:
    fine, coarse = (lqr(arm(bin_s)) for bin_s in (0.01, 0.02))
    torch.testing.assert_close(
        fine.optimal_gain(fine.plant()), coarse.optimal_gain(coarse.plant()), rtol=0.02, atol=1e-3
    )


def test_a_far_horizon_plans_as_one_without_end_and_a_near_one_does_less() -> None:
    endless, far, near = (lqr(arm(), horizon_s) for horizon_s in (None, 3.0, 0.1))
    gains = [controller.optimal_gain(controller.plant()) for controller in (endless, far, near)]
    torch.testing.assert_close(gains[1], gains[0], rtol=1e-6, atol=1e-6)
    assert gains[2][:, 0, 0].max() < 0.7 * gains[0][:, 0, 0].min()


@pytest.mark.parametrize("horizon_s", [None, 0.3])
def test_the_gradient_of_the_command_in_the_weights_is_that_of_finite_differences(horizon_s: float | None) -> None:
    controller = lqr(arm(), horizon_s)
    belief = Belief(0.1 * random(3, 4, seed=3), random(3, 2, seed=2))

    def command() -> Tensor:
        return controller.command(controller.at(ANIMAL), random(3, 3), 0.1 * random(3, 2, seed=4), belief)[0].sum()

    for weights in (controller.position_weight, controller.velocity_weight, controller.plant.args[0].lag):
        (gradient,) = torch.autograd.grad(command(), weights.log_shared)
        for entry in range(gradient.numel()):
            ends = []
            for shift in (1e-5, -1e-5):
                with torch.no_grad():
                    weights.log_shared.view(-1)[entry] += shift
                    ends.append(command())
                    weights.log_shared.view(-1)[entry] -= shift
            assert gradient.view(-1)[entry].item() == pytest.approx((ends[0] - ends[1]).item() / 2e-5, rel=1e-4)


def test_goal_and_body_move_together_without_effect_and_at_rest_on_the_goal_nothing_is_commanded() -> None:
    controller, body, goal = lqr(arm()), 0.1 * random(3, 4), 0.1 * random(3, 2, seed=1)
    here, latent = controller.at(ANIMAL), random(3, 3)
    belief = Belief(body, random(3, 2, seed=2))
    moved = replace(belief, body=body + torch.tensor([0.3, 0.3, 0, 0]))
    command, _ = controller.command(here, latent, goal, belief)
    torch.testing.assert_close(controller.command(here, latent, goal + 0.3, moved)[0], command, rtol=1e-6, atol=1e-8)
    resting = torch.cat([goal, torch.zeros(3, 2)], 1)
    calm = Belief(resting, torch.zeros(3, 2).double())
    torch.testing.assert_close(
        controller.command(here, latent, goal, calm)[0], torch.zeros(3, 2).double(), atol=1e-8, rtol=0
    )


def test_what_the_muscle_already_does_is_not_commanded_again() -> None:
    controller, body = lqr(arm()), torch.zeros(3, 4).double()
    here, goal = controller.at(ANIMAL), torch.zeros(3, 2).double()
    pushing = Belief(body, torch.ones(3, 2).double())
    assert torch.all(controller.command(here, random(3, 3), goal, pushing)[0] < 0)


def test_a_linear_body_is_led_to_its_goal_and_held_there() -> None:
    """Goals for every channel of a body of four with four controls; error is weighed above the effort of holding."""
    body = linear_body(0.3)
    body.n_control = 4
    with torch.no_grad():
        body.drive = torch.nn.Parameter(torch.eye(4).double())
        controller = lqr(body, n_velocity=0)
        controller.position_weight.log_shared.copy_((20 / body.sd).square().log())
        controller.position_weight.deviation.zero_()
        controller.bound.hold(1e9)
        here, terms, latent = controller.at(ANIMAL), body.at(ANIMAL), random(3, 3)
        goal = body.mean + body.sd * random(3, 4, seed=3)
        state, actuator = body.mean.expand(3, -1), torch.zeros(3, 4).double()
        for _ in range(300):
            belief = Belief(state, actuator)
            command, _ = controller.command(here, latent, goal, belief)
            after = torch.lerp(actuator, command, (1 - torch.exp(-BIN_S / body.lag(ANIMAL)))[:, None])
            state, actuator = body.predict(terms, state, 0.5 * (actuator + after)), after
    assert torch.all(((state - goal) / body.sd).abs() < 0.1)


def test_an_optimal_pursuit_keeps_up_with_a_goal_of_constant_velocity() -> None:
    """With its velocity in the objective a goal is tracked without lag; taken for a resting one it is not."""
    velocity, lags = torch.tensor([0.2, -0.1]).double(), []
    for moving in (True, False):
        controller, body = lqr(arm()), arm()
        controller.moving_goals = moving
        controller.bound.hold(1e6)
        with torch.no_grad():
            here, terms, latent = controller.at(ANIMAL), body.at(ANIMAL), random(3, 3)
            state, actuator = torch.zeros(3, 4).double(), torch.zeros(3, 2).double()
            for step in range(150):
                place = (step * BIN_S * velocity).expand(3, -1)
                goal = torch.cat([place, velocity.expand(3, -1)], 1) if moving else place
                command, _ = controller.command(here, latent, goal, Belief(state, actuator))
                after = torch.lerp(actuator, command, (1 - torch.exp(-BIN_S / body.lag(ANIMAL)))[:, None])
                state, actuator = body.predict(terms, state, 0.5 * (actuator + after)), after
            lags.append((state[:, :2] - (150 * BIN_S * velocity)).norm(dim=1).max().item())
    assert lags[0] < 1e-3 < 0.02 < lags[1]
