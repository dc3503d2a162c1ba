"""Trials taken over part way: nothing recorded later enters, and what was before goes on as if nothing had happened."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny import MODELS, Tiny, make_tiny
from torch import Tensor

from ncyber_cli.inference.elbo import given_of
from ncyber_cli.inference.past import Past
from ncyber_cli.inference.posterior import view_of
from ncyber_cli.inference.recorded_scenes import objective_sample, scene_of, scene_part_way
from ncyber_cli.inference.rollout import Scene, rollout, set_objective
from ncyber_cli.inference.trial_noise import TrialKey, path_noise
from ncyber_cli.model.closed_loop import Given
from ncyber_cli.model.gauss_markov import Correction, no_correction

EVERY_MODEL = pytest.mark.parametrize("kind", MODELS)
WITH_A_BODY = pytest.mark.parametrize("kind", ["reach", "mlp_controller", "linear_body"])
BINS = torch.tensor([6, 3, 8, 5, 6, 7, 4])  # of tiny's seven trials, each of ten bins at least


def keys_of(tiny: Tiny) -> list[TrialKey]:
    return [TrialKey(s.animal, s.session, trial) for s in tiny.cohort.sessions for trial in s.trial_id]


def part_way(tiny: Tiny, bins: Tensor = BINS, sample: int = 0) -> Scene:
    return scene_part_way(tiny.model, tiny.batch, tiny.spec.inference, keys_of(tiny), bins, seed=0, sample=sample)


def rolled_out(tiny: Tiny, scene: Scene) -> dict[str, Tensor]:
    return rollout(tiny.model, scene, path_noise(tiny.model, keys_of(tiny), tiny.batch.mask.shape[1], 0, 0))


@EVERY_MODEL
def test_nothing_recorded_later_enters(kind: str) -> None:
    tiny = make_tiny(kind)
    batch = tiny.batch
    later = torch.arange(batch.mask.shape[1]) >= BINS[:, None]
    wild = torch.randint(0, 9, batch.observation.shape).to(batch.observation)
    other = replace(
        batch,
        observation=torch.where(later[:, :, None], wild, batch.observation),
        observed=batch.observed ^ (later[:, :, None] & (torch.rand(batch.observed.shape) < 0.5)),
        body=torch.where(later[:, :, None], torch.rand_like(batch.body), batch.body),
        body_recorded=batch.body_recorded & ~later[:, :, None],
    )
    groups = rolled_out(tiny, part_way(tiny))
    same = rolled_out(tiny, part_way(replace(tiny, batch=other)))
    for name, values in groups.items():
        assert torch.equal(values, same[name]), name


@EVERY_MODEL
def test_what_was_seen_stays_and_the_rest_is_the_models_own(kind: str) -> None:
    tiny = make_tiny(kind)
    scene = part_way(tiny)
    groups = rolled_out(tiny, scene)
    seen = torch.arange(tiny.batch.mask.shape[1]) < BINS[:, None]
    assert {name: values.shape[:2] for name, values in groups.items()} == dict.fromkeys(groups, seen.shape)
    again = rolled_out(tiny, part_way(tiny, sample=1))
    assert not torch.allclose(groups["latents"][seen], again["latents"][seen])  # a sample of what is inferred
    if "body" in groups:
        recorded = tiny.batch.body_recorded & seen[:, :, None]
        assert torch.equal(groups["body"][recorded], tiny.batch.body[recorded])
        later = tiny.batch.body_recorded & ~seen[:, :, None]
        assert (groups["body"][later] != tiny.batch.body[later]).all()
    if "objectives" in groups:
        held = rolled_out(tiny, set_objective(scene, torch.full((1, 1, groups["objectives"].shape[2]), 0.5).double()))
        assert (held["objectives"][~seen] == 0.5).all()
        assert torch.equal(held["objectives"][seen], groups["objectives"][seen])


@EVERY_MODEL
def test_trials_do_not_depend_on_each_other(kind: str) -> None:
    tiny = make_tiny(kind)
    for name, values in rolled_out(tiny, part_way(tiny, torch.full((7,), 5))).items():
        mixed = rolled_out(tiny, part_way(tiny))[name]
        torch.testing.assert_close(values[BINS == 5], mixed[BINS == 5], rtol=1e-9, atol=1e-12, msg=name)


@WITH_A_BODY
@pytest.mark.parametrize("cut", [1, 4, 9])
def test_a_loop_that_is_cut_goes_on_as_if_it_had_not_been(kind: str, cut: int) -> None:
    """With the body's history of surprises handed over, two pieces are the whole, whatever the delay."""
    tiny = make_tiny(kind)
    loop, n_time = tiny.model.loop, tiny.batch.mask.shape[1]
    path = path_noise(tiny.model, keys_of(tiny), n_time, 0, 0)
    objective = loop.objective.sample(path.noise.objective, path.jump)
    own = torch.ones_like(tiny.batch.mask)
    given = given_of(tiny.model, tiny.batch, path.noise, objective, torch.zeros(7, 2).double(), own)
    prior = no_correction(loop.latent_variance(n_time), path.noise.latent)
    whole = loop.unroll(given, prior)
    last = torch.full((7,), cut)
    rest = Given(
        given.animal,
        given.input[cut:],
        given.embedding,
        None if given.force is None else given.force[cut:],
        objective[cut:],
        whole.actuator[cut],
        whole.body[cut].expand(n_time - cut, -1, -1),
        given.body_known[cut:],
        given.body_noise[cut:],
        loop.history(given, whole, last),
    )
    first = torch.arange(n_time - cut)[:, None, None] == 0
    start = Correction(
        torch.where(first, whole.latent[cut], 0.0),
        first.double().expand_as(prior.gain[cut:]),
        torch.where(first, 0.0, prior.noise[cut:]),
    )
    piece = loop.unroll(rest, start)
    for name in ("latent", "body", "control", "actuator"):
        torch.testing.assert_close(getattr(piece, name)[1:], getattr(whole, name)[cut + 1 :], msg=name)


