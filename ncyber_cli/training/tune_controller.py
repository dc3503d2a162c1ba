"""Tune a controller for a task: gradients through closed-loop rollouts; brain, body and emission stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ncyber_cli.errors import NumericalError
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.rehearsal import Rehearsal
from ncyber_cli.inference.task_cost import TaskCost
from ncyber_cli.training.schedule import set_learning_rate

_LARGEST_GRADIENT = 1.0  # norm, in units of the first one: a rollout near an edge of stability has a huge one
_JUDGE_EVERY = 5  # updates
_SURE = 2.0  # standard errors by which the paired cost has to fall: selection alone finds one or two


@dataclass(frozen=True)
class Tuned:
    """How it went; `update` 0 is the controller as it was, which stays where nothing was surely better."""

    update: int
    history: list[tuple[int, float]]  # update and mean cost under the judge's noise


def tunable(controller: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Learned parameters by the name of what they belong to: stiffness, damping, gate, ..."""
    found: dict[str, list[nn.Parameter]] = {}
    for name, parameter in controller.named_parameters():
        if parameter.requires_grad:
            found.setdefault(name.split(".")[0], []).append(parameter)
    return found


def tune(
    model: NeuroModel,
    parameters: Sequence[nn.Parameter],
    cost: TaskCost,
    rehearsal: Rehearsal,
    judge: Rehearsal,
    *,
    updates: int,
    learning_rate: float,
    report: Callable[[Mapping[str, Any]], None],
) -> Tuned:
    """Move `parameters`, and nothing else, downhill on the mean cost of `rehearsal`, always under the same noise.

    What is kept is what costs least under the noise of `judge`, and only if that is less than at the start by two
    standard errors of the paired difference. Raises NumericalError for a cost that is not finite at the start.
    """
    model.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.Adam([{"params": list(parameters), "speed": 1.0}], lr=learning_rate)
    best = _Best(parameters, _cost(model, cost, judge))
    report({"total_epochs": updates, "label": "design"})
    largest = None
    for update in range(1, updates + 1):
        set_learning_rate(optimizer, learning_rate, (update - 1) / updates)
        optimizer.zero_grad()
        loss = cost.total(cost.terms(model, rehearsal.play(model))).mean()
        torch.autograd.backward(loss)
        largest = _LARGEST_GRADIENT * float(_size(parameters)) if largest is None else largest
        if not torch.isfinite(loss + _size(parameters)):
            report({"message": f"stopped at update {update}: a rollout is not finite; try a smaller --learning-rate"})
            break
        nn.utils.clip_grad_norm_(parameters, largest)
        optimizer.step()
        if update % _JUDGE_EVERY == 0 or update == updates:
            found = _cost(model, cost, judge)
            best.consider(update, found)
            report({"epoch": update, "cost": float(loss.detach()), "held_out_cost": float(found.mean())})
    return best.restore()


class _Best:
    """The parameters that cost least under the judge's noise so far."""

    def __init__(self, parameters: Sequence[nn.Parameter], first: Float[Tensor, " trial"]) -> None:
        if not torch.isfinite(first).all():
            remedy = "write a smaller --steps, or choose another run"
            raise NumericalError("rollouts of the model as it is are not finite", remedy=remedy)
        self.parameters, self.first, self.least = parameters, first, first
        self.start = self.values = self._copied()
        self.history, self.update = [(0, float(first.mean()))], 0

    def consider(self, update: int, found: Float[Tensor, " trial"]) -> None:
        self.history.append((update, float(found.mean())))
        if found.mean() < self.least.mean():
            self.least, self.values, self.update = found, self._copied(), update

    @torch.no_grad()
    def restore(self) -> Tuned:
        """Put the best values back, or the first where nothing was surely better."""
        gain = self.first - self.least
        sure = bool(gain.mean() > _SURE * gain.std() / len(gain) ** 0.5)
        for parameter, value in zip(self.parameters, self.values if sure else self.start, strict=True):
            parameter.copy_(value)
        return Tuned(self.update if sure else 0, self.history)

    def _copied(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self.parameters]


@torch.no_grad()
def _cost(model: NeuroModel, cost: TaskCost, rehearsal: Rehearsal) -> Float[Tensor, " trial"]:
    return cost.total(cost.terms(model, rehearsal.play(model)))


def _size(parameters: Sequence[nn.Parameter]) -> Tensor:
    size: Tensor = torch.stack([p.grad.norm() for p in parameters if p.grad is not None]).norm()
    return size
