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

    Without a body the goal lives in a readout of the brain, and that readout stands here as the body.
    """

    body: Float[Tensor, "trial n_body"]
    actuator: Float[Tensor, "trial n_control"]


@runtime_checkable
class Controller(Protocol):
    """`looks_ahead`: commands foresee the bin for which they are held, and so speak for its middle.

    Surprises of the body are then half a bin older than at the bin's start.
    """

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
