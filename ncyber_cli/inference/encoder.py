"""From recordings to messages: per-session read-in, a shared recurrent backbone, Gaussian pseudo-observations.

What the encoder may see is decided here and nowhere else: held-out units never, blanked bins and
dropped entries as zeros with a flag. Padded bins change nothing: the backward pass starts at the
last bin of each trial.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ncyber_cli.data.batches import Batch
from ncyber_cli.inference.recurrence import Backbone

N_FLAG = 2  # neural seen, body seen
_SMOOTHING_S = 0.05  # width of the fixed kernel behind the warm-started path from data to latent
_FIRST_LOG_RATIO = -1.0  # of message to prior precision: a gain of a quarter
_FIRST_OBJECTIVE_LOG_RATIO = -3.0  # the objective starts as something that hardly moves, after its first bin
_FIRST_LOG_REDRAW = -2.0  # a redrawn objective starts as sharp as a seventh of its prior


@dataclass(frozen=True)
class View:
    """What of a batch the encoder is shown, trial first."""

    neural: Float[Tensor, "trial time unit"]  # zeros where hidden
    body: Float[Tensor, "trial time shown"]  # value and change since the last bin, standardised, zeros where hidden
    input: Float[Tensor, "trial time n_given"]  # inputs, and forces in units of their size
    flags: Float[Tensor, "trial time 2"]  # neural seen, body seen
    seen: Bool[Tensor, "trial time"]  # any of both
    length: Int[Tensor, " trial"]  # bins from the start to the last that may be seen
    session: Int[Tensor, " trial"]


@dataclass(frozen=True)
class Messages:
    """Gaussian pseudo-observations, time first; those of the objective are in its normalised units."""

    latent: Float[Tensor, "time trial n_latent"]
    latent_log_ratio: Float[Tensor, "time trial n_latent"]
    objective: Float[Tensor, "time trial n_objective"]
    objective_log_ratio: Float[Tensor, "time trial n_objective"]
    objective_log_redraw: Float[Tensor, "time trial n_objective"]  # log sd of a redrawn objective (prior `jump`)
    actuator: Float[Tensor, "trial n_control"]  # in the first bin, in units of the control scale
    actuator_log_sd: Float[Tensor, "trial n_control"]
    causal_state: Float[Tensor, "time trial hidden"]  # of the forward pass: knows nothing after its bin
    state: Float[Tensor, "time trial width"]  # of every pass


class ReadIn(nn.Module):
    """What is shown in each bin as one vector: each session's neurons through weights of their own."""

    def __init__(self, n_session: int, n_unit: int, n_rest: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_session, n_unit, hidden) / math.sqrt(n_unit))
        self.offset = nn.Parameter(torch.zeros(n_session, hidden))
        self.rest = nn.Linear(n_rest, hidden)  # behaviour, inputs and flags

    def forward(self, view: View) -> Float[Tensor, "time trial hidden"]:
        rest = self.rest(torch.cat([view.body, view.input, view.flags], -1)) + self.offset[view.session][:, None]
        embedded = torch.relu(torch.baddbmm(rest, view.neural, self.weight[view.session]))
        return embedded.transpose(0, 1).contiguous()


