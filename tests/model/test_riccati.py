"""Doubling is the recursion it stands for, its limit is scipy's, and gradients pass through both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from ncyber_cli.model.riccati import LinearQuadratic, finite_horizon, gain, infinite_horizon

N, M, PLANTS = 5, 2, 4


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def problem(radius: float = 1.1) -> LinearQuadratic:
    """Plants with a largest eigenvalue of `radius`, unstable above one, and costs of full rank."""
    transition = random(PLANTS, N, N, seed=0)
    transition = radius * transition / torch.linalg.eigvals(transition).abs().amax(1)[:, None, None]
    cost, effort = random(PLANTS, N, N, seed=1), random(PLANTS, M, M, seed=2)
    return LinearQuadratic(
        transition,
        random(PLANTS, N, M, seed=3),
        cost @ cost.mT,
        effort @ effort.mT + 0.1 * torch.eye(M, dtype=torch.float64),
    )


def swept(found: LinearQuadratic, n_step: int) -> Tensor:
    """The obvious twin: one backward sweep of the Riccati recursion a step."""
    cost_to_go = torch.zeros_like(found.state_cost)
    for _ in range(n_step):
        closed = found.transition - found.drive @ gain(found, cost_to_go)
        cost_to_go = found.state_cost + found.transition.mT @ cost_to_go @ closed
    return cost_to_go


@pytest.mark.parametrize("radius", [0.5, 0.999, 1.3])
def test_the_infinite_horizon_is_scipys_algebraic_solution(radius: float) -> None:
    found = problem(radius)
    expected = [scipy.linalg.solve_discrete_are(*(part[k].numpy() for part in vars(found).values())) for k in range(4)]
    np.testing.assert_allclose(infinite_horizon(found).numpy(), np.array(expected), rtol=1e-6)


@pytest.mark.parametrize("n_step", [0, 1, 2, 3, 7, 64, 240])
def test_a_finite_horizon_is_so_many_sweeps(n_step: int) -> None:
    torch.testing.assert_close(finite_horizon(problem(), n_step), swept(problem(), n_step), rtol=1e-9, atol=1e-9)


def test_a_far_horizon_is_no_horizon() -> None:
    torch.testing.assert_close(finite_horizon(problem(), 3000), infinite_horizon(problem()), rtol=1e-10, atol=1e-10)


def test_the_gain_is_the_least_costly_first_step() -> None:
    """u = -K x minimises effort plus what the state after it costs: no gradient is left in u."""
    found, state = problem(), random(PLANTS, N, 1, seed=5)
    ahead = infinite_horizon(found)
    control = (-gain(found, ahead) @ state).requires_grad_()
    after = found.transition @ state + found.drive @ control
    cost = (control.mT @ found.effort_cost @ control + after.mT @ ahead @ after).sum()
    (gradient,) = torch.autograd.grad(cost, control)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-9, rtol=0)


@pytest.mark.parametrize("n_step", [None, 37])
def test_gradients_are_those_of_finite_differences(n_step: int | None) -> None:
    found = problem()

    def of(log_cost: Tensor, log_effort: Tensor, transition: Tensor, drive: Tensor) -> Tensor:
        here = LinearQuadratic(transition, drive, torch.diag_embed(log_cost.exp()), torch.diag_embed(log_effort.exp()))
        return gain(here, infinite_horizon(here) if n_step is None else finite_horizon(here, n_step))

    inputs = (random(2, N, seed=6), random(2, M, seed=7), found.transition[:2], found.drive[:2])
    assert torch.autograd.gradcheck(of, tuple(part.clone().requires_grad_() for part in inputs), atol=1e-5)


def test_a_common_scale_of_all_costs_changes_no_gain() -> None:
    found = problem()
    dearer = replace(found, state_cost=7 * found.state_cost, effort_cost=7 * found.effort_cost)
    torch.testing.assert_close(gain(dearer, infinite_horizon(dearer)), gain(found, infinite_horizon(found)))


def test_a_goal_that_stays_leaves_every_other_gain_as_it_was() -> None:
    """Though the cost of the goal in the state grows without end: position has its gain, the goal the opposite."""
    step = 0.0025
    one, zero = torch.eye(1, dtype=torch.float64)[None], torch.zeros(1, 1, 1, dtype=torch.float64)
    mass = LinearQuadratic(
        torch.tensor([[[1, step], [0, 1]]], dtype=torch.float64),
        torch.tensor([[[0.5 * step**2], [step]]], dtype=torch.float64),
        step * torch.diag(torch.tensor([3600.0, 76.0], dtype=torch.float64))[None],
        step * one,
    )
    error = torch.tensor([[[1.0, 0, -1]]], dtype=torch.float64)
    speed = torch.diag(torch.tensor([0, 76.0, 0], dtype=torch.float64))[None]
    pursuing = LinearQuadratic(
        torch.block_diag(mass.transition[0], one[0])[None],
        torch.cat([mass.drive, zero], 1),
        step * (3600 * error.mT @ error + speed),
        mass.effort_cost,
    )
    resting = gain(mass, infinite_horizon(mass))
    torch.testing.assert_close(
        gain(pursuing, infinite_horizon(pursuing)), torch.cat([resting, -resting[..., :1]], -1), rtol=1e-6, atol=1e-6
    )
