"""Areas that fall silent for a while: the same whether it was recorded (an input of kind `silencing`) or is simulated.

A silenced area's latents are held at zero, which is where they send nothing: messages and the controller's gate are
linear in them. What its axons already carry still arrives. Its units emit their floor, and the command loses the
share that the area carries. Afterwards the area goes on from zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ncyber_cli.data.silencing import SILENCED
from ncyber_cli.model.controller import Controller
from ncyber_cli.model.gauss_markov import Correction


class Silencing(nn.Module):
    """Which inputs silence which area, and what the units of a silenced area emit."""

    latent_silenced: Tensor
    unit_silenced: Tensor
    floor: Tensor
    columns: Tensor

    def __init__(
        self,
        columns: Sequence[int],
        latents: Bool[Tensor, "column n_latent"],
        units: Bool[Tensor, "column session unit"],
        floor: Float[Tensor, "session unit"],
    ) -> None:
        """`latents` and `units` are those that each column of the inputs silences; `floor` is per bin."""
        super().__init__()
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.long), persistent=False)
        self.register_buffer("latent_silenced", latents.float(), persistent=False)
        self.register_buffer("unit_silenced", units.float(), persistent=False)
        self.register_buffer("floor", floor, persistent=False)

    def _now(self, given: Float[Tensor, "... n_input"]) -> Float[Tensor, "... column"]:
        return (given.index_select(-1, self.columns) > SILENCED).to(given.dtype)

    def latents(self, given: Float[Tensor, "*bins n_input"]) -> Bool[Tensor, "*bins n_latent"]:
        """Which latents are silent in which bins."""
        return self._now(given) @ self.latent_silenced > 0

    def rates(
        self,
        rates: Float[Tensor, "trial time unit"],
        given: Float[Tensor, "trial time n_input"],
        session: Int[Tensor, " trial"],
    ) -> Float[Tensor, "trial time unit"]:
        """The rates, but the floor where a unit is silent."""
        silent = torch.bmm(self._now(given), self.unit_silenced[:, session].transpose(0, 1)) > 0
        return torch.where(silent, self.floor[session][:, None], rates)


def held(silent: Bool[Tensor, "*#bins n_latent"] | None, free: Correction) -> Correction:
    """A gain of one holds a latent at its target, here zero, whatever its own dynamics say."""
    if silent is None:
        return free
    kept = (~silent).to(free.target.dtype)
    return replace(free, target=free.target * kept, gain=torch.where(silent, 1.0, free.gain), noise=free.noise * kept)


def kept_share(controller: Controller, silent: Bool[Tensor, "*bins n_latent"]) -> Float[Tensor, "*bins 1"]:
    """The share of the command that the latents which are not `silent` carry; 1 where none carries any."""
    power = controller.latent_power()
    total = power.sum()
    kept = (torch.where(silent, 0.0, power).sum(-1, keepdim=True)) / torch.where(total > 0, total, 1.0)
    return torch.where(total > 0, kept, 1.0)
