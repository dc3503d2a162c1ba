"""Slow drift of the readout: electrodes move, cells bleach and adapt while trial follows trial.

The offset of a unit is a centred random walk over its session, in the first terms of its Karhunen-Loeve series:
phi_k(t) = sqrt(2) cos(pi k t) with weights w_k ~ N(0, s^2 / k^2), where t runs from 0 to 1 over the training trials
and holds before and after them. The series has mean zero, so that the offset stays the session's mean.

How much a session's units drift, s^2, maximises the evidence: MacKay's (1992) fixed point s^2 = sum k^2 w^2 / gamma,
with gamma = sum information / (information + k^2 / s^2) the number of weights that the data determine. Where units do
not drift, s^2 and with it every weight shrinks to nothing.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

N_TERM = 8  # the fastest has a period of a quarter of the session; what is faster is the latents' affair
_FIRST_SD = 0.3  # of s, in log rate or in sd of a continuous unit: a drift one would see
_RATE = 0.05  # share of the closed-form step taken per training step
_SMALLEST_VARIANCE = 1e-8


class Drift(nn.Module):
    """Weights (session, unit, term); s^2 is shared by the log-linear and by the linear units of each session."""

    weight_variance: Tensor
    information: Tensor
    scale: Tensor
    log_linear: Tensor
    begin: Tensor
    end: Tensor
    n_trial: Tensor

    def __init__(
        self,
        log_linear: Bool[Tensor, "session unit"],
        begin: Float[Tensor, " session"],
        end: Float[Tensor, " session"],
        n_trial: Float[Tensor, " session"],
    ) -> None:
        """`begin` and `end` of a session's `n_trial` training trials, on the session's own clock."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(*log_linear.shape, N_TERM))
        self.register_buffer("weight_variance", torch.full((len(begin), 2), _FIRST_SD**2))  # log-linear, linear
        self.register_buffer("information", torch.zeros(log_linear.shape))  # of a trial about its shift, smoothed
        self.register_buffer("scale", torch.ones(log_linear.shape))  # the sd of linear units
        self.register_buffer("log_linear", log_linear)
        for name, value in (("begin", begin), ("end", end), ("n_trial", n_trial)):
            self.register_buffer(name, value.to(torch.get_default_dtype()))

    def forward(self, session: Int[Tensor, " trial"], when: Float[Tensor, " trial"]) -> Float[Tensor, "trial unit"]:
        """What is added to the predictor of each unit in a trial that begins at `when`."""
        begin, end = self.begin[session], self.end[session]
        place = ((when - begin) / (end - begin).clamp(min=1e-9)).clamp(0, 1)
        wave = math.sqrt(2) * torch.cos(math.pi * place[:, None] * self._order())
        return self.scale[session] * torch.einsum("puk,pk->pu", self.weight[session], wave)

    @torch.no_grad()
    def start_scale(self, session: int, sd: Float[Tensor, " unit"]) -> None:
        """The spread of each unit's recorded values, in which the drift of linear units is measured."""
        self.scale[session] = torch.where(self.log_linear[session], 1.0, sd.clamp(min=1e-6).to(self.scale.dtype))

    def log_prior(self) -> Float[Tensor, ""]:
        """log N(weights; 0, s^2 / k^2) up to what does not depend on the weights."""
        return -0.5 * (self.weight.square() * self._prior_precision()).sum()

    @torch.no_grad()
    def update(self, information: Float[Tensor, "trial unit"], session: Int[Tensor, " trial"]) -> None:
        """Damped step of s^2, given each trial's `information` about a shift of the predictor."""
        self._learn_information(information * self.scale[session].square(), session)
        known = (self.n_trial[:, None] * self.information)[:, :, None]
        determined = (known / (known + self._prior_precision())).sum(2)  # of a unit's weights; none of a padded unit's
        square = (self.weight.square() * self._order().square()).sum(2)
        kind = torch.stack([self.log_linear, ~self.log_linear], 2)
        fitted = _totals(square, kind) / _totals(determined, kind)
        moved = torch.lerp(self.weight_variance, fitted, _RATE).clamp(min=_SMALLEST_VARIANCE)
        self.weight_variance.copy_(torch.where(torch.isfinite(moved), moved, self.weight_variance))

    def _learn_information(self, information: Float[Tensor, "trial unit"], session: Int[Tensor, " trial"]) -> None:
        """Follow the mean over trials of each session that the step has seen."""
        total = torch.zeros_like(self.information).index_add_(0, session, information)
        n_here = torch.zeros_like(self.n_trial).index_add_(0, session, torch.ones_like(information[:, 0]))[:, None]
        mean = total / n_here.clamp(min=1)
        known = (n_here > 0) & torch.isfinite(mean)
        self.information.copy_(torch.where(known, torch.lerp(self.information, mean, _RATE), self.information))

    def _order(self) -> Float[Tensor, " term"]:
        return torch.arange(1, N_TERM + 1, device=self.weight.device, dtype=self.weight.dtype)

    def _prior_precision(self) -> Float[Tensor, "session unit term"]:
        """k^2 / s^2."""
        variance = torch.where(self.log_linear, self.weight_variance[:, :1], self.weight_variance[:, 1:])
        return self._order().square() / variance[:, :, None]


def _totals(values: Float[Tensor, "session unit"], kind: Bool[Tensor, "session unit 2"]) -> Float[Tensor, "session 2"]:
    return (values[:, :, None] * kind).sum(1)
