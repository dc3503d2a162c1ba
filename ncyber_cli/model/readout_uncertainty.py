"""How uncertain each unit's readout and offset are after few trials: a Gaussian around what was fitted (Laplace).

Precision = that of the prior + sum over bins of information(eta_t) x_t x_t', with x_t the latents and a one. With many
trials nothing is left of it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class ReadoutUncertainty(nn.Module):
    """A factor of the covariance of (readout, offset), by unit; zeros: nothing is uncertain."""

    factor: Tensor

    def __init__(self, n_session: int, n_unit: int, n_latent: int) -> None:
        super().__init__()
        self.register_buffer("factor", torch.zeros(n_session, n_unit, n_latent + 1, n_latent + 1))

    @torch.no_grad()
    def set(
        self,
        session: int,
        latent: Float[Tensor, "bin n_latent"],
        information: Float[Tensor, "bin unit"],
        precision: Float[Tensor, "unit width width"],
    ) -> None:
        """Of a session's first units: latents, information of the bins (zero: not observed), precision of the prior."""
        design, told = _with_one(latent).double(), information.double()
        for unit, prior in enumerate(precision.double()):
            total = prior + (design * told[:, unit, None]).T @ design
            inverse = torch.linalg.inv(torch.linalg.cholesky(total))  # covariance L^-T L^-1 for precision L L'
            self.factor[session, unit] = inverse.T.to(self.factor)

    def sd(
        self, latent: Float[Tensor, "trial time n_latent"], session: Int[Tensor, " trial"]
    ) -> Float[Tensor, "trial time unit"]:
        """Of the predictor of each unit at given latents."""
        variance = latent.new_zeros(*latent.shape[:2], self.factor.shape[1])
        design = _with_one(latent)
        for column in self.factor[session].unbind(-1):  # one at a time: all at once would be as many times the memory
            variance = variance + torch.bmm(design, column.transpose(1, 2)).square()
        return variance.sqrt()


def _with_one(latent: Float[Tensor, "*rows n_latent"]) -> Float[Tensor, "*rows width"]:
    return torch.cat([latent, torch.ones_like(latent[..., :1])], -1)
