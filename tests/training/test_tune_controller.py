"""A tuned controller costs less under noise it has not met, and nothing but it has moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tiny import make_tiny

from ncyber_cli.errors import NumericalError
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.rehearsal import Rehearsal, together
from ncyber_cli.inference.rollout import Scene, set_objective
from ncyber_cli.inference.task_cost import TaskCost
from ncyber_cli.inference.trial_noise import TrialKey, path_noise
from ncyber_cli.training.tune_controller import Tuned, tunable, tune

STEPS = 20
PARTS = ("log_shared", "deviation")  # of what animals share and how they differ
KINDS = pytest.mark.parametrize("kind", ["reach", "mlp_controller", "linear_body", "lqr"])
NEAR = TaskCost({"path": 1.0, "end": 1.0})


def rehearsal(model: NeuroModel, samples: Sequence[int]) -> Rehearsal:
    """Both animals from rest to a goal, under the noise of these samples."""
    like, objective, body = model.loop.initial_mean, model.loop.objective, model.loop.body
    assert objective is not None
    assert body is not None
    scene = Scene(
        animal=torch.tensor([0, 1]),
        session=torch.tensor([0, 1]),
        input=like.new_zeros(2, STEPS, 1),
        force=like.new_zeros(2, STEPS, 2),
        objective=like.new_full((2, STEPS, objective.size), torch.nan),
        body=like.new_zeros(2, body.n_body),
    )
    goal = like.new_tensor([0.5, -0.5, 0.0, 0.0])[None, None, : objective.size]
    keys = [TrialKey("a", "s0", "0"), TrialKey("b", "s1", "0")]
    return together(
        [Rehearsal(set_objective(scene, goal), path_noise(model, keys, STEPS, 0, sample)) for sample in samples]
    )


def calm(kind: str) -> NeuroModel:
    """A model whose body is not thrown about, so that the goal can be reached."""
    model = make_tiny(kind).model
    model.loop.body.residual.scale.mul_(0.1)
    return model


def fresh(model: NeuroModel, cost: TaskCost = NEAR) -> float:
    with torch.no_grad():
        return float(cost.total(cost.terms(model, rehearsal(model, range(50, 66)).play(model))).mean())


def tuned(model: NeuroModel, cost: TaskCost = NEAR, names: Sequence[str] = (), **options: Any) -> Tuned:
    assert isinstance(model.loop.controller, torch.nn.Module)
    chosen = [p for name, found in tunable(model.loop.controller).items() if not names or name in names for p in found]
    options = {"updates": 10, "learning_rate": 0.1, **options}
    judge = rehearsal(model, range(4, 12))
    return tune(model, chosen, cost, rehearsal(model, range(4)), judge, report=lambda event: None, **options)


@KINDS
def test_it_costs_less_under_fresh_noise_and_all_else_is_bit_equal(kind: str) -> None:
    model = calm(kind)
    before, state = fresh(model), {name: value.clone() for name, value in model.state_dict().items()}
    found = tuned(model)
    assert found.update > 0
    assert fresh(model) < 0.97 * before
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, state[name])}
    assert moved
    assert all(name.startswith("loop.controller.") for name in moved)


def test_only_what_is_named_moves() -> None:
    model = calm("reach")
    state = {name: value.clone() for name, value in model.state_dict().items()}
    tuned(model, names=["damping", "stiffness"])
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, state[name])}
    assert moved == {f"loop.controller.{name}.{part}" for name in ("damping", "stiffness") for part in PARTS}


def test_a_controller_at_its_best_gets_no_worse_and_steps_too_large_are_taken_back() -> None:
    model = calm("reach")
    cost = TaskCost({"path": 1.0, "effort": 1e-2})
    tuned(model, cost, updates=30)
    best = fresh(model, cost)
    tuned(model, cost, updates=10)
    assert fresh(model, cost) < 1.01 * best
    state = {name: value.clone() for name, value in model.state_dict().items()}
    assert tuned(model, cost, learning_rate=5.0, updates=5).update == 0
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_what_has_no_part_in_the_cost_stays_to_the_bit() -> None:
    model = calm("reach")
    with torch.no_grad():
        model.loop.controller.gate.readout.bias.fill_(50.0)  # open, whatever the brain does
    state = {name: value.clone() for name, value in model.state_dict().items()}
    assert tuned(model, names=["gate"], updates=5).update == 0
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_it_is_repeatable() -> None:
    first, again = calm("reach"), calm("reach")
    assert tuned(first, updates=6) == tuned(again, updates=6)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))


def test_rollouts_that_are_not_finite_are_refused() -> None:
    model = calm("reach")
    with torch.no_grad():
        model.loop.brain.bias.fill_(torch.nan)
    with pytest.raises(NumericalError, match="not finite"):
        tuned(model)
