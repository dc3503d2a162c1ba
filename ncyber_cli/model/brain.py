"""Brain dynamics: the mean of x_t given x_{t-1}, the command, the feedback, inputs and the objective.

All areas are one masked product: an area's hidden units read their own latents, and latents of
other areas only through a bottleneck per directed edge. Individuals and contexts shift the weights (see modulation).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ncyber_cli.model.messages import Axons, Edge, Messages, Wiring
from ncyber_cli.model.meta import Individuals
from ncyber_cli.model.modulation import Modulation, Shift

_FIRST_LINEAR_SHIFT = 0.02  # of the transition by an embedding of size one; nothing bounds linear dynamics that grow


@dataclass(frozen=True)
class Areas:
    """Latents per area, in order; `latent_area` and `hidden_area` give the area of each."""

    names: tuple[str, ...]
    n_latent: tuple[int, ...]

    @property
    def size(self) -> int:
        return sum(self.n_latent)

    def latent_area(self) -> Int[Tensor, " n_latent"]:
        return torch.repeat_interleave(torch.arange(len(self.names)), torch.tensor(self.n_latent))

    def hidden_area(self, hidden: int) -> Int[Tensor, " hidden"]:
        """One hidden unit each, the rest in proportion to the latents; `hidden` is at least the number of areas."""
        n_area = len(self.names)
        spare = hidden - n_area
        cuts = torch.tensor(self.n_latent).cumsum(0) * spare / self.size
        shared = torch.bucketize(torch.arange(spare) + 0.5, cuts).clamp(max=n_area - 1)
        return torch.cat([torch.arange(n_area), shared]).sort().values


@dataclass(frozen=True)
class BrainWeights:
    """Effective weights of a batch, made once before the loop (inputs on the left: x @ weight)."""

    recurrent: Float[Tensor, "n_latent hidden"]
    control: Float[Tensor, "n_control hidden"] | None
    feedback: Float[Tensor, "n_feedback hidden"] | None
    out: Float[Tensor, "hidden n_latent"]
    shift: Shift | None
    received: Float[Tensor, "channel hidden"] | None = None  # where messages are on their way for a while


class Brain(nn.Module):
    """x' = leak(x) + W_out phi(W x + W_u u + W_s s + W_v v + W_o o + b), phi = tanh (identity for `linear`)."""

    area_mask: Tensor
    out_mask: Tensor
    context_columns: Tensor
    input_mask: Tensor | None
    input_mean: Tensor
    input_sd: Tensor
    control_scale: Tensor
    feedback_mean: Tensor
    feedback_sd: Tensor

    def __init__(
        self,
        kind: Literal["residual_mlp", "linear", "low_rank_rnn"],
        areas: Areas,
        hidden: int,
        wiring: Wiring | None,
        n_control: int,
        n_feedback: int,
        n_input: int,
        n_objective: int,
        individuals: Individuals,
        rank: int,
        leak: float = 0.0,
        context_columns: Sequence[int] = (),
        input_areas: Sequence[Sequence[str] | None] = (),
    ) -> None:
        super().__init__()
        self.kind, self.areas, self.leak, self.individuals = kind, areas, leak, individuals
        n, hidden = areas.size, areas.size if kind == "linear" else max(hidden, len(areas.names))
        self.hidden = hidden
        latent_area = areas.latent_area()
        hidden_area = latent_area if kind == "linear" else areas.hidden_area(hidden)
        same = latent_area[:, None] == hidden_area[None]
        self.register_buffer("area_mask", same.float())
        self.register_buffer("out_mask", same.T.float())
        scale = 1 / math.sqrt(n)
        self.recurrent = nn.Parameter(scale * torch.randn(n, hidden))
        self.out = nn.Parameter(0.1 / math.sqrt(hidden) * torch.randn(hidden, n))
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.control = _drive(n_control, hidden)
        self.feedback = _drive(n_feedback, hidden)
        self.input = _drive(n_input, hidden)
        self.objective = _drive(n_objective, hidden)
        self.register_buffer("input_mask", _reach(input_areas, areas, hidden_area), persistent=False)
        self.register_buffer("input_mean", torch.zeros(n_input))
        self.register_buffer("input_sd", torch.ones(n_input))
        self.register_buffer("control_scale", torch.ones(()))
        self.register_buffer("feedback_mean", torch.zeros(n_feedback))
        self.register_buffer("feedback_sd", torch.ones(n_feedback))
        self.messages = None  # a single area has nobody to speak to
        if wiring is not None and wiring.edges:
            self.messages = Messages(areas.names, latent_area, hidden_area, wiring)
        if kind == "linear":
            nn.init.zeros_(self.recurrent)
        self.modulation = None
        self.register_buffer("context_columns", torch.tensor(context_columns, dtype=torch.long), persistent=False)
        if individuals.size or context_columns:
            n_context = len(context_columns)
            shift = _FIRST_LINEAR_SHIFT if kind == "linear" else 1.0
            self.modulation = Modulation(latent_area, hidden_area, rank, individuals.size, n_context, scale=shift)

    def standardise_inputs(self, mean: Tensor, sd: Tensor) -> None:
        """Mean and spread of every input (0 and 1 for what is zero at rest)."""
        self.input_mean.copy_(mean)
        self.input_sd.copy_(sd)

    @property
    def edges(self) -> list[Edge]:
        """Directed pairs of areas that a message may pass between."""
        return [] if self.messages is None else self.messages.edges

    def standardise(self, control_scale: Tensor, feedback_mean: Tensor, feedback_sd: Tensor) -> None:
        """Scales of the command and the feedback: the brain sees both in units of their own spread."""
        self.control_scale.copy_(control_scale)
        if self.feedback is not None:
            self.feedback_mean.copy_(feedback_mean)
            self.feedback_sd.copy_(feedback_sd)

    def at(self, embedding: Float[Tensor, "trial size"] | None, given: Float[Tensor, "trial n_input"]) -> BrainWeights:
        """The weights of trials whose animal and session have these embeddings; without them nobody deviates.

        `given` are the inputs of the first bin: a context holds for the whole trial.
        """
        recurrent, received = self.recurrent * self.area_mask, None
        if self.messages is not None and self.messages.n_bin:
            received = self.messages.received()
        elif self.messages is not None:
            recurrent = recurrent + self.messages.sent() @ self.messages.received()
        shift = None
        if self.modulation is not None:
            nobody = given.new_zeros(len(given), self.individuals.size)
            context = self._standard(given).index_select(1, self.context_columns)
            shift = self.modulation(nobody if embedding is None else embedding, context)
        return BrainWeights(
            recurrent=recurrent,
            control=None if self.control is None else self.control / self.control_scale,
            feedback=None if self.feedback is None else self.feedback / self.feedback_sd[:, None],
            out=self.out * self.out_mask,
            shift=shift,
            received=received,
        )

    def axons(self, latent: Float[Tensor, "trial n_latent"], before: Tensor | None) -> Axons | None:
        """What is on its way in the bin of `latent`, after those of `before` (trial, past, n_latent), newest first."""
        if self.messages is None or self.messages.n_bin == 0:
            return None
        return Axons(self.messages.sent(), self.messages.arriving(), latent, before)

    def drive(
        self, weights: BrainWeights, given: Tensor, objective: Tensor | None
    ) -> Float[Tensor, "time trial hidden"]:
        """What does not depend on the state: inputs (time, trial, n_input), normalised objective, bias."""
        total: Tensor = self.bias
        if self.feedback is not None:
            total = total - (self.feedback_mean / self.feedback_sd) @ self.feedback
        if weights.shift is not None:
            total = total + weights.shift.bias
        total = total.expand(*given.shape[:2], self.hidden)
        if self.input is not None:
            weight = self.input if self.input_mask is None else self.input * self.input_mask
            total = total + self._standard(given) @ weight
        if self.objective is not None and objective is not None:
            total = total + objective @ self.objective
        return total

    def _standard(self, given: Tensor) -> Tensor:
        return (given - self.input_mean) / self.input_sd

    def step(
        self,
        weights: BrainWeights,
        latent: Tensor,
        control: Tensor | None,
        feedback: Tensor | None,
        drive: Tensor,
        heard: Tensor | None = None,
    ) -> Float[Tensor, "trial n_latent"]:
        """The prior mean of the next latent; `heard` are the messages that arrive, where they take time."""
        total = torch.addmm(drive, latent, weights.recurrent)
        if heard is not None and weights.received is not None:
            total = torch.addmm(total, heard, weights.received)
        if control is not None and weights.control is not None:
            total = torch.addmm(total, control, weights.control)
        if feedback is not None and weights.feedback is not None:
            total = torch.addmm(total, feedback, weights.feedback)
        if weights.shift is not None:
            total = torch.addmm(total, (latent @ weights.shift.read) * weights.shift.gain, weights.shift.write)
        if self.kind == "linear":
            return latent + total
        if self.kind == "low_rank_rnn":
            return torch.addmm(latent, torch.tanh(total), weights.out) - self.leak * latent
        return torch.addmm(latent, torch.tanh(total), weights.out)

    def response(self) -> Float[Tensor, "hidden n_latent"]:
        """How the next latents answer to the hidden units, to first order around rest."""
        if self.kind == "linear":
            return torch.eye(self.hidden, device=self.out.device, dtype=self.out.dtype)
        return self.out * self.out_mask

    def log_prior(self) -> Float[Tensor, ""]:
        own = self.individuals.log_prior()
        return own if self.messages is None else own + self.messages.log_prior()


def _drive(n_in: int, hidden: int) -> nn.Parameter | None:
    return nn.Parameter(0.3 / math.sqrt(n_in) * torch.randn(n_in, hidden)) if n_in else None


def _reach(
    input_areas: Sequence[Sequence[str] | None], areas: Areas, hidden_area: Int[Tensor, " hidden"]
) -> Float[Tensor, "n_input hidden"] | None:
    """Which hidden units each input reaches: those of the areas that are named for it, all where none are (None)."""
    if all(named is None for named in input_areas):
        return None
    reach = [[named is None or name in named for name in areas.names] for named in input_areas]
    return torch.tensor(reach)[:, hidden_area].float()
