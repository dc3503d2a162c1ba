"""Linear-quadratic control, differentiable: cost-to-go and gain of many plants at once.

Minimise sum_k x_k' Q x_k + u_k' R u_k under x_{k+1} = A x_k + B u_k. Seen from its first and its last
state, any number of optimally controlled steps is one triple (A, G, H) that maps the cost-to-go P
after them to the one before them, H + A' P (I + G P)^-1 A. Triples compose, so that n steps take
log2(n) compositions: doubling, which converges quadratically (Anderson 1978; Chu, Fan & Lin
2005), and which gradients pass through without the growth of a long recursion.

Goals that stay where they are belong in the state: their cost grows without end, but no gain
depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

_DOUBLINGS = 16  # 65536 steps: beyond the memory of any plant worth controlling, and free once converged


@dataclass(frozen=True)
class LinearQuadratic:
    """Plants and their costs, column vectors; every entry may differ along the leading axis."""

    transition: Float[Tensor, "plant n n"]  # A
    drive: Float[Tensor, "plant n m"]  # B
    state_cost: Float[Tensor, "plant n n"]  # Q, positive semidefinite
    effort_cost: Float[Tensor, "plant m m"]  # R, positive


@dataclass(frozen=True)
class _Steps:
    """Some steps under optimal control, as one."""

    transition: Float[Tensor, "plant n n"]
    reach: Float[Tensor, "plant n n"]  # G: where effort can lead, over what it costs
    cost: Float[Tensor, "plant n n"]  # H: cost-to-go if nothing is charged afterwards

    def then(self, later: _Steps) -> _Steps:
        n = self.cost.shape[-1]
        meet = torch.eye(n, device=self.cost.device, dtype=self.cost.dtype) + self.reach @ later.cost
        solved = torch.linalg.solve(meet, torch.cat([self.transition, self.reach @ later.transition.mT], -1))
        return _Steps(
            later.transition @ solved[..., :n],
            later.reach + later.transition @ solved[..., n:],
            self.cost + self.transition.mT @ later.cost @ solved[..., :n],
        )


def infinite_horizon(problem: LinearQuadratic) -> Float[Tensor, "plant n n"]:
    """The stabilising solution P of the algebraic Riccati equation P = Q + A' P (I + B R^-1 B' P)^-1 A."""
    steps = _one_step(problem)
    for _ in range(_DOUBLINGS):
        steps = steps.then(steps)
    return steps.cost


def finite_horizon(problem: LinearQuadratic, n_step: int) -> Float[Tensor, "plant n n"]:
    """Cost-to-go P of the next `n_step` states, their first included: `n_step` sweeps of the recursion from zero."""
    power, rest, whole = _one_step(problem), n_step, None
    while rest:
        if rest % 2:
            whole = power if whole is None else whole.then(power)
        rest //= 2
        if rest:
            power = power.then(power)
    return torch.zeros_like(problem.state_cost) if whole is None else whole.cost


def gain(problem: LinearQuadratic, cost_to_go: Float[Tensor, "plant n n"]) -> Float[Tensor, "plant m n"]:
    """K of the optimal u = -K x when P is what the state after this step will cost."""
    weighed = problem.drive.mT @ cost_to_go
    found: Tensor = torch.linalg.solve(problem.effort_cost + weighed @ problem.drive, weighed @ problem.transition)
    return found


def _one_step(problem: LinearQuadratic) -> _Steps:
    reach = problem.drive @ torch.linalg.solve(problem.effort_cost, problem.drive.mT)
    return _Steps(problem.transition, reach, problem.state_cost)
