"""Messages between areas: one bottleneck per directed edge, from the sender's latents to the target's hidden units.

All edges are one masked product: channel c belongs to edge c // width, reads the latents of the area that sends and
writes to the hidden units of the area that receives. Axons may take time, real-valued and per edge; what they carry
can have a price, so that an edge that the data do not need carries nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ncyber_cli.model.connectome import Signs, edge_log_prior

Edge = tuple[str, str]  # (from, to)

_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.02, 0.1  # where delays are learned
_DELAY_SD = 0.7  # log-normal spread of a learned delay
_DECIMALS = 6  # of a delay in bins: 0.06 s are three bins of 0.02 s, and not a little less
_SMALLEST_NATS = 1e-8  # keeps the root of an edge that carries nothing differentiable


@dataclass(frozen=True)
class Price:
    """`kl`: nats that messages move their target's next state by; `l1`: the root of their mean over a batch."""

    kind: Literal["kl", "l1"]
    weight: float


@dataclass(frozen=True)
class Wiring:
    """Which areas speak to which, through how many channels, how late (s beyond a step) and at what price."""

    edges: tuple[Edge, ...]
    width: int
    bin_s: float
    delay_s: tuple[float, ...] | None  # one an edge; None: learned
    price: Price | None = None
    signs: tuple[int, ...] | None = None  # 1 excitatory, -1 inhibitory, 0 either; one an edge
    strengths: tuple[float, ...] | None = None  # how strong an edge may become; a usual one has 1


def all_edges(names: Sequence[str]) -> list[Edge]:
    """Every directed pair of areas, in the order of the sender, then of the target."""
    return [(source, target) for source in names for target in names if source != target]


def wiring(
    names: Sequence[str],
    width: int,
    bin_s: float,
    edges: Sequence[str] | None = None,
    delay_s: float | Mapping[str, float] | Literal["learned"] = 0.0,
    price: Price | None = None,
) -> Wiring:
    """The wiring of a spec, where an edge is written FROM:TO; by default all areas speak to all."""
    chosen = [edge for edge in all_edges(names) if edges is None or ":".join(edge) in edges]
    delays: tuple[float, ...] | None = None
    if isinstance(delay_s, Mapping):
        delays = tuple(delay_s.get(":".join(edge), 0.0) for edge in chosen)
    elif delay_s != "learned":
        delays = (float(delay_s),) * len(chosen)
    return Wiring(tuple(chosen), width, bin_s, delays, price)


