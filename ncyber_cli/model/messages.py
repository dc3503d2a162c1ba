"""Messages between areas: one bottleneck per directed edge, from the sender's latents to the target's hidden units.

All edges are one masked product: channel c belongs to edge c // width, reads the latents of the area that sends and
writes to the hidden units of the area that receives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

Edge = tuple[str, str]  # (from, to)


def all_edges(names: Sequence[str]) -> list[Edge]:
    """Every directed pair of areas, in the order of the sender, then of the target."""
    return [(source, target) for source in names for target in names if source != target]


class Messages(nn.Module):
    """`width` channels an edge; `edge_mask` (channel) is zero where nothing passes."""

    send_mask: Tensor
    receive_mask: Tensor
    edge_mask: Tensor

    def __init__(
        self,
        names: Sequence[str],
        latent_area: Int[Tensor, " n_latent"],
        hidden_area: Int[Tensor, " hidden"],
        width: int,
    ) -> None:
        super().__init__()
        self.edges, self.width = all_edges(names), width
        index = {name: i for i, name in enumerate(names)}
        source = torch.tensor([index[a] for a, _ in self.edges]).repeat_interleave(width)
        target = torch.tensor([index[b] for _, b in self.edges]).repeat_interleave(width)
        self.register_buffer("send_mask", (latent_area[:, None] == source[None]).float())
        self.register_buffer("receive_mask", (target[:, None] == hidden_area[None]).float())
        self.register_buffer("edge_mask", torch.ones(len(source)))
        self.send = nn.Parameter(torch.randn(len(latent_area), len(source)) / math.sqrt(len(latent_area)))
        self.receive = nn.Parameter(0.1 * torch.randn(len(source), len(hidden_area)))

    def sent(self) -> Float[Tensor, "n_latent channel"]:
        """What each latent puts into each channel."""
        return self.send * self.send_mask * self.edge_mask

    def received(self) -> Float[Tensor, "channel hidden"]:
        """What each channel does to each hidden unit of its target."""
        return self.receive * self.receive_mask

    def channels_of(self, edges: Sequence[Edge]) -> Bool[Tensor, " channel"]:
        """Which channels belong to these edges. Raises ValueError for an edge that is not there."""
        chosen = torch.zeros(len(self.edges), dtype=torch.bool)
        for edge in edges:
            chosen[self.edges.index(edge)] = True
        return chosen.repeat_interleave(self.width).to(self.edge_mask.device)

    @torch.no_grad()
    def cut(self, edges: Sequence[Edge]) -> None:
        """Nothing passes along these edges any more. Raises ValueError for an edge that is not there."""
        self.edge_mask.masked_fill_(self.channels_of(edges), 0)
