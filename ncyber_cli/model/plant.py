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
    keep: Float[Tensor, "n_animal 1 1"]  # of the actuator, over a step

    def with_goal(
        self, n_goal: int, moving: bool
    ) -> tuple[Float[Tensor, "n_animal known known"], Float[Tensor, "n_animal known n_control"]]:
        """Transition and drive of (body, actuator, goal); the goal stays, or its second half moves its first."""
        n_animal, n, n_control = self.drive.shape
        none = self.drive.new_zeros(n_animal, n, n_goal)
        still = torch.eye(n_goal, device=none.device, dtype=none.dtype)
        if moving:
            still = still + self.step_s * torch.diag(still.new_ones(n_goal - n_goal // 2), n_goal // 2)
        goal = still.expand(n_animal, -1, -1)
        transition = torch.cat([torch.cat([self.transition, none], 2), torch.cat([none.mT, goal], 2)], 1)
        return transition, torch.cat([self.drive, none.new_zeros(n_animal, n_goal, n_control)], 1)

    def held(
        self, gain: Float[Tensor, "n_animal n_control known"], moving: bool
    ) -> Float[Tensor, "n_animal n_control known"]:
        """The gain of a command held for a bin that takes the muscle to where feedback at every step would.

        A bin is no short time for a fast loop: feedback that sees the body only once a bin is half a bin late, and
        gains fitted to an animal that sees it all the time come out low (by a tenth in bins of 20 ms, and its
        muscle a tenth too fast). The gain of u = -K x that has seen what lies ahead is exact for
        a linear loop whose goal stays for the bin, and in saturation the bound hides the difference.
        """
        n_body = len(self.origin)
        transition, drive = self.with_goal(gain.shape[2] - self.drive.shape[1], moving)
        after = torch.linalg.matrix_power(transition - drive @ gain, _STEPS)
        own = slice(n_body, n_body + gain.shape[1])
        start = torch.eye(gain.shape[2], device=gain.device, dtype=gain.dtype)[own]
        muscle: Tensor = (after[:, own] - start) / (1 - self.keep**_STEPS)
        return -start - muscle


def plant_of(body: Body, n_animal: int, bin_s: float) -> Plant:
    """The plant of every animal. The muscle follows the command, and its mean over a step moves the body."""
    animals = torch.arange(n_animal, device=body.residual.scale.device)
    part, step_s = body.part(animals, _STEPS), bin_s / _STEPS
    step, push = part.transition.double(), part.drive.double()
    keep = push.new_zeros(n_animal) if body.lag is None else torch.exp(-step_s / body.lag(animals).double())
    keep = keep[:, None, None]
    one = torch.eye(push.shape[2], device=push.device, dtype=push.dtype)
    above = torch.cat([step, 0.5 * (1 + keep) * push], 2)
    below = torch.cat([torch.zeros_like(push.mT), keep * one], 2)
    drive = torch.cat([0.5 * (1 - keep) * push, (1 - keep) * one], 1)
    return Plant(torch.cat([above, below], 1), drive, part.origin, step_s, keep)
