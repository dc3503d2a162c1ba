"""What animals share and how they differ: values pooled around a shared one, and an embedding per animal."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Pooled(nn.Module):
    """A positive quantity per animal, log-normal around a shared value.

    With one animal the deviation is fixed at zero, so that a single fit is the shared value.
    """

    def __init__(self, start: Tensor | float, n_animal: int, sd: float = 0.3, *, fixed: bool = False) -> None:
        super().__init__()
        start = torch.as_tensor(start, dtype=torch.get_default_dtype())
        self.sd = sd
        self.log_shared = nn.Parameter(start.log(), requires_grad=not fixed)
        self.deviation = nn.Parameter(torch.zeros(n_animal, *start.shape), requires_grad=n_animal > 1 and not fixed)

    def forward(self, animal: Int[Tensor, " trial"]) -> Tensor:
        """The value of each trial's animal, shape (trial, ...)."""
        return torch.exp(self.log_shared + self.sd * self.deviation[animal])

    @torch.no_grad()
    def scale(self, factor: float) -> None:
        """Multiply the value of every animal."""
        self.log_shared.add_(math.log(factor))

    @torch.no_grad()
    def hold(self, value: float) -> None:
        """Give every animal this value."""
        self.log_shared.fill_(math.log(value))
        self.deviation.zero_()

    def log_prior(self) -> Float[Tensor, ""]:
        """log N(deviation; 0, 1) up to a constant (deviations are in units of sd)."""
        return -0.5 * self.deviation.square().sum()


class Embedding(nn.Module):
    """z per animal, z ~ N(0, I); weights shift by low-rank deltas that vanish at z = 0. One animal means z = 0."""

    def __init__(self, n_animal: int, size: int) -> None:
        super().__init__()
        self.size = size if n_animal > 1 else 0
        self.z = nn.Parameter(torch.zeros(n_animal, self.size))

    def forward(self, animal: Int[Tensor, " trial"]) -> Float[Tensor, "trial size"]:
        return self.z[animal]

    def log_prior(self) -> Float[Tensor, ""]:
        return -0.5 * self.z.square().sum()
