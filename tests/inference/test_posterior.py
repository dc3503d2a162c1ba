"""Moments of the posterior: invariant to what should not matter, and blind to what may not be seen."""

from __future__ import annotations

import weakref
from dataclasses import fields, replace

import pytest
import torch
from tiny import MODELS, Tiny, make_tiny
from torch import Tensor
from torch.nn.functional import pad

from ncyber_cli.data.batches import Batch
from ncyber_cli.inference import posterior
from ncyber_cli.inference.elbo import sample_posterior
from ncyber_cli.inference.posterior import (
    Moments,
    causal_moments,
    posterior_moments,
    rate_moments,
    restrict,
    sample_groups,
    view_of,
)
from ncyber_cli.inference.trial_noise import TrialKey, trial_noise
from ncyber_cli.model.emission import Poisson

EVERY_MODEL = pytest.mark.parametrize("kind", MODELS)
CUT = 7


def keys_of(tiny: Tiny) -> list[TrialKey]:
    return [
        TrialKey(session.animal, session.session, trial)
        for session in tiny.cohort.sessions
        for trial in session.trial_id
    ]


def moments_of(tiny: Tiny, batch: Batch | None = None, keys: list[TrialKey] | None = None, **how: object):
    how = {"samples": 3, "seed": 5, **how}
    batch = tiny.batch if batch is None else batch
    return posterior_moments(tiny.model, batch, tiny.spec.inference, keys or keys_of(tiny), **how)


def pick(batch: Batch, trials: Tensor) -> Batch:
    return Batch(**{f.name: getattr(batch, f.name)[trials] for f in fields(Batch)})


def padded(batch: Batch, extra: int) -> Batch:
    timed = [f.name for f in fields(Batch) if f.name not in ("session", "animal", "encodable", "when", "midway")]
    wide = {name: pad(getattr(batch, name), (0, extra) if name == "mask" else (0, 0, 0, extra)) for name in timed}
    return replace(batch, **wide)


def later_replaced(batch: Batch, cut: int) -> Batch:
    """The same until `cut`; after it every recorded thing is another."""
    late = torch.arange(batch.mask.shape[1]) >= cut
    changed = {
        name: torch.where(late[:, None], getattr(batch, name) + 3.0, getattr(batch, name))
        for name in ("observation", "body", "input", "force")
    }
    return replace(batch, **changed)


def assert_same(ours: dict[str, Moments], theirs: dict[str, Moments], bins: int | None = None) -> None:
    assert ours.keys() == theirs.keys()
    for name, moments in ours.items():
        for part in ("mean", "sd"):
            one, other = getattr(moments, part)[:, :bins], getattr(theirs[name], part)[:, :bins]
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11, equal_nan=True, msg=f"{name} {part}")


@EVERY_MODEL
def test_order_and_company_of_trials_change_nothing(kind: str) -> None:
    tiny = make_tiny(kind)
    whole, trials = moments_of(tiny), torch.tensor([5, 0, 3])
    keys = keys_of(tiny)
    some = moments_of(tiny, pick(tiny.batch, trials), [keys[trial] for trial in trials])
    assert_same(some, {name: Moments(m.mean[trials], m.sd[trials]) for name, m in whole.items()})


@EVERY_MODEL
def test_padding_changes_nothing(kind: str) -> None:
    tiny = make_tiny(kind)
    short, n_time = moments_of(tiny), tiny.batch.mask.shape[1]
    assert_same(short, moments_of(tiny, padded(tiny.batch, 6)), n_time)


def test_trials_and_samples_have_noise_of_their_own() -> None:
    tiny = make_tiny("reach")
    keys = [TrialKey("a", "s0", "1"), TrialKey("a", "s0", "2"), TrialKey("a", "s01", "")]
    draws = [trial_noise(tiny.model, keys, 4, seed, sample).latent for seed, sample in ((0, 0), (0, 1), (1, 0))]
    streams = torch.cat(draws, 1).flatten(2).transpose(0, 1).flatten(1)
    assert len(torch.unique(streams, dim=0)) == 9
    again = trial_noise(tiny.model, keys[1:], 9, 0, 0).latent[:4]
    assert torch.equal(again, draws[0][:, 1:])


def test_noise_is_standard() -> None:
    tiny = make_tiny("reach")
    noise = trial_noise(tiny.model, [TrialKey("a", "s", str(trial)) for trial in range(40)], 400, 0, 0)
    assert abs(float(noise.latent.std()) - 1) < 0.02
    assert abs(float(noise.latent.mean())) < 0.02
    # Quartiles of Student's t with three degrees of freedom.
    assert float(noise.body.quantile(0.75)) == pytest.approx(0.765, abs=0.02)


@EVERY_MODEL
def test_moments_are_those_of_the_samples(kind: str) -> None:
    tiny = make_tiny(kind)
    view, keys, n_time = tiny.view(), keys_of(tiny), tiny.batch.mask.shape[1]
    samples = []
    for sample in range(2):
        noise = trial_noise(tiny.model, keys, n_time, 5, sample)
        with torch.no_grad():
            samples.append(sample_groups(tiny.model, tiny.batch, sample_posterior(tiny.model, tiny.batch, view, noise)))
    both = {name: torch.stack([samples[0][name], samples[1][name]]) for name in samples[0]}
    assert_same(moments_of(tiny, samples=2), {name: Moments(s.mean(0), s.std(0)) for name, s in both.items()})


def test_a_single_sample_has_no_sd() -> None:
    moments = moments_of(make_tiny("reach"), samples=1)
    assert all(torch.isnan(found.sd).all() for found in moments.values())


