"""What a connectome says of messages between areas: the sign of an edge, and how strong it may be.

Latents have no sign of their own, so a sign is one of activity: a latent counts upwards if the neurons of its area
fire more with it, on average over their readout. An excitatory edge can only raise the summed activity of its target
when its source is more active, whatever the state: it sends with weights of the latents' own direction, and drives
every hidden unit the way that raises that sum (the slope of tanh is positive). With one latent an area that is all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Signs(nn.Module):
    """Signs of edges, and the directions in which they hold; 0 is an edge without one."""

    edge_sign: Tensor
    latent_up: Tensor
    hidden_up: Tensor

    def __init__(self, signs: Sequence[int], width: int, n_latent: int, hidden: int) -> None:
        """`signs` are 1, -1 or 0, one an edge of `width` channels."""
        super().__init__()
        each = torch.tensor(signs, dtype=torch.get_default_dtype()).repeat_interleave(width)
        self.register_buffer("edge_sign", each, persistent=False)
        self.register_buffer("latent_up", torch.ones(n_latent))
        self.register_buffer("hidden_up", torch.ones(hidden))

    @torch.no_grad()
    def orient(self, loading: Float[Tensor, " n_latent"], response: Float[Tensor, "hidden n_latent"]) -> None:
        """Note which way activity goes: with each latent (its summed readout), and with each hidden unit."""
        self.latent_up.copy_(torch.where(loading < 0, -1.0, 1.0))
        self.hidden_up.copy_(torch.where(response @ self.latent_up < 0, -1.0, 1.0))

    def sent(self, weight: Float[Tensor, "n_latent channel"]) -> Float[Tensor, "n_latent channel"]:
        return torch.where(self.edge_sign == 0, weight, self.latent_up[:, None] * weight.abs())

    def received(self, weight: Float[Tensor, "channel hidden"]) -> Float[Tensor, "channel hidden"]:
        sign = self.edge_sign[:, None]
        return torch.where(sign == 0, weight, sign * self.hidden_up * weight.abs())


def edge_log_prior(
    sent: Float[Tensor, "n_latent channel"],
    received: Float[Tensor, "channel hidden"],
    spread: Float[Tensor, " edge"],
) -> Float[Tensor, ""]:
    """Log density, up to a constant, of what each edge does from latents to hidden units, N(0, spread^2) an entry."""
    n_edge = len(spread)
    out, into = sent.view(len(sent), n_edge, -1), received.view(n_edge, -1, received.shape[1])
    # |S R|^2 = tr(S'S R R'): products of the size of the bottleneck.
    square = torch.einsum("lev,lew->evw", out, out) * torch.einsum("evh,ewh->evw", into, into)
    return -0.5 * (square.sum((1, 2)) / spread.square()).sum()
