"""What came before a rollout that takes recorded trials over part way, and how the two are joined."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Past:
    """What happened in each trial up to the first bin of its scene, that one included."""

    bins: Int[Tensor, " trial"]
    groups: dict[str, Float[Tensor, "trial time feature"]]  # one sample of everything, of the whole trial's length
    line: Float[Tensor, "trial bin n"] | None  # see ClosedLoop.history

    def from_here(self, whole: Tensor) -> Tensor:
        """Values (trial, time, ...) of trials from the scene's first bin on; the last repeats where a trial ends."""
        n_time = whole.shape[1]
        bins = torch.arange(n_time - int(self.bins.min()) + 1, device=whole.device)
        index = (self.bins[:, None] - 1 + bins).clamp(max=n_time - 1)
        return whole[torch.arange(len(whole), device=whole.device)[:, None], index]

    def before(self) -> Float[Tensor, "trial bin n_latent"]:
        """The latents before the scene's first bin, newest first; where there are no more the first one repeats."""
        latents = self.groups["latents"]
        back = (self.bins[:, None] - 2 - torch.arange(latents.shape[1], device=latents.device)).clamp(min=0)
        return latents.gather(1, back[:, :, None].expand_as(latents))

    def followed_by(self, own: dict[str, Tensor]) -> dict[str, Tensor]:
        """Whole trials: the past, then what the model makes of them, (trial, time, feature)."""
        joined = {}
        for name, values in own.items():
            past = self.groups[name]
            bins = torch.arange(past.shape[1], device=past.device)
            index = (bins - self.bins[:, None] + 1).clamp(min=0, max=values.shape[1] - 1)
            later = values[torch.arange(len(values), device=past.device)[:, None], index]
            joined[name] = torch.where((bins < self.bins[:, None])[:, :, None], past, later)
        return joined
