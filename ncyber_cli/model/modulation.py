"""How individuals and contexts shift the brain's weights: W + U diag(E c) V, low-rank, zero where the code c is.

The code of a trial is the embedding of its animal and session, and features of its context: the label or number
itself and a few smooth curves of it, so that a context between those of training is interpolated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

_CURVES = 4  # per run: a number's effect may bend, and labels need none


@dataclass(frozen=True)
class Shift:
    """The shifts of a batch, made once before the loop: weights + read diag(gain) write, and bias."""

    read: Float[Tensor, "n_latent channel"]
    gain: Float[Tensor, "trial channel"]
    write: Float[Tensor, "channel hidden"]
    bias: Float[Tensor, "trial hidden"]


class Modulation(nn.Module):
    """`rank` channels an area: they read its latents and write to its hidden units, so that no area shifts another."""

    read_mask: Tensor
    write_mask: Tensor

    def __init__(
        self,
        latent_area: Tensor,
        hidden_area: Tensor,
        rank: int,
        n_embedding: int,
        n_context: int,
        *,
        scale: float = 1.0,
    ) -> None:
        """`scale` is how much a code of size one shifts the weights at first, beside those within an area."""
        super().__init__()
        channel = torch.arange(int(latent_area.max()) + 1).repeat_interleave(rank)
        self.register_buffer("read_mask", (latent_area[:, None] == channel[None]).float())
        self.register_buffer("write_mask", (channel[:, None] == hidden_area[None]).float())
        n_code = n_embedding + (n_context + _CURVES if n_context else 0)
        self.read = nn.Parameter(torch.randn(len(latent_area), len(channel)) / math.sqrt(len(latent_area)))
        self.code = nn.Parameter(torch.randn(n_code, len(channel)) / math.sqrt(n_code))
        self.write = nn.Parameter(scale / math.sqrt(rank) * torch.randn(len(channel), len(hidden_area)))
        self.bias = nn.Parameter(0.1 * scale * torch.randn(n_code, len(hidden_area)))
        self.curve = nn.Linear(n_context, _CURVES) if n_context else None

    def forward(self, embedding: Float[Tensor, "trial size"], context: Float[Tensor, "trial n_context"]) -> Shift:
        """`context` is in units of its spread around its mean over training trials."""
        code = embedding
        if self.curve is not None:
            curves = torch.tanh(self.curve(context)) - torch.tanh(self.curve.bias)
            code = torch.cat([embedding, context, curves], -1)
        return Shift(self.read * self.read_mask, code @ self.code, self.write * self.write_mask, code @ self.bias)
