"""The objective's prior pays for change: slowly, by rare jumps, or not at all."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch

from ncyber_cli.model.objective import Objective

BIN_S = 0.02
MEAN, SD = torch.tensor([0.5, -1.0], dtype=torch.float64), torch.tensor([0.1, 2.0], dtype=torch.float64)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make(prior: Literal["slow", "jump", "static"], jump_rate_hz: float = 1.0) -> Objective:
    return Objective(prior, MEAN, SD, BIN_S, jump_rate_hz)


def sample(objective: Objective, bins: int = 60, trials: int = 4000) -> torch.Tensor:
    uniform = torch.rand(bins, trials, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        return objective.sample(random(bins, trials, 2), uniform)


@pytest.mark.parametrize("prior", ["slow", "jump", "static"])
def test_every_prior_is_stationary(prior: Literal["slow", "jump", "static"]) -> None:
    path = sample(make(prior))
    for t in (0, -1):
        torch.testing.assert_close(path[t].mean(0), MEAN, rtol=0, atol=0.1)
        torch.testing.assert_close(path[t].std(0) / SD, torch.ones(2, dtype=torch.float64), rtol=0, atol=0.05)


def test_jumps_come_at_the_stated_rate() -> None:
    objective = make("jump", jump_rate_hz=2.0)
    step = objective.transition()
    path = sample(objective)
    drift = (path[1:] - MEAN - step.decay * (path[:-1] - MEAN)) / step.variance.sqrt()
    jumped = (drift.abs().amax(-1) > 5).double().mean() / 0.02
    assert jumped == pytest.approx(2.0, rel=0.1)  # a redraw is hardly ever as small as five sds of drift


def test_only_a_slow_objective_learns_its_time_constant_and_pays_for_a_short_one() -> None:
    assert [make(prior).log_tau.requires_grad for prior in ("slow", "jump", "static")] == [True, False, False]
    slow = make("slow")
    at_prior = slow.log_prior().item()
    with torch.no_grad():
        slow.log_tau.fill_(math.log(0.5))
    assert slow.log_prior().item() < at_prior - 50


def test_annealing_ends_where_only_jumps_explain_a_change() -> None:
    jump, slow = make("jump"), make("slow")
    seconds = []
    for progress in (0.0, 0.35, 1.0):
        jump.anneal(progress)
        slow.anneal(progress)
        seconds.append(jump.log_tau[0].exp().item())
    assert seconds[0] == pytest.approx(8.0)
    assert seconds[0] < seconds[1] < seconds[2]
    torch.testing.assert_close(slow.log_tau, make("slow").log_tau)


def test_normalised_paths_have_unit_variance_units() -> None:
    objective, path = make("slow"), random(5, 3, 2)
    torch.testing.assert_close(objective.normalise(MEAN + SD * path), path)


def test_a_moving_goal_goes_where_its_velocity_carries_it() -> None:
    """Without noise position gains bin_s times velocity in a bin, and velocity fades within a second."""
    sd = torch.tensor([0.1, 0.1, 0.3, 0.3], dtype=torch.float64)
    objective = Objective("moving", torch.zeros(4).double(), sd, BIN_S).double()
    held = torch.full((101, 1, 4), torch.nan, dtype=torch.float64)
    held[0, 0] = torch.tensor([0.0, 0.05, 0.3, -0.1])
    path = objective.sample(torch.zeros(101, 1, 4, dtype=torch.float64), torch.ones(101, 1), held)[:, 0]
    carried = held[0, 0, :2] + BIN_S * torch.cat([torch.zeros(1, 2), path[:-1, 2:].cumsum(0)])
    torch.testing.assert_close(path[:, :2], carried, atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(path[-1, 2:], held[0, 0, 2:] * torch.tensor(-100 * BIN_S).double().exp())
    assert (objective.moving, objective.n_axis, objective.size) == (True, 2, 4)
    assert objective.drift_s() == pytest.approx(400)


def test_the_matrix_of_a_transition_is_what_ahead_does() -> None:
    for prior in ("slow", "moving"):
        step = Objective(prior, torch.tensor([0.2, -0.3]).double(), torch.ones(2).double(), BIN_S).double().transition()
        here = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        torch.testing.assert_close(step.ahead(here), step.ahead(step.mean) + (here - step.mean) @ step.matrix().T)
