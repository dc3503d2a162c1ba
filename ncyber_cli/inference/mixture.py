"""A mixture of diagonal Gaussians per bin, as the output of a network: for beliefs with more than one candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

_FIRST_LOG_SD = -2.0  # a seventh of a quantity's own spread
_LEAST_LOG_SD = -4.0  # a command of exactly zero must not be worth more nats than all else together


@dataclass(frozen=True)
class Mixture:
    """Any number of leading axes, then components and features."""

    log_weight: Float[Tensor, "*batch component"]
    mean: Float[Tensor, "*batch component n"]
    log_sd: Float[Tensor, "*batch component n"]

    def log_density(self, value: Float[Tensor, "*batch n"]) -> Float[Tensor, " *batch"]:
        surprise = (value[..., None, :] - self.mean) * torch.exp(-self.log_sd)
        nats = 0.5 * surprise.square() + self.log_sd + 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(self.log_weight - nats.sum(-1), -1)

    def moments(self) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch n"]]:
        """Mean and standard deviation of every feature."""
        weight = self.log_weight.exp()[..., None]
        mean = (weight * self.mean).sum(-2)
        variance = (weight * ((self.mean - mean[..., None, :]).square() + torch.exp(2 * self.log_sd))).sum(-2)
        return mean, variance.sqrt()


class MixtureHead(nn.Module):
    """From features to a mixture over `size` quantities of unit scale.

    The components' means begin `spread` apart, so that they are not one, around `centre`.
    """

    def __init__(self, n_in: int, hidden: int, size: int, components: int = 1, spread: float = 0.0) -> None:
        super().__init__()
        self.size, self.components = size, components
        self.net = nn.Sequential(nn.Linear(n_in, hidden), nn.Tanh(), nn.Linear(hidden, components * (1 + 2 * size)))
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.zero_()
            last.bias[components : components * (1 + size)].normal_(std=spread)

    def forward(
        self, features: Float[Tensor, "*batch n_in"], centre: Float[Tensor, "*batch n"] | None = None
    ) -> Mixture:
        n = self.components
        logit, mean, log_sd = self.net(features).split([n, n * self.size, n * self.size], -1)
        mean = mean.unflatten(-1, (n, self.size))
        if centre is not None:
            mean = mean + centre[..., None, :]
        log_sd = (log_sd.unflatten(-1, (n, self.size)) + _FIRST_LOG_SD).clamp(_LEAST_LOG_SD, 2)
        return Mixture(logit.log_softmax(-1), mean, log_sd)
