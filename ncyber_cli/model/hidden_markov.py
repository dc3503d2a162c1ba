"""A discrete path summed out exactly: forward-backward in log space, differentiable, all trials at once.

Rabiner 1989, with logarithms in place of scaling. A step's potential is log p(state k, observation | state j):
transition and evidence in one, so that evidence may depend on both ends of a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Filtered:
    """What each bin and those before it say of the state, and how likely each bin was given those before it."""

    log_state: Float[Tensor, "time trial state"]  # log p(z_t | bins up to t)
    log_evidence: Float[Tensor, "time trial"]  # its sum up to t is the log likelihood of the bins up to t


def forward(log_first: Float[Tensor, "trial state"], log_steps: Float[Tensor, "steps trial state state"]) -> Filtered:
    """Filter from log p(z_0, bin 0) and the potentials of each later bin, [t - 1, trial, from, to]."""
    evidence = [log_first.logsumexp(-1)]
    states = [log_first - evidence[0][:, None]]
    for step in log_steps.unbind(0):
        joint = (states[-1][:, :, None] + step).logsumexp(1)
        evidence.append(joint.logsumexp(-1))
        states.append(joint - evidence[-1][:, None])
    return Filtered(torch.stack(states), torch.stack(evidence))


def smoothed(
    filtered: Filtered, log_steps: Float[Tensor, "steps trial state state"]
) -> Float[Tensor, "time trial state"]:
    """p(z_t | all bins): what follows, passed backward, times what the filter knows."""
    return (filtered.log_state + _backward(filtered, log_steps)).softmax(-1)


def stays(filtered: Filtered, log_steps: Float[Tensor, "steps trial state state"]) -> Float[Tensor, "steps trial"]:
    """p(z_t = z_{t-1} | all bins)."""
    ahead = _backward(filtered, log_steps)
    joint = filtered.log_state[:-1, :, :, None] + log_steps + ahead[1:, :, None, :]
    return joint.flatten(2).softmax(-1).view_as(joint).diagonal(dim1=-2, dim2=-1).sum(-1)


def _backward(filtered: Filtered, log_steps: Tensor) -> Float[Tensor, "time trial state"]:
    """log p(bins after t | z_t), up to a constant of each bin."""
    ahead = [torch.zeros_like(filtered.log_state[0])]
    for step, evidence in zip(log_steps.flip(0), filtered.log_evidence[1:].flip(0), strict=True):
        ahead.append((step + ahead[-1][:, None, :]).logsumexp(-1) - evidence[:, None])
    return torch.stack(ahead).flip(0)