def test_messages_on_their_way_arrive_after_a_cut() -> None:
    tiny = make_tiny("several_areas")
    loop, n_time = tiny.model.loop, tiny.batch.mask.shape[1]
    path = path_noise(tiny.model, keys_of(tiny), n_time, 0, 0)
    given = given_of(tiny.model, tiny.batch, path.noise, None, None, None)
    prior = no_correction(loop.latent_variance(n_time), path.noise.latent)
    whole = loop.unroll(given, prior)
    last = BINS - 1
    past = Past(BINS, {"latents": whole.latent.transpose(0, 1)}, None)
    later = [past.from_here(each.transpose(0, 1)).transpose(0, 1) for each in (given.input, prior.noise)]
    first = torch.arange(len(later[0]))[:, None, None] == 0
    start = Correction(
        torch.where(first, whole.latent[last, torch.arange(len(last))], 0.0),
        first.double().expand_as(later[1]),
        torch.where(first, 0.0, later[1]),
    )
    rest = replace(given, input=later[0], before=past.before())
    joined = past.followed_by({"latents": loop.unroll(rest, start).latent.transpose(0, 1)})
    torch.testing.assert_close(joined["latents"], whole.latent.transpose(0, 1))
    forgotten = loop.unroll(replace(rest, before=None), start).latent.transpose(0, 1)
    assert not torch.allclose(past.followed_by({"latents": forgotten})["latents"], joined["latents"])


def test_the_objective_of_a_trial_is_a_sample_of_its_posterior() -> None:
    tiny = make_tiny("reach")
    keys, inference = keys_of(tiny), tiny.spec.inference
    found = [objective_sample(tiny.model, tiny.batch, inference, keys, seed=0, sample=sample) for sample in (0, 0, 1)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    begun = scene_of(tiny.model, tiny.batch, inference, keys, seed=0, sample=0).objective[:, 0]
    assert torch.equal(found[0][:, 0], begun)


def test_a_run_that_has_learned_to_read_reads_its_objective_causally() -> None:
    """A draw from the reader's mixture in the last seen bin: in the long run its mean and sd, and nothing later."""
    tiny = make_tiny("reach_jump")
    model = tiny.model
    with torch.no_grad():
        for parameter in model.readers.causal.heads["objectives"].parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        model.readers.ready = True
    last = BINS - 1
    drawn = torch.stack([part_way(tiny, sample=sample).objective[:, 0] for sample in range(100)])
    view = view_of(model, tiny.batch, tiny.spec.inference, "both")  # of whole trials: it is the same up to the bin
    mean, sd = (values[last, torch.arange(7)] for values in model.readers.causal(view)["objectives"].moments())
    objective = model.loop.objective
    found, spread = objective.normalise(drawn.mean(0)), drawn.std(0) / objective.sd
    assert ((found - mean).abs() < 5 * sd / 10).all()
    torch.testing.assert_close(spread, sd, rtol=0.4, atol=0)
