"""What the loop asks of a controller, and what it tells it: u_t = pi(x_{t-1}, o_t, b^_{t-1}).

A controller is two methods: `at(animal)` gathers what the loop needs for the trials of a batch,
once; `command(...)` is the law itself, called in every bin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Belief:
    """What the brain knows of its body as it commands: an estimate, and its own muscle's state exactly.

    Without a body (`body` None) position is a readout of the brain, and velocity zero.
    """

    position: Float[Tensor, "trial n_position"]
    velocity: Float[Tensor, "trial n_position"]
    actuator: Float[Tensor, "trial n_control"]
    body: Float[Tensor, "trial n_body"] | None = None


@runtime_checkable
class Controller(Protocol):
    """`looks_ahead`: the belief handed to `command` is that of half a bin later, the middle of the step commanded."""

    n_control: int
    control_scale: Tensor
    looks_ahead: bool

    def at(self, animal: Int[Tensor, " trial"]) -> Any: ...

    def command(self, here: Any, latent: Tensor, objective: Tensor, belief: Belief) -> tuple[Tensor, Tensor]:
        """The command (trial, n_control) and the gate (trial, 1)."""
        ...

    def latent_power(self) -> Float[Tensor, " n_latent"]:
        """How much of the command each latent carries: its squared weights, zero where its area has no part in it."""
        ...

    def log_prior(self) -> Tensor: ...
