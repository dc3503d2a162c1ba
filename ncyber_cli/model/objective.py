"""What the controller pursues, and how it may change: a prior that pays for every change.

The posterior of the objective is a Gauss-Markov chain: the prior's transition corrected by the
encoder's message in each bin (inference/filter.py), sampled before the recursion because the
objective does not depend on the brain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ncyber_cli.model.prototypes import PrototypeLaw, Prototypes

_LOG_TAU_PRIOR = (math.log(8.0), 0.2)  # a freely learned time constant turns the objective into a control
_LOG_TAU_BETWEEN_JUMPS = math.log(400.0)  # where changes have a term of their own, the rest hardly drifts
_GOAL_VELOCITY_S = 1.0  # prior `moving`: how long a goal keeps its velocity; not learned, for the reason above
_ANNEAL = (0.1, 0.6)  # share of training over which `jump` and `switching` go from the first to the second


@dataclass(frozen=True)
class ObjectiveTransition:
    """o_t | o_{t-1} ~ N(mean + decay (o_{t-1} - mean), variance), per dimension.

    Where `flow_s` is not zero the second half are velocities of the first, which move it on for so long.
    """

    mean: Float[Tensor, " n_objective"]
    stationary_variance: Float[Tensor, " n_objective"]
    decay: Float[Tensor, " n_objective"]
    variance: Float[Tensor, " n_objective"]
    flow_s: float = 0.0

    def ahead(self, objective: Float[Tensor, "*batch n_objective"]) -> Float[Tensor, "*batch n_objective"]:
        """The mean of the next bin."""
        mean = torch.addcmul((1 - self.decay) * self.mean, self.decay, objective)
        if self.flow_s == 0:
            return mean
        position, velocity = mean.chunk(2, -1)
        return torch.cat([position + self.flow_s * objective[..., position.shape[-1] :], velocity], -1)

    def matrix(self) -> Float[Tensor, "n_objective n_objective"]:
        """What `ahead` does to a deviation, for column vectors."""
        one = torch.eye(len(self.decay), device=self.decay.device, dtype=self.decay.dtype)
        return self.ahead(self.mean + one).T - self.ahead(self.mean)[:, None]


class Objective(nn.Module):
    """Priors `slow` (AR(1)), `jump` (AR(1) with rare redraws), `static`, `moving` and `switching`.

    With `moving` goals have a velocity: the objective is (position, velocity), and position follows velocity.
    `switching` is `jump` until its prototypes are placed; see model/prototypes.py.
    """

    mean: Tensor
    sd: Tensor

    def __init__(
        self,
        prior: Literal["slow", "jump", "static", "moving", "switching"],
        mean: Float[Tensor, " n_objective"],
        sd: Float[Tensor, " n_objective"],
        bin_s: float,
        jump_rate_hz: float = 0.1,
        most_prototypes: int = 0,
    ) -> None:
        super().__init__()
        self.prior, self.bin_s = prior, bin_s
        self.jump_probability = 1 - math.exp(-jump_rate_hz * bin_s)
        self.register_buffer("mean", mean)
        self.register_buffer("sd", sd)
        self.log_tau = nn.Parameter(torch.full_like(mean, _LOG_TAU_PRIOR[0]), requires_grad=prior == "slow")
        if prior == "moving":
            self.log_tau.data.fill_(_LOG_TAU_BETWEEN_JUMPS)[len(mean) // 2 :] = math.log(_GOAL_VELOCITY_S)
        self.prototypes = None
        if prior == "switching":
            self.prototypes = Prototypes(most_prototypes, len(mean), jump_rate_hz, bin_s)

    @property
    def size(self) -> int:
        return int(self.mean.shape[0])

    @property
    def moving(self) -> bool:
        """Whether the second half of the objective are velocities of the first."""
        return self.prior == "moving"

    @property
    def n_axis(self) -> int:
        """Axes of the goal's position."""
        return self.size // 2 if self.moving else self.size

    def transition(self) -> ObjectiveTransition:
        """The smooth part of the prior; `static` holds the first bin's value up to a millionth of its variance."""
        stationary = self.sd.square()
        if self.prior == "static":
            return ObjectiveTransition(self.mean, stationary, torch.ones_like(self.sd), 1e-6 * stationary)
        decay = torch.exp(-self.bin_s * torch.exp(-self.log_tau))
        flow_s = self.bin_s if self.moving else 0.0
        return ObjectiveTransition(self.mean, stationary, decay, (1 - decay.square()) * stationary, flow_s)

    def drift_s(self) -> float | None:
        """Time constant of the drift, the shortest of what does not move on its own; None where nothing drifts."""
        return None if self.prior == "static" else float(self.log_tau[: self.n_axis].exp().min())

    def anneal(self, progress: float) -> None:
        """Drift is cheap at first, so that changes are found, and dear in the end: `jump`, `switching`, in training.

        `progress` is the share of training that is done, 0 to 1.
        """
        if self.prior in ("jump", "switching"):
            start, end = _ANNEAL
            share = min(1.0, max(0.0, (progress - start) / (end - start)))
            self.log_tau.data.fill_((1 - share) * _LOG_TAU_PRIOR[0] + share * _LOG_TAU_BETWEEN_JUMPS)

    def settled(self, progress: float) -> bool:
        """Whether the prior has the form it keeps, so that ELBOs from here on can be compared."""
        placed = self.prototypes is None or self.prototypes.number > 0
        return placed and (self.prior not in ("jump", "switching") or progress >= _ANNEAL[1])

    def awaits_prototypes(self, progress: float) -> bool:
        """Whether `switching` now needs its prototypes: the objective has been found as well as `jump` finds it."""
        return self.prototypes is not None and self.prototypes.number == 0 and progress >= _ANNEAL[1]

    def prototype_law(self) -> PrototypeLaw | None:
        """The law of the prototypes, in normalised units; None for other priors and until they are placed."""
        if self.prototypes is None or self.prototypes.number == 0:
            return None
        return self.prototypes.law(self.transition().variance / self.sd.square())

    def normalise(self, objective: Float[Tensor, "*batch n_objective"]) -> Float[Tensor, "*batch n_objective"]:
        return (objective - self.mean) / self.sd

    def sample(
        self,
        standard_noise: Float[Tensor, "time trial n_objective"],
        jump_uniform: Float[Tensor, "time trial"],
        held: Float[Tensor, "time trial n_objective"] | None = None,
    ) -> Tensor:
        """Paths from the prior, (time, trial, n_objective), that take the value of `held` where it is not NaN."""
        held = torch.full_like(standard_noise, torch.nan) if held is None else held
        law = self.prototype_law()
        if law is not None:
            return self.mean + self.sd * law.sample(standard_noise, jump_uniform, self.normalise(held))
        step = self.transition()
        path = [torch.where(held[0].isnan(), self.mean + self.sd * standard_noise[0], held[0])]
        for noise, uniform, value in zip(standard_noise[1:], jump_uniform[1:], held[1:], strict=True):
            slow = step.ahead(path[-1]) + step.variance.sqrt() * noise
            if self.prior in ("jump", "switching"):
                redraw = self.mean + self.sd * noise
                slow = torch.where((uniform < self.jump_probability)[:, None], redraw, slow)
            path.append(torch.where(value.isnan(), slow, value))
        return torch.stack(path)

    def log_prior(self) -> Float[Tensor, ""]:
        """log N(log tau; log 8 s, 0.2) where tau is learned, and that of placed prototypes, up to a constant."""
        if self.prototypes is not None and self.prototypes.number:
            return self.prototypes.log_prior()
        if self.prior != "slow":
            return self.log_tau.new_zeros(())
        return -0.5 * ((self.log_tau - _LOG_TAU_PRIOR[0]) / _LOG_TAU_PRIOR[1]).square().sum()