class Messages(nn.Module):
    """`edge_mask` (channel) is zero where nothing passes."""

    send_mask: Tensor
    receive_mask: Tensor
    edge_mask: Tensor
    spread: Tensor | None
    given_delay: Tensor

    def __init__(
        self,
        names: Sequence[str],
        latent_area: Int[Tensor, " n_latent"],
        hidden_area: Int[Tensor, " hidden"],
        wiring: Wiring,
    ) -> None:
        super().__init__()
        self.edges, self.width, self.bin_s, self.price = list(wiring.edges), wiring.width, wiring.bin_s, wiring.price
        index = {name: i for i, name in enumerate(names)}
        source = torch.tensor([index[a] for a, _ in self.edges], dtype=torch.long).repeat_interleave(self.width)
        target = torch.tensor([index[b] for _, b in self.edges], dtype=torch.long).repeat_interleave(self.width)
        self.register_buffer("send_mask", (latent_area[:, None] == source[None]).float())
        self.register_buffer("receive_mask", (target[:, None] == hidden_area[None]).float())
        self.register_buffer("edge_mask", torch.ones(len(source)))
        self.send = nn.Parameter(torch.randn(len(latent_area), len(source)) / math.sqrt(len(latent_area)))
        self.receive = nn.Parameter(0.1 * torch.randn(len(source), len(hidden_area)))
        self.signs: Signs | None = None
        if wiring.signs is not None:
            self.signs = Signs(wiring.signs, self.width, len(latent_area), len(hidden_area))
        # A usual edge may be as strong as the dynamics within an area are when they begin.
        given = None if wiring.strengths is None else torch.tensor(wiring.strengths) / math.sqrt(len(latent_area))
        self.register_buffer("spread", given, persistent=False)
        self.log_delay: nn.Parameter | None = None
        if wiring.delay_s is None:
            self.log_delay = nn.Parameter(torch.full((len(self.edges),), math.log(_FIRST_DELAY_S)))
        longest = _LONGEST_DELAY_S if wiring.delay_s is None else max(wiring.delay_s, default=0.0)
        in_bins = [round(delay_s / self.bin_s, _DECIMALS) for delay_s in wiring.delay_s or ()]
        self.register_buffer("given_delay", torch.tensor(in_bins, dtype=torch.get_default_dtype()), persistent=False)
        self.n_bin = 0 if longest == 0 else math.ceil(longest / self.bin_s) + 1  # 0: nothing is on its way

    def sent(self) -> Float[Tensor, "n_latent channel"]:
        """What each latent puts into each channel."""
        weight = self.send if self.signs is None else self.signs.sent(self.send)
        return weight * self.send_mask * self.edge_mask

    def received(self) -> Float[Tensor, "channel hidden"]:
        """What each channel does to each hidden unit of its target."""
        weight = self.receive if self.signs is None else self.signs.received(self.receive)
        return weight * self.receive_mask

    def delay_bins(self) -> Float[Tensor, " edge"]:
        """How late each edge's messages are, beyond the step from one bin to the next."""
        if self.log_delay is None:
            return self.given_delay
        return self.log_delay.exp().clamp(max=_LONGEST_DELAY_S) / self.bin_s

    def arriving(self) -> Float[Tensor, "bin channel"]:
        """The share of the message of so many bins ago that arrives now: linear between bins."""
        delay = self.delay_bins().repeat_interleave(self.width)
        age = torch.arange(self.n_bin, device=delay.device, dtype=delay.dtype)
        return (1 - (age[:, None] - delay).abs()).clamp(min=0)

    def heard(self, latent: Float[Tensor, "time trial n_latent"]) -> Float[Tensor, "time trial channel"]:
        """What arrives in the step after each bin; before the first bin the latents were where they are in it."""
        message = latent @ self.sent()
        if self.n_bin == 0:
            return message
        past = torch.cat([message[:1].expand(self.n_bin - 1, -1, -1), message])
        ages = past.unfold(0, self.n_bin, 1).flip(-1)  # (time, trial, channel, bin), the newest first
        return (ages * self.arriving().T).sum(-1)

    def nats(
        self,
        latent: Float[Tensor, "time trial n_latent"],
        response: Float[Tensor, "hidden n_latent"],
        process_variance: Float[Tensor, " n_latent"],
        *,
        around_mean: bool = False,
    ) -> Float[Tensor, "time trial edge"]:
        """KL of each step from the step without an edge's message, in nats, to first order around a unit at rest.

        `response` (W_out) is how the latents answer to the hidden units; the tanh between can only lessen it.
        `around_mean`: only what changes counts, not a message that is always the same.
        """
        message = self.heard(latent)
        if around_mean:
            message = message - message.mean((0, 1))
        effect = (self.received() @ response / process_variance.sqrt()).view(len(self.edges), self.width, -1)
        square = effect @ effect.transpose(1, 2)  # (edge, width, width)
        each = message.view(*message.shape[:2], len(self.edges), self.width)
        return 0.5 * torch.einsum("kbev,evw,kbew->kbe", each, square, each)

    def cost(self, nats: Float[Tensor, "time trial edge"], inside: Bool[Tensor, "time trial"]) -> Float[Tensor, ""]:
        """The price of a batch's messages, in nats over its bins."""
        n_bin = inside.sum().clamp(min=1)
        mean = (nats * inside[:, :, None]).sum((0, 1)) / n_bin
        assert self.price is not None
        if self.price.kind == "l1":
            mean = (mean + _SMALLEST_NATS).sqrt()
        return self.price.weight * n_bin * mean.sum()

    def log_prior(self) -> Float[Tensor, ""]:
        """Of the delays, where they are learned, and of edges whose strength is given; up to a constant."""
        total = self.send.new_zeros(())
        if self.log_delay is not None:
            total = total - 0.5 * ((self.log_delay - math.log(_FIRST_DELAY_S)) / _DELAY_SD).square().sum()
        if self.spread is not None:
            total = total + edge_log_prior(self.sent(), self.received(), self.spread)
        return total

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


class Axons:
    """The messages that are on their way while the recursion runs."""

    def __init__(
        self,
        sent: Float[Tensor, "n_latent channel"],
        arriving: Float[Tensor, "bin channel"],
        latent: Float[Tensor, "trial n_latent"],
        before: Float[Tensor, "trial past n_latent"] | None,
    ) -> None:
        """`before` are the latents before the first one, newest first; before those the brain was where it then was."""
        n_bin = len(arriving)
        past = latent[:, None] if before is None else before[:, :n_bin]
        past = torch.cat([past, past[:, -1:].expand(-1, n_bin - past.shape[1], -1)], 1)
        self.sent, self.arriving, self.line = sent, arriving, past @ sent

    def carry(self, latent: Float[Tensor, "trial n_latent"]) -> Float[Tensor, "trial channel"]:
        """Send a bin's messages; what arrives in the step that follows."""
        self.line = torch.cat([(latent @ self.sent)[:, None], self.line[:, :-1]], 1)
        return (self.line * self.arriving).sum(1)
