"""What is left of a command where brain areas that carry a share of it have fallen silent."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ncyber_cli.model.controller.protocol import Belief, Controller


class WeakenedController(nn.Module):
    """Another controller, of whose command and gate only the share `kept` is left."""

    control_scale: Tensor

    def __init__(self, whole: Controller, kept: float) -> None:
        super().__init__()
        self.whole, self.kept = whole, kept
        self.n_control, self.control_scale, self.looks_ahead = whole.n_control, whole.control_scale, whole.looks_ahead

    def at(self, animal: Int[Tensor, " trial"]) -> Any:
        return self.whole.at(animal)

    def command(self, here: Any, latent: Tensor, objective: Tensor, belief: Belief) -> tuple[Tensor, Tensor]:
        control, gate = self.whole.command(here, latent, objective, belief)
        return self.kept * control, self.kept * gate

    def latent_power(self) -> Float[Tensor, " n_latent"]:
        return self.whole.latent_power()

    def log_prior(self) -> Tensor:
        return self.whole.log_prior()


@torch.no_grad()
def kept_share(controller: Controller, silent: Tensor) -> float:
    """The share of the command that the latents which are not `silent` (n_latent,) carry; 1 where none carries any."""
    power = controller.latent_power()
    total = float(power.sum())
    return 1.0 if total == 0 else float(power[~silent].sum()) / total
