"""How a fit changes as it goes: learning rate, weight of the KL, and the optimiser they drive."""

from __future__ import annotations

import math

import torch
from torch import nn

from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.model.meta import Pooled
from ncyber_cli.model.objective import Objective
from ncyber_cli.model.slow_and_fast import SlowAndFast
from ncyber_cli.model.window_start import WindowStart

_WARM_UP = 0.05  # share of training until the full learning rate
_LAST_RATE = 0.05  # of the learning rate, where the cosine ends
_KL_RAMP = 0.1  # share of training until the full ELBO
_FIRST_KL = 0.05
_BETAS = (0.9, 0.95)  # gradients of a recursion change fast; a long memory of their size slows the fit
_HELD = 0.6  # share of training for which prior `switching` holds the controller at least: until it gets prototypes
_LOG_SCALE_SPEED = 5.0  # gains, lags, masses and variances are few, well determined and live on a log scale


def make_optimizer(
    model: NeuroModel, learning_rate: float, weight_decay: float, hold_controller: float = 0.0
) -> torch.optim.AdamW:
    """AdamW with a faster group, not decayed, for quantities on a log scale and for embeddings.

    The controller stays as it is for the share `hold_controller` of training, and longer with prior `switching`.
    Where the goal changes within most trials, or trials are short and few, an objective that hardly moves yet pulls
    the body the wrong way: gains and gate would vanish before it is found.
    """
    fast = [p for part in model.modules() if isinstance(part, Pooled) for p in part.parameters()]
    fast += [p for part in model.modules() if isinstance(part, SlowAndFast) for p in (part.raw_rho, part.raw_share)]
    fast += [model.loop.log_process_variance, model.loop.log_initial_variance]
    fast += [part.log_variance for part in model.modules() if isinstance(part, WindowStart)]
    fast += model.loop.brain.individuals.parameters()  # a few numbers an animal, which decide what all weights mean
    fast = [p for p in fast if p.requires_grad]
    known = {id(p) for p in fast}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
    objective, controller = model.loop.objective, model.loop.controller
    until = max(hold_controller, _HELD if objective is not None and objective.prior == "switching" else 0.0)
    held: set[int] = set()
    if until and isinstance(controller, nn.Module):
        held = {id(p) for p in controller.parameters()}
    groups = [
        {"params": [p for p in chosen if (id(p) in held) == later], "speed": speed, "weight_decay": decay} | wait
        for chosen, speed, decay in ((rest, 1.0, weight_decay), (fast, _LOG_SCALE_SPEED, 0.0))
        for later, wait in ((False, {}), (True, {"held_until": until}))
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=learning_rate, betas=_BETAS)


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float, progress: float) -> None:
    """Set every group's rate; `progress` is the share of training that is done."""
    for group in optimizer.param_groups:
        held = progress < group.get("held_until", 0.0)
        group["lr"] = 0.0 if held else learning_rate * warm_cosine(progress) * group["speed"]


def warm_cosine(progress: float) -> float:
    """Share of the learning rate: a linear warm-up, then a cosine."""
    cosine = _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    return min(1.0, (progress + 1e-3) / _WARM_UP) * cosine


def kl_weight(progress: float) -> float:
    return min(1.0, _FIRST_KL + progress / _KL_RAMP)


def anneal(model: nn.Module, progress: float) -> None:
    """Let every part that changes its prior during training know how far it is."""
    for part in model.modules():
        if isinstance(part, Objective):
            part.anneal(progress)


def settled(model: nn.Module, progress: float) -> bool:
    """Whether what is maximised no longer changes: the full KL, and every prior in its final form."""
    parts = [part for part in model.modules() if isinstance(part, Objective)]
    return kl_weight(progress) >= 1 and all(part.settled(progress) for part in parts)
