"""What the brain is told of its body: delayed feedback, and an estimate that its own commands bring up to date.

The brain knows b_{t-d} and the commands since. Rolling those commands forward from b_{t-d} gives
the body of now less the echoes of whatever surprised it in the last d bins, so the estimate is

    b^_t = b_t - sum_{j < d} w_j A^j r_{t-j}

with r the body's residuals: exact for bodies whose dynamics are linear, at the cost of one small
product a bin. The delay is real-valued (w ramps over one bin), per animal, and learned.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ncyber_cli.model.meta import Pooled

_DELAY_SD = 0.3  # log-normal spread of an animal's delay around the one in the spec
_NO_DELAY_S = 1e-6  # stands for none on a log scale
_MAX_STRETCH = 1.8  # the line holds this many times the spec's delay


class DelayLine(nn.Module):
    """The last bins of body and residual, and what they tell the brain."""

    def __init__(
        self, delay_s: float, bin_s: float, n_animal: int, n_body: int, n_residual: int, lead_bins: float = 0.0
    ) -> None:
        """`lead_bins`: by how much commands look beyond the last bin; surprises are that much older by then."""
        super().__init__()
        self.bin_s, self.n_body, self.n_residual, self.lead_bins = bin_s, n_body, n_residual, lead_bins
        self.n_bin = max(1, math.ceil(_MAX_STRETCH * delay_s / bin_s) + 1)
        self.delay = Pooled(max(delay_s, _NO_DELAY_S), n_animal, sd=_DELAY_SD, fixed=delay_s == 0)
        self.log_delay_start = math.log(max(delay_s, _NO_DELAY_S))

    @torch.no_grad()
    def hold_delay(self, delay_s: float) -> None:
        """Give every animal this delay; the line grows to hold it."""
        self.delay.hold(max(delay_s, _NO_DELAY_S))
        self.n_bin = max(self.n_bin, math.ceil(delay_s / self.bin_s) + 1)

    def delay_bins(self, animal: Int[Tensor, " trial"]) -> Float[Tensor, " trial"]:
        delay: Tensor = self.delay(animal) / self.bin_s
        return delay.clamp(max=self.n_bin - 1)

    def at(self, animal: Int[Tensor, " trial"], echoes: Float[Tensor, "bin n_residual n_body"]) -> Tensor:
        """Weights (trial, bin * (n_body + n_residual), 2 n_body) from the line to (feedback, what is not yet known)."""
        delay = self.delay_bins(animal)[:, None]
        age = torch.arange(self.n_bin, device=delay.device, dtype=delay.dtype)
        interpolate = (1 - (age - delay).abs()).clamp(min=0)  # the body of `delay` bins ago
        unknown = (delay - self.lead_bins - age).clamp(0, 1)  # residuals younger than the delay
        identity = torch.eye(self.n_body, device=delay.device, dtype=delay.dtype)
        feedback = interpolate[:, :, None, None] * identity
        surprise = unknown[:, :, None, None] * echoes
        weights = torch.cat(
            [
                torch.cat([feedback, torch.zeros_like(feedback)], -1),
                torch.cat([torch.zeros_like(surprise), surprise], -1),
            ],
            dim=2,
        )
        return weights.flatten(1, 2)

    def start(self, body: Float[Tensor, "trial n_body"]) -> Float[Tensor, "trial bin n"]:
        """Before the first bin the body was where it is, and nothing surprised it."""
        still = torch.cat([body, body.new_zeros(len(body), self.n_residual)], -1)
        return still[:, None].expand(-1, self.n_bin, -1)

    def resume(self, line: Float[Tensor, "trial past n"]) -> Float[Tensor, "trial bin n"]:
        """Go on from what happened, newest first; before that the body was where it first was."""
        missing = max(0, self.n_bin - line.shape[1])
        return torch.cat([line[:, : self.n_bin], line[:, -1:].expand(-1, missing, -1)], 1)

    def push(self, line: Tensor, body: Tensor, residual: Tensor) -> Tensor:
        return torch.cat([torch.cat([body, residual], -1)[:, None], line[:, :-1]], 1)

    def read(self, line: Tensor, weights: Tensor, body: Tensor) -> tuple[Tensor, Tensor]:
        """The feedback s_{t+1} and the brain's estimate of `body`, both (trial, n_body)."""
        told = torch.bmm(line.flatten(1)[:, None], weights)[:, 0]
        return told[:, : self.n_body], body - told[:, self.n_body :]

    def log_prior(self) -> Float[Tensor, ""]:
        shared = -0.5 * ((self.delay.log_shared - self.log_delay_start) / _DELAY_SD).square().sum()
        return shared + self.delay.log_prior()
