"""Rollouts: the objective is pursued, feedback matters, and what is held is held."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny import MODELS, Tiny, make_tiny
from torch import Tensor

from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.recorded_scenes import scene_of
from ncyber_cli.inference.rollout import Scene, rollout, set_objective
from ncyber_cli.inference.trial_noise import PathNoise, TrialKey, path_noise

EVERY_MODEL = pytest.mark.parametrize("kind", MODELS)
KEYS = [TrialKey("a", "s0", "0"), TrialKey("b", "s1", "0")]
STEPS = 150


def quiet_scene(model: NeuroModel, steps: int = STEPS) -> Scene:
    """Both animals at rest at the origin, nothing given, the objective left to the prior."""
    loop, like = model.loop, model.loop.initial_mean
    n_objective = 0 if loop.objective is None else loop.objective.size
    return Scene(
        animal=torch.tensor([0, 1]),
        session=torch.tensor([0, 1]),
        input=like.new_zeros(2, steps, 1),
        force=like.new_zeros(2, steps, 2),
        objective=like.new_full((2, steps, n_objective), torch.nan),
        body=like.new_zeros(2, 0 if loop.body is None else loop.body.n_body),
    )


def noise_of(model: NeuroModel, steps: int = STEPS, sample: int = 0) -> PathNoise:
    return path_noise(model, KEYS, steps, 0, sample)


def pursuing() -> Tiny:
    """A point mass under a stable law: the gate is open, the command unbounded, the body without noise."""
    tiny = make_tiny("reach")
    controller, body = tiny.model.loop.controller, tiny.model.loop.body
    with torch.no_grad():
        controller.gate.readout.weight.zero_()
        controller.gate.readout.bias.fill_(10.0)
        controller.bound.log_shared.fill_(8.0)
        controller.stiffness.log_shared.fill_(60.0).log_()
        controller.damping.log_shared.fill_(14.0).log_()
        controller.factor.copy_(torch.eye(2))
        body.lag.log_shared.fill_(0.04).log_()
        body.residual.scale.zero_()
    return tiny


def hand(groups: dict[str, Tensor]) -> Tensor:
    return groups["body"][:, :, :2]


def test_the_body_reaches_an_objective_set_by_hand() -> None:
    model, goal = pursuing().model, torch.tensor([[[0.10, -0.05]]]).double()
    groups = rollout(model, set_objective(quiet_scene(model), goal), noise_of(model))
    assert torch.equal(groups["objectives"], goal.expand(2, STEPS, 2))
    distance = (hand(groups) - goal[0]).norm(dim=-1)
    assert (distance[:, 0] > 0.1).all()
    assert (distance[:, -1] < 1e-3).all()


def test_the_body_follows_a_schedule() -> None:
    model = pursuing().model
    first, last = torch.tensor([0.1, 0.0]).double(), torch.tensor([-0.1, 0.05]).double()
    schedule = torch.stack([first] * 75 + [last] * 75)[None]
    reached = hand(rollout(model, set_objective(quiet_scene(model), schedule), noise_of(model)))
    assert ((reached[:, 74] - first).norm(dim=-1) < 0.01).all()
    assert ((reached[:, -1] - last).norm(dim=-1) < 0.01).all()


def test_only_a_closed_loop_corrects_a_push() -> None:
    model, goal = pursuing().model, torch.tensor([[[0.10, -0.05]]]).double()
    scene = set_objective(quiet_scene(model), goal)
    push = torch.zeros_like(scene.force)
    push[:, 20:25, 0] = 3.0
    pushed, noise = replace(scene, force=push), noise_of(model)
    miss = {
        closed: (hand(rollout(model, pushed, noise, closed=closed))[:, -1] - goal[0]).norm(dim=-1)
        for closed in (True, False)
    }
    assert (miss[True] < 2e-3).all()
    assert (miss[False] > 0.05).all()
    calm = {closed: hand(rollout(model, scene, noise, closed=closed)) for closed in (True, False)}
    torch.testing.assert_close(calm[True], calm[False])  # without surprises its own commands tell it all


@pytest.mark.parametrize("prior", ["reach", "reach_jump", "reach_static"])
def test_nan_leaves_the_objective_to_the_prior_which_goes_on_from_what_was_held(prior: str) -> None:
    model = make_tiny(prior).model
    schedule = torch.full((1, STEPS, 2), torch.nan).double()
    schedule[:, 1, 0] = 0.5
    free = rollout(model, quiet_scene(model), noise_of(model))["objectives"]
    held = rollout(model, set_objective(quiet_scene(model), schedule), noise_of(model))["objectives"]
    assert torch.equal(held[:, :, 1], free[:, :, 1])
    assert torch.equal(held[:, 0], free[:, 0])
    assert (held[:, 1, 0] == 0.5).all()
    assert ((held[:, 2, 0] - 0.5).abs() < (free[:, 2, 0] - 0.5).abs()).all()


@EVERY_MODEL
def test_without_noise_only_the_start_differs_between_samples(kind: str) -> None:
    model = make_tiny(kind).model
    scene = quiet_scene(model, 12)
    from_prior = [rollout(model, scene, noise_of(model, 12, sample), noisy=False)["latents"] for sample in (0, 1)]
    assert not torch.allclose(from_prior[0][:, 0], from_prior[1][:, 0])
    n_objective = scene.objective.shape[2]
    known = replace(scene, latent=torch.ones_like(from_prior[0][:, 0]))
    known = set_objective(known, scene.objective.new_zeros(1, 1, n_objective))
    fixed = [rollout(model, known, noise_of(model, 12, sample), noisy=False) for sample in (0, 1)]
    for name, values in fixed[0].items():
        torch.testing.assert_close(values, fixed[1][name], msg=name)
    assert (fixed[0]["latents"][:, 0] == 1).all()


@EVERY_MODEL
def test_a_shorter_rollout_is_the_beginning_of_a_longer_one(kind: str) -> None:
    model = make_tiny(kind).model
    short, long = (rollout(model, quiet_scene(model, steps), noise_of(model, steps)) for steps in (8, 20))
    for name, values in short.items():
        torch.testing.assert_close(values, long[name][:, :8], rtol=1e-9, atol=1e-11, msg=name)


@EVERY_MODEL
def test_recorded_trials_set_the_scene(kind: str) -> None:
    tiny = make_tiny(kind)
    keys = [TrialKey(s.animal, s.session, trial) for s in tiny.cohort.sessions for trial in s.trial_id]
    scenes = [scene_of(tiny.model, tiny.batch, tiny.spec.inference, keys, seed=0, sample=sample) for sample in (0, 1)]
    assert torch.equal(scenes[0].input, tiny.batch.input)
    assert not torch.equal(scenes[0].latent, scenes[1].latent)
    groups = rollout(tiny.model, scenes[0], path_noise(tiny.model, keys, tiny.batch.mask.shape[1], 0, 0))
    torch.testing.assert_close(groups["latents"][:, 0], scenes[0].latent)
    if "body" in groups:
        recorded = tiny.batch.body_recorded[:, 0]
        assert torch.equal(groups["body"][:, 0][recorded], tiny.batch.body[:, 0][recorded])
        assert not torch.allclose(groups["body"][:, -1], tiny.batch.body[:, -1])  # no longer the recorded one