def test_the_body_is_the_recorded_one_where_there_is_one() -> None:
    tiny = make_tiny("reach")
    body, recorded = moments_of(tiny)["body"], tiny.batch.body_recorded
    assert torch.equal(body.mean[recorded], tiny.batch.body[recorded])
    assert (body.sd[recorded] == 0).all()
    gap = tiny.batch.mask[:, :, None] & ~recorded
    assert gap.any()
    assert (body.sd[gap] > 0).all()


@EVERY_MODEL
def test_a_forecast_does_not_see_the_future(kind: str) -> None:
    tiny = make_tiny(kind)
    changed = later_replaced(tiny.batch, CUT)
    # Inputs and forces are given, not recorded from the animal: they may reach past the cut.
    changed = replace(changed, input=tiny.batch.input, force=tiny.batch.force)
    ours, theirs = moments_of(tiny, seen_bins=CUT), moments_of(tiny, changed, seen_bins=CUT)
    assert_same(ours, theirs)
    for name in ("latents", "rates"):
        assert not torch.allclose(ours[name].mean[:, CUT:], moments_of(tiny)[name].mean[:, CUT:])


def test_a_calcium_forecast_begins_at_each_units_own_noise() -> None:
    tiny = make_tiny("linear_body")
    brighter = tiny.batch.observation.clone()
    seen_unit = 0
    brighter[:, CUT - 1, seen_unit] += 1.0
    held_out = ~tiny.batch.encodable[0]
    brighter[:, CUT - 1, held_out] += 1.0
    view = view_of(tiny.model, tiny.batch, tiny.spec.inference, "both", CUT)
    noise = trial_noise(tiny.model, keys_of(tiny), tiny.batch.mask.shape[1], 0, 0)
    seen = torch.arange(tiny.batch.mask.shape[1]) < CUT
    with torch.no_grad():
        drawn = sample_posterior(tiny.model, tiny.batch, view, noise)
        before, after = (
            sample_groups(tiny.model, replace(tiny.batch, observation=counts), drawn, seen)["rates"][0]
            for counts in (tiny.batch.observation, brighter)
        )
    change = after - before
    assert (change[:CUT] == 0).all()
    assert (change[CUT:, seen_unit] > 0).all()
    assert (change[CUT:, seen_unit].diff() < 0).all()
    assert (change[:, held_out] == 0).all()


@EVERY_MODEL
def test_causal_output_up_to_a_bin_knows_nothing_after_it_to_the_bit(kind: str) -> None:
    tiny = make_tiny(kind, dtype="float32")
    inference = tiny.spec.inference
    ours = causal_moments(tiny.model, tiny.batch, inference)
    theirs = causal_moments(tiny.model, later_replaced(tiny.batch, CUT), inference)
    for name, moments in ours.items():
        for part in ("mean", "sd"):
            one, other = getattr(moments, part)[:, :CUT], getattr(theirs[name], part)[:, :CUT]
            assert torch.equal(one.nan_to_num(-1), other.nan_to_num(-1)), (name, part)
    assert not torch.equal(ours["latents"].mean[:, CUT:], theirs["latents"].mean[:, CUT:])


@EVERY_MODEL
def test_causal_and_smoothed_output_have_the_same_groups_and_shapes(kind: str) -> None:
    tiny = make_tiny(kind)
    causal, smooth = causal_moments(tiny.model, tiny.batch, tiny.spec.inference), moments_of(tiny)
    assert {name: m.mean.shape for name, m in causal.items()} == {name: m.mean.shape for name, m in smooth.items()}
    assert {name: m.sd.shape for name, m in causal.items()} == {name: m.sd.shape for name, m in smooth.items()}


def test_rates_under_gaussian_latents_are_log_normal() -> None:
    emission = Poisson(1, 2, 3).double()
    latents = Moments(torch.randn(2, 4, 3).double(), 0.5 + torch.rand(2, 4, 3).double())
    session = torch.zeros(2, dtype=torch.long)
    with torch.no_grad():
        found = rate_moments(emission, latents, session)
        mean = emission.predictor(latents.mean, session)
        variance = torch.bmm(latents.sd.square(), emission.readout[session].square().transpose(1, 2))
    expected = torch.exp(mean + variance / 2)
    torch.testing.assert_close(found.mean, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.sd, expected * torch.expm1(variance).sqrt(), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("sources", "hidden"), [("neural", "body"), ("behavior", "observation")])
def test_what_is_not_among_the_sources_has_no_effect(sources: str, hidden: str) -> None:
    tiny = make_tiny("reach")
    changed = replace(tiny.batch, **{hidden: getattr(tiny.batch, hidden) + 3.0})
    assert_same(moments_of(tiny, sources=sources), moments_of(tiny, changed, sources=sources))
    inference = tiny.spec.inference
    assert_same(
        causal_moments(tiny.model, tiny.batch, inference, sources=sources),
        causal_moments(tiny.model, changed, inference, sources=sources),
    )


def test_both_means_what_the_run_was_trained_on() -> None:
    tiny = make_tiny("reach", inference={"inputs": ["neural"]})
    view = view_of(tiny.model, tiny.batch, tiny.spec.inference, "both")
    assert (view.body == 0).all()
    assert restrict(tiny.batch, "both").body_recorded.any()  # as in training, the recorded body is fed back


def test_no_sample_outlives_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = make_tiny("reach")
    alive: list[list[weakref.ref[Tensor]]] = []

    def watched(*arguments: object) -> dict[str, Tensor]:
        still = [kept for kept in alive[:-1] if any(one() is not None for one in kept)]
        assert still == []
        groups = sample_groups(*arguments)
        alive.append([weakref.ref(values) for values in groups.values()])
        return groups

    monkeypatch.setattr(posterior, "sample_groups", watched)
    moments_of(tiny, samples=5)
    assert len(alive) == 5
