"""How much neurons fire in animals that are known: a prior for neurons of animals that are not.

Few trials leave most of the latents' space unseen, and a readout that fits them may say anything of the rest. What
rate a neuron has on average over all that the latents do, log E[exp(c x + d)] = d + c m + c S c / 2 for x ~ N(m, S), is
known within a factor. Only of log-linear units: the values of others have no scale of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

_LEAST_SD = 0.1  # of a log rate: known neurons that are all alike do not say that the next is


class MeanRatePrior(nn.Module):
    """N(mean, variance of its kind) of each log-linear unit's log mean rate. No part of a checkpoint."""

    latent_mean: Tensor
    latent_covariance: Tensor
    mean: Tensor
    precision: Tensor  # zero: nothing is expected

    def __init__(
        self, latent_mean: Float[Tensor, " n_latent"], latent_covariance: Float[Tensor, "n_latent n_latent"]
    ) -> None:
        """Of the latents of known animals, over all that they did."""
        super().__init__()
        self.register_buffer("latent_mean", latent_mean, persistent=False)
        self.register_buffer("latent_covariance", latent_covariance, persistent=False)
        for name in ("mean", "precision"):
            self.register_buffer(name, latent_mean.new_zeros(0, 0), persistent=False)

    @torch.no_grad()
    def learn(
        self,
        readout: Float[Tensor, "neuron n_latent"],
        offset: Float[Tensor, " neuron"],
        kinds: Sequence[str],
        new_kinds: Sequence[Sequence[str]],
        log_linear: Bool[Tensor, "session unit"],
    ) -> None:
        """From known neurons, all of them log-linear, what to expect of each unit of new sessions, of its kind."""
        self.mean, self.precision = (readout.new_zeros(log_linear.shape) for _ in range(2))
        rates = self.log_mean_rate(readout, offset)
        for session, units in enumerate(new_kinds):
            for unit, kind in enumerate(units):
                alike = rates[[each == kind for each in kinds]]
                if log_linear[session, unit] and len(alike) > 1:
                    self.mean[session, unit] = alike.mean()
                    self.precision[session, unit] = 1 / alike.var().clamp(min=_LEAST_SD**2)

    def log_mean_rate(self, readout: Float[Tensor, "*unit n_latent"], offset: Float[Tensor, "*unit"]) -> Tensor:
        """log E[exp(c x + d)]."""
        spread = 0.5 * ((readout @ self.latent_covariance) * readout).sum(-1)
        return offset + readout @ self.latent_mean + spread

    def forward(
        self, readout: Float[Tensor, "session unit n_latent"], offset: Float[Tensor, "session unit"]
    ) -> Float[Tensor, ""]:
        """Log density of all units, up to a constant; units of which nothing is expected cost nothing."""
        apart = self.log_mean_rate(readout, offset) - self.mean
        return -0.5 * torch.where(self.precision > 0, self.precision * apart.square(), 0.0).sum()

    def curvature(self, readout: Float[Tensor, "session unit n_latent"]) -> Float[Tensor, "session unit width width"]:
        """Precision that it adds to (readout, offset), to first order."""
        gradient = self.latent_mean + readout @ self.latent_covariance
        gradient = torch.cat([gradient, torch.ones_like(gradient[..., :1])], -1)
        return self.precision[..., None, None] * gradient[..., :, None] * gradient[..., None, :]