class Encoder(nn.Module):
    """Read-in per session, one backbone forward in time and (unless causal) one backward, linear heads."""

    unit_mean: Tensor
    unit_scale: Tensor
    body_mean: Tensor
    body_sd: Tensor
    body_step_sd: Tensor
    force_size: Tensor
    input_mean: Tensor
    input_sd: Tensor

    def __init__(
        self,
        n_session: int,
        n_unit: int,
        n_body: int,
        n_input: int,
        n_force: int,
        n_latent: int,
        n_objective: int,
        n_control: int,
        hidden: int,
        bin_s: float,
        bidirectional: bool,
    ) -> None:
        super().__init__()
        self.bidirectional, self.bin_s = bidirectional, bin_s
        self.sizes = (n_latent, n_latent, n_objective, n_objective, n_objective)
        self.register_buffer("unit_mean", torch.zeros(n_session, n_unit))
        self.register_buffer("unit_scale", torch.ones(n_session, n_unit))
        self.register_buffer("body_mean", torch.zeros(n_body))
        self.register_buffer("body_sd", torch.ones(n_body))
        self.register_buffer("body_step_sd", torch.ones(n_body))
        self.register_buffer("force_size", torch.ones(n_force))
        self.register_buffer("input_mean", torch.zeros(n_input))
        self.register_buffer("input_sd", torch.ones(n_input))
        self.read_in = ReadIn(n_session, n_unit, 2 * n_body + n_input + n_force + N_FLAG, hidden)
        self.latent_path = nn.Parameter(torch.zeros(n_session, n_unit, n_latent))  # data-only start of k_t
        self.forward_pass = Backbone(hidden)
        self.backward_pass = Backbone(hidden) if bidirectional else None
        width = 2 * hidden if bidirectional else hidden
        self.head = nn.Linear(width, sum(self.sizes))
        self.start_head = nn.Linear(width, 2 * n_control) if n_control else None
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        parts = torch.split(self.head.bias.data, list(self.sizes))
        bias = dict(zip(("k", "gain", "o", "o_gain", "o_redraw"), parts, strict=True))
        nn.init.constant_(bias["gain"], _FIRST_LOG_RATIO)
        nn.init.constant_(bias["o_gain"], _FIRST_OBJECTIVE_LOG_RATIO)
        nn.init.constant_(bias["o_redraw"], _FIRST_LOG_REDRAW)
        self.first_bin = nn.Parameter(torch.full((n_objective,), -_FIRST_OBJECTIVE_LOG_RATIO))

    def view(
        self,
        batch: Batch,
        *,
        keep: Bool[Tensor, "trial time unit"] | None = None,
        keep_scale: float = 1.0,
        visible: Bool[Tensor, "trial time"] | None = None,
        show_neural: Bool[Tensor, " trial"] | None = None,
        show_body: Bool[Tensor, " trial"] | None = None,
        length: Int[Tensor, " trial"] | None = None,
    ) -> View:
        """Hide held-out units, dropped entries (`keep` False), blanked bins and whole modalities."""
        visible = batch.mask if visible is None else batch.mask & visible
        if length is None:
            length = batch.mask.sum(1)
        else:
            visible = visible & (torch.arange(visible.shape[1], device=visible.device) < length[:, None])
        neural_on = visible if show_neural is None else visible & show_neural[:, None]
        body_on = visible if show_body is None else visible & show_body[:, None]
        allowed = batch.observed & batch.encodable[:, None] & neural_on[:, :, None]
        if keep is not None:
            allowed = allowed & keep
        centred = (batch.observation - self.unit_mean[batch.session][:, None]) / self.unit_scale[batch.session][:, None]
        body_allowed = batch.body_recorded & body_on[:, :, None]
        body = self._standard_body(batch.body, body_allowed)
        body_flag = body_allowed.any(2) if body_allowed.shape[2] else torch.zeros_like(visible)
        flags = torch.stack([neural_on, body_flag], -1).to(centred.dtype)
        # Unless it is told of a push, it takes the push for a command, and the command for a change of mind.
        inputs = (batch.input - self.input_mean) / self.input_sd
        given = torch.cat([inputs, batch.force / self.force_size], -1) * visible[:, :, None]
        return View(centred * allowed * keep_scale, body, given, flags, neural_on | body_flag, length, batch.session)

    def _standard_body(
        self, body: Float[Tensor, "trial time n_body"], allowed: Bool[Tensor, "trial time n_body"]
    ) -> Float[Tensor, "trial time shown"]:
        """Values and changes: a command shows in how the velocity changes, which is small beside the velocity."""
        both = allowed[:, 1:] & allowed[:, :-1]
        change = (body[:, 1:] - body[:, :-1]) / self.body_step_sd * both
        first = torch.zeros_like(body[:, :1])
        return torch.cat([(body - self.body_mean) / self.body_sd * allowed, torch.cat([first, change], 1)], -1)

    def forward(self, view: View) -> Messages:
        embedded = self.read_in(view)
        causal = self.forward_pass(embedded)
        state = causal
        if self.backward_pass is not None:
            after = self.backward_pass(_turn(embedded, view.length))
            state = torch.cat([causal, _turn(after, view.length)], -1)
        heads = self.head(state).split(self.sizes, -1)
        latent, log_ratio, objective, objective_log_ratio, redraw = heads
        objective_log_ratio = torch.cat([objective_log_ratio[:1] + self.first_bin, objective_log_ratio[1:]])
        nothing = state.new_zeros(state.shape[1], 0)
        actuator, log_sd = (nothing, nothing) if self.start_head is None else self.start_head(state[0]).chunk(2, -1)
        return Messages(
            latent + self._latent_path(view).transpose(0, 1),
            log_ratio.clamp(-12, 12),
            objective,
            objective_log_ratio.clamp(-12, 12),
            redraw.clamp(-8, 3),
            actuator,
            log_sd.clamp(-8, 2) - 2.0,
            causal,
            state,
        )

    def _latent_path(self, view: View) -> Float[Tensor, "trial time n_latent"]:
        """Smoothed activity of the seen units through the warm-started read-in."""
        projected = torch.bmm(view.neural, self.latent_path[view.session])
        n_time = projected.shape[1]
        bins = torch.arange(n_time, device=projected.device)
        lag = (bins[:, None] - bins[None]).to(projected.dtype) * self.bin_s / max(_SMOOTHING_S, self.bin_s)
        kernel = torch.exp(-0.5 * lag.square()) if self.bidirectional else torch.exp(-lag.clamp(min=0)) * (lag >= 0)
        there = view.flags[:, :, :1]
        weight = torch.matmul(kernel, there)
        return torch.matmul(kernel, projected * there) / weight.clamp(min=1e-3)


def _turn(values: Float[Tensor, "time trial n"], length: Int[Tensor, " trial"]) -> Float[Tensor, "time trial n"]:
    """Reverse the first `length` bins of each trial and leave the rest where it is (its own inverse)."""
    bins = torch.arange(len(values), device=values.device)[:, None]
    index = torch.where(bins < length, length - 1 - bins, bins)
    return torch.gather(values, 0, index[:, :, None].expand_as(values))
