"""Readers of the objective: what a recording says of it, learned on trials that the fitted model simulates.

The ELBO's posterior is too sure: it is fitted to the trials it is judged by, with one value for every gain, and has
one hypothesis a bin. A simulated trial has an objective that is known, and noise that nothing was fitted to, so that
a network trained on them by likelihood (neural posterior estimation, Papamakarios & Murray 2016) is as sure as it may
be. Two of them: `CausalReader` knows nothing after its bin; `SmoothedReader` corrects the ELBO's own chain.
Quantities are in normalised units: the objective's own, and controls in units of the control scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ncyber_cli.inference.encoder import Encoder, Messages, ReadIn, View
from ncyber_cli.inference.mixture import Mixture, MixtureHead
from ncyber_cli.inference.objective_posterior import objective_chain
from ncyber_cli.inference.recurrence import Backbone
from ncyber_cli.model.objective import Objective

# Components of a mixture, and how far apart they begin.
_CANDIDATES = (6, 0.7)  # before a movement there are several
_CORRECTIONS = (4, 0.05)  # of what is nearly known


class CausalReader(nn.Module):
    """q(objective, control, actuator of bin t | data <= t): a read-in and forward pass of its own, a head each."""

    def __init__(self, n_session: int, n_unit: int, n_rest: int, hidden: int, sizes: dict[str, int]) -> None:
        super().__init__()
        self.read_in = ReadIn(n_session, n_unit, n_rest, hidden)
        self.forward_pass = Backbone(hidden)
        heads = {
            name: MixtureHead(hidden, hidden, size, *(_CANDIDATES if name == "objectives" else ()))
            for name, size in sizes.items()
        }
        self.heads = nn.ModuleDict(heads)

    def begin_as(self, encoder: Encoder) -> None:
        """Start from what the encoder's forward pass has learned."""
        self.read_in.load_state_dict(encoder.read_in.state_dict())
        self.forward_pass.load_state_dict(encoder.forward_pass.state_dict())

    def forward(self, view: View) -> dict[str, Mixture]:
        """Time first, by name of the results file's group."""
        state = self.forward_pass(self.read_in(view))
        return {name: head(state) for name, head in self.heads.items()}


class SmoothedReader(nn.Module):
    """q(o_t | all data): the chain's mean and sd, and the encoder's states, corrected."""

    def __init__(self, n_state: int, hidden: int, n_objective: int) -> None:
        super().__init__()
        self.head = MixtureHead(n_state + 2 * n_objective, hidden, n_objective, *_CORRECTIONS)

    def told(self, messages: Messages, mean: Tensor, sd: Tensor) -> Float[Tensor, "time trial feature"]:
        """What the correction is made from; mean and sd of the chain are (time, trial, n_objective), normalised."""
        return torch.cat([messages.state, mean, sd.clamp(min=1e-6).log()], -1)

    def forward(self, told: Float[Tensor, "*batch feature"], mean: Float[Tensor, "*batch n_objective"]) -> Mixture:
        found: Mixture = self.head(told, mean)
        return found


class Readers(nn.Module):
    """Both readers. Nothing is read before they have learned.

    Several candidates summed up by a mean and sd make a region that is too wide: `causal_width` mends it.
    """

    causal_width: Tensor

    def __init__(self, causal: CausalReader, smoothed: SmoothedReader) -> None:
        super().__init__()
        self.causal, self.smoothed = causal, smoothed
        self.ready = False  # not a buffer: asking a device would wait for it
        self.register_buffer("causal_width", torch.ones(()))

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.ready)

    def set_extra_state(self, state: Tensor) -> None:
        self.ready = bool(state)


@dataclass(frozen=True)
class Reading:
    """From a path of the ELBO's chain to one of the corrected posterior, bin by bin; objective's units, time first."""

    chain_mean: Float[Tensor, "time trial n_objective"]
    mean: Float[Tensor, "time trial n_objective"]
    stretch: Float[Tensor, "time trial n_objective"]

    def of(self, path: Float[Tensor, "time trial n_objective"]) -> Float[Tensor, "time trial n_objective"]:
        return self.mean + (path - self.chain_mean) * self.stretch


def reading_of(readers: Readers, objective: Objective, messages: Messages, seen: Bool[Tensor, "time trial"]) -> Reading:
    """What makes posterior samples of the objective as wide as they should be."""
    chain_mean, chain_sd = objective_chain(objective, messages, seen)
    normal_sd = chain_sd / objective.sd
    normal_mean = objective.normalise(chain_mean)
    told = readers.smoothed.told(messages, normal_mean, normal_sd)
    mean, sd = readers.smoothed(told, normal_mean).moments()
    stretch = sd / normal_sd.clamp(min=1e-6)
    return Reading(chain_mean, objective.mean + objective.sd * mean, stretch)
