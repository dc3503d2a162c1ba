"""How neurons read latents in animals that are known: a Gaussian prior for neurons of animals that are not.

Neurons of one area read the same few latents, so that each area has a covariance of its own, shrunk to that of all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

_WORTH = 0.5  # neurons, per latent, that the wider group counts for: fewer of one's own say little of a covariance
_FLOOR = 1e-3  # of the mean variance: a latent that no known neuron reads would have none at all


class ReadoutPrior(nn.Module):
    """N(0, covariance of its area) of each neuron's readout. No part of a checkpoint."""

    precision: Tensor
    area: Tensor

    def __init__(
        self,
        known: Float[Tensor, "neuron n_latent"],
        known_areas: Sequence[str],
        areas: Sequence[Sequence[str]],
        n_unit: int,
    ) -> None:
        """`known` readouts and the areas of their neurons; `areas` of the units of each new session, of `n_unit`."""
        super().__init__()
        known = known.double()
        overall = _shrunk(known, torch.diag(known.square().mean(0)))
        names = list(dict.fromkeys(known_areas))
        where = {name: torch.tensor([each == name for each in known_areas]) for name in names}
        covariances = [overall, *(_shrunk(known[where[name]], overall) for name in names)]
        precision = torch.linalg.inv(torch.stack(covariances)).to(torch.get_default_dtype())
        index = torch.zeros(len(areas), n_unit, dtype=torch.long)  # 0: an area that no known neuron is in
        for session, units in enumerate(areas):
            index[session, : len(units)] = torch.tensor(
                [1 + names.index(name) if name in names else 0 for name in units], dtype=torch.long
            )
        self.register_buffer("precision", precision, persistent=False)
        self.register_buffer("area", index, persistent=False)

    def forward(self, readout: Float[Tensor, "session unit n_latent"]) -> Float[Tensor, ""]:
        """Log density of all rows, up to a constant; rows of zeros, as padded ones are, cost nothing."""
        return -0.5 * (torch.einsum("suij,suj->sui", self.of_units(), readout) * readout).sum()

    def of_units(self) -> Float[Tensor, "session unit n_latent n_latent"]:
        """Precision of each unit's readout."""
        return self.precision[self.area]


def _shrunk(rows: Tensor, towards: Float[Tensor, "n_latent n_latent"]) -> Float[Tensor, "n_latent n_latent"]:
    """Second moments of the rows, with `towards` counting for as many rows as it is worth."""
    n, n_latent = rows.shape
    mixed = (rows.T @ rows + _WORTH * n_latent * towards) / (n + _WORTH * n_latent)
    floor = _FLOOR * mixed.diagonal().mean().clamp(min=1e-6)
    return mixed + floor * torch.eye(n_latent, dtype=mixed.dtype)
