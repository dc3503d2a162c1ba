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
_ANNEAL = (0.1, 0.6)  # share of training over which `jump` and `switching` go from the first to the second


@dataclass(frozen=True)
class ObjectiveTransition:
    """o_t | o_{t-1} ~ N(mean + decay (o_{t-1} - mean), variance), per dimension."""

    mean: Float[Tensor, " n_objective"]
    stationary_variance: Float[Tensor, " n_objective"]
    decay: Float[Tensor, " n_objective"]
    variance: Float[Tensor, " n_objective"]


class Objective(nn.Module):
    """Priors `slow` (AR(1)), `jump` (AR(1) with rare redraws from the stationary law), `static` and `switching`.

    `switching` is `jump` until its prototypes are placed; see model/prototypes.py.
    """

    mean: Tensor
    sd: Tensor

    def __init__(
        self,
        prior: Literal["slow", "jump", "static", "switching"],
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
        self.prototypes = None
        if prior == "switching":
            self.prototypes = Prototypes(most_prototypes, len(mean), jump_rate_hz, bin_s)

    @property
    def size(self) -> int:
        return int(self.mean.shape[0])

    def transition(self) -> ObjectiveTransition:
        """The smooth part of the prior; `static` holds the first bin's value up to a millionth of its variance."""
        stationary = self.sd.square()
        if self.prior == "static":
            return ObjectiveTransition(self.mean, stationary, torch.ones_like(self.sd), 1e-6 * stationary)
        decay = torch.exp(-self.bin_s * torch.exp(-self.log_tau))
        return ObjectiveTransition(self.mean, stationary, decay, (1 - decay.square()) * stationary)

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
            slow = step.mean + step.decay * (path[-1] - step.mean) + step.variance.sqrt() * noise
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
