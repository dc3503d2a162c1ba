"""Terms of a task's cost against their definitions, and its gradient against finite differences."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_rollout import noise_of, pursuing, quiet_scene
from tiny import make_tiny

from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.rehearsal import Rehearsal, together
from ncyber_cli.inference.rollout import Happening, set_objective
from ncyber_cli.inference.task_cost import TERMS, TaskCost

BIN_S = 0.02
EVERYTHING = TaskCost({name: 1.0 + i for i, name in enumerate(TERMS)})


def rehearsal(model: NeuroModel, steps: int = 40) -> Rehearsal:
    scene = set_objective(quiet_scene(model, steps), torch.tensor([[[0.1, -0.05]]]).double())
    return Rehearsal(scene, noise_of(model, steps))


def happening(model: NeuroModel, steps: int = 40) -> Happening:
    with torch.no_grad():
        return rehearsal(model, steps).play(model)


def test_terms_are_what_they_are_said_to_be() -> None:
    model = make_tiny("reach").model
    happened = happening(model)
    path, terms = happened.trajectory, EVERYTHING.terms(model, happened)
    gap = path.body[:, :, :2] - happened.objective
    torch.testing.assert_close(terms["end"], gap[-1, :, 0] ** 2 + gap[-1, :, 1] ** 2)
    torch.testing.assert_close(terms["path"], torch.stack([g.square().sum(-1) for g in gap]).mean(0))
    torch.testing.assert_close(terms["effort"], path.control[1:].norm(dim=-1).square().mean(0))
    torch.testing.assert_close(terms["end_speed"], path.body[-1, :, 2:].square().sum(-1))
    steps = (path.actuator[1:] - path.actuator[:-1]) / BIN_S
    torch.testing.assert_close(terms["jerk"], steps.square().sum(-1).mean(0))
    expected = sum((1.0 + i) * terms[name] for i, name in enumerate(TERMS))
    torch.testing.assert_close(EVERYTHING.total(terms), expected)


def test_time_counts_the_bins_away_from_the_objective() -> None:
    model = pursuing().model
    happened, cost = happening(model, 100), TaskCost({"time": 1.0})
    gap = (happened.trajectory.body[:, :, :2] - happened.objective).norm(dim=-1)
    away = BIN_S * (gap > 0.1 * gap[0]).sum(0)
    assert ((cost.terms(model, happened)["time"] - away).abs() < 2 * BIN_S).all()
    never = replace(happened.trajectory, body=happened.trajectory.body[:1].expand(100, -1, -1))
    assert cost.terms(model, replace(happened, trajectory=never))["time"].tolist() == pytest.approx([2.0, 2.0])


def test_it_costs_nothing_to_be_there() -> None:
    model = make_tiny("reach").model
    happened = happening(model)
    body = torch.cat([happened.objective, torch.zeros_like(happened.objective)], -1)
    path = replace(happened.trajectory, body=body, control=0 * body[:, :, :2], actuator=0 * body[:, :, :2])
    terms = EVERYTHING.terms(model, Happening(path, happened.objective))
    assert (EVERYTHING.total(terms) == 0).all()


@pytest.mark.parametrize("kind", ["reach", "mlp_controller", "linear_body"])
def test_the_gradient_is_that_of_finite_differences(kind: str) -> None:
    model = make_tiny(kind).model
    scene, noise = quiet_scene(model, 20), noise_of(model, 20)
    played = Rehearsal(scene, noise)
    cost = TaskCost({name: 1.0 for name in TERMS if kind != "linear_body" or name != "end_speed"})

    def total() -> torch.Tensor:
        return cost.total(cost.terms(model, played.play(model))).sum()

    for parameter in [p for p in model.loop.controller.parameters() if p.requires_grad]:
        (gradient,) = torch.autograd.grad(total(), parameter)
        entry = tuple(int(i) for i in torch.unravel_index(gradient.abs().argmax(), gradient.shape))
        with torch.no_grad():
            before, step = parameter[entry].item(), 1e-6
            ends = []
            for sign in (1, -1):
                parameter[entry] = before + sign * step
                ends.append(total())
            parameter[entry] = before
        torch.testing.assert_close(gradient[entry], (ends[0] - ends[1]) / (2 * step), rtol=1e-4, atol=1e-7)


def test_a_batch_of_rehearsals_is_each_of_them() -> None:
    model = make_tiny("reach").model
    parts = [replace(rehearsal(model, 12), noise=noise_of(model, 12, sample)) for sample in (0, 1)]
    with torch.no_grad():
        whole = together(parts).play(model)
        each = [part.play(model) for part in parts]
    torch.testing.assert_close(whole.trajectory.body, torch.cat([one.trajectory.body for one in each], 1))
    torch.testing.assert_close(whole.objective, torch.cat([one.objective for one in each], 1))
