"""Body and muscle as one linear plant, the way the loop steps them, in steps much shorter than a bin."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ncyber_cli.model.body import Body

_STEPS = 8  # in a bin: 2.5 ms of a 20 ms bin, short against any muscle


@dataclass(frozen=True)
class Plant:
    """x <- transition x + drive u every `step_s` seconds, x = (body - origin, actuator); column vectors, double."""

    transition: Float[Tensor, "n_animal n n"]
    drive: Float[Tensor, "n_animal n n_control"]
    origin: Float[Tensor, " n_body"]
    step_s: float


def plant_of(body: Body, n_animal: int, bin_s: float) -> Plant:
    """The plant of every animal. The muscle follows the command, and its mean over a step moves the body."""
    animals = torch.arange(n_animal, device=body.residual.scale.device)
    part, step_s = body.part(animals, _STEPS), bin_s / _STEPS
    step, push = part.transition.double(), part.drive.double()
    keep = push.new_zeros(n_animal) if body.lag is None else torch.exp(-step_s / body.lag(animals).double())
    keep, follow = keep[:, None, None], 1 - keep[:, None, None]
    one = torch.eye(push.shape[2], device=push.device, dtype=push.dtype)
    above = torch.cat([step, 0.5 * (1 + keep) * push], 2)
    below = torch.cat([torch.zeros_like(push.mT), keep * one], 2)
    drive = torch.cat([0.5 * follow * push, follow * one], 1)
    return Plant(torch.cat([above, below], 1), drive, part.origin, step_s)
