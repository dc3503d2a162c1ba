"""What must not matter does not: padding, the company of other trials, hidden data, the future."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch
from tiny import MODELS, Tiny, make_tiny
from torch import Tensor
from torch.nn.functional import pad

from ncyber_cli.data.batches import Batch, Cohort
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.inference.elbo import ElboTerms, Noise, draw_noise
from ncyber_cli.inference.encoder import Messages, View
from ncyber_cli.training.measure import measure

EVERY_MODEL = pytest.mark.parametrize("kind", MODELS)
JUNK = 3.0  # stands in entries that nothing may read


def noise_for(tiny: Tiny, seed: int = 3) -> Noise:
    n_trial, n_time = tiny.batch.mask.shape
    return draw_noise(tiny.model, n_time, n_trial, torch.Generator().manual_seed(seed))


def map_noise(noise: Noise, change: Callable[[Tensor, bool], Tensor]) -> Noise:
    """Apply `change(tensor, has_time)` to every part; trials are axis 1 with time first, else axis 0."""
    of_trials = ("actuator", "embedding")
    return Noise(**{f.name: change(getattr(noise, f.name), f.name not in of_trials) for f in fields(Noise)})


def pick_trials(noise: Noise, trials: Tensor, bins: int | None = None) -> Noise:
    return map_noise(noise, lambda part, timed: part[:bins, trials] if timed else part[trials])


def assert_same_terms(ours: ElboTerms, theirs: ElboTerms) -> None:
    for f in fields(ElboTerms):
        torch.testing.assert_close(getattr(ours, f.name), getattr(theirs, f.name), rtol=1e-10, atol=1e-9)


def with_more_bins(batch: Batch, extra: int) -> Batch:
    def padded(name: str, values: Tensor) -> Tensor:
        if name in ("session", "animal", "encodable", "when", "midway"):
            return values
        amount = (0, extra) if name == "mask" else (0, 0, 0, extra)
        return pad(values, amount, value=JUNK if values.is_floating_point() else 0)

    return Batch(**{f.name: padded(f.name, getattr(batch, f.name)) for f in fields(Batch)})


@EVERY_MODEL
def test_padded_bins_change_nothing(kind: str) -> None:
    tiny = make_tiny(kind)
    noise = noise_for(tiny)
    longer = map_noise(noise, lambda part, timed: pad(part, (0, 0, 0, 0, 0, 5), value=JUNK) if timed else part)
    terms, _ = tiny.score(noise)
    padded, _ = tiny.score(longer, with_more_bins(tiny.batch, 5))
    assert_same_terms(padded, terms)


@EVERY_MODEL
def test_padded_units_change_nothing(kind: str) -> None:
    tiny = make_tiny(kind)
    wide = Cohort(tiny.cohort.sessions, ["a", "b"], n_unit=tiny.cohort.n_unit + 3, dtype=torch.float64)
    model = assemble(tiny.spec, measure(tiny.spec, wide), torch.Generator().manual_seed(5))
    narrow, state = tiny.model.state_dict(), model.state_dict()
    with torch.no_grad():
        for name, values in state.items():  # weights of units that do not exist are anything
            values[tuple(slice(size) for size in narrow[name].shape)] = narrow[name]
    model.load_state_dict(state)
    terms, _ = tiny.score(noise_for(tiny))
    padded, _ = Tiny(tiny.spec, wide, model, wide.batch(wide.picks())).score(noise_for(tiny))
    assert_same_terms(padded, terms)


@EVERY_MODEL
def test_the_order_of_trials_changes_nothing(kind: str) -> None:
    tiny = make_tiny(kind)
    order = torch.randperm(len(tiny.batch.session), generator=torch.Generator().manual_seed(1))
    shuffled = Batch(**{f.name: getattr(tiny.batch, f.name)[order] for f in fields(Batch)})
    terms, _ = tiny.score(noise_for(tiny))
    turned, _ = tiny.score(pick_trials(noise_for(tiny), order), shuffled)
    assert_same_terms(turned, ElboTerms(**{f.name: getattr(terms, f.name)[order] for f in fields(ElboTerms)}))


@EVERY_MODEL
def test_a_trial_scores_the_same_alone_and_in_company(kind: str) -> None:
    tiny, picks = make_tiny(kind), make_tiny(kind).cohort.picks()
    noise = noise_for(tiny)
    terms, _ = tiny.score(noise)
    for i in range(len(picks)):
        alone = tiny.cohort.batch(picks[[i]])
        single, _ = tiny.score(pick_trials(noise, torch.tensor([i]), alone.mask.shape[1]), alone)
        assert_same_terms(single, ElboTerms(**{f.name: getattr(terms, f.name)[[i]] for f in fields(ElboTerms)}))


# ---------------------------------------------------------------------- what the encoder may see


def messages_of(tiny: Tiny, batch: Batch, **hidden: Tensor) -> Messages:
    with torch.no_grad():
        return tiny.model.encoder(tiny.view(batch, **hidden))


def assert_bit_equal(ours: Messages, theirs: Messages, until: int | None = None) -> None:
    """Up to and including bin `until` (None: everywhere)."""
    end = None if until is None else until + 1
    for f in fields(Messages):
        one, other = getattr(ours, f.name), getattr(theirs, f.name)
        if not f.name.startswith("actuator"):  # of the first bin; the others have time first
            one, other = one[:end], other[:end]
        assert torch.equal(one, other), f.name


def changed(batch: Batch, where: Tensor) -> Batch:
    """All that was recorded in the bins `where` (trial, time) replaced by something else."""
    there = where[:, :, None]
    return replace(
        batch,
        observation=torch.where(there & batch.observed, batch.observation + 2, batch.observation),
        body=torch.where(there & batch.body_recorded, batch.body - 1, batch.body),
        input=torch.where(there, batch.input + 5, batch.input),
    )


@pytest.mark.parametrize("encoder", ["bidirectional", "causal"])
def test_held_out_units_are_never_encoded(encoder: str) -> None:
    tiny = make_tiny("reach", inference={"encoder": encoder})
    held_out = ~tiny.batch.encodable[:, None] & tiny.batch.observed
    assert held_out.any()
    other = replace(tiny.batch, observation=torch.where(held_out, 9.0, tiny.batch.observation))
    gone = replace(tiny.batch, observed=tiny.batch.observed & tiny.batch.encodable[:, None])
    assert_bit_equal(messages_of(tiny, other), messages_of(tiny, tiny.batch))
    assert_bit_equal(messages_of(tiny, gone), messages_of(tiny, tiny.batch))


@pytest.mark.parametrize("encoder", ["bidirectional", "causal"])
def test_nothing_recorded_in_a_blind_span_reaches_the_encoder(encoder: str) -> None:
    tiny = make_tiny("reach", inference={"encoder": encoder})
    blind = torch.zeros_like(tiny.batch.mask)
    blind[:, 4:9] = True
    other = changed(tiny.batch, blind)
    assert_bit_equal(messages_of(tiny, other, visible=~blind), messages_of(tiny, tiny.batch, visible=~blind))
    assert not torch.equal(messages_of(tiny, other).latent, messages_of(tiny, tiny.batch).latent)


def test_hidden_modalities_and_dropped_entries_reach_nothing() -> None:
    tiny = make_tiny("reach")
    no = torch.zeros_like(tiny.batch.session, dtype=torch.bool)
    other_neural = replace(tiny.batch, observation=tiny.batch.observation + 1)
    other_body = replace(tiny.batch, body=tiny.batch.body + 1)
    keep = torch.rand(tiny.batch.observed.shape, generator=torch.Generator().manual_seed(0)) > 0.5
    dropped = replace(tiny.batch, observation=torch.where(keep, tiny.batch.observation, JUNK))
    for other, hidden in (
        (other_neural, {"show_neural": no}),
        (other_body, {"show_body": no}),
        (dropped, {"keep": keep}),
    ):
        assert_bit_equal(messages_of(tiny, other, **hidden), messages_of(tiny, tiny.batch, **hidden))


@pytest.mark.parametrize("until", [0, 5, 9])
def test_a_causal_encoder_and_its_posterior_ignore_the_future(until: int) -> None:
    tiny = make_tiny("reach", inference={"encoder": "causal"})
    future = torch.arange(tiny.batch.mask.shape[1]) > until
    other = changed(tiny.batch, future.expand_as(tiny.batch.mask))
    assert_bit_equal(messages_of(tiny, other), messages_of(tiny, tiny.batch), until)
    noise = noise_for(tiny)
    _, now = tiny.score(noise)
    _, then = tiny.score(noise, other)
    assert torch.equal(now.trajectory.latent[: until + 1], then.trajectory.latent[: until + 1])
    assert not torch.equal(now.trajectory.latent, then.trajectory.latent)


@pytest.mark.parametrize("encoder", ["bidirectional", "causal"])
@pytest.mark.parametrize("until", [0, 5, 9])
def test_the_causal_head_ignores_the_future_and_the_length_of_the_trial(encoder: str, until: int) -> None:
    tiny = make_tiny("reach", inference={"encoder": encoder})
    future = torch.arange(tiny.batch.mask.shape[1]) > until
    ended = replace(tiny.batch, mask=tiny.batch.mask & ~future)

    def told(batch: Batch) -> Tensor:
        view = tiny.view(batch)
        readers = tiny.model.readers
        assert readers is not None
        found = [tiny.model.causal_latent(tiny.model.encoder(view).causal_state), *readers.causal(view).values()]
        return torch.cat([value for mixture in found for value in mixture.moments()], -1)[: until + 1]

    with torch.no_grad():
        now = told(tiny.batch)
        assert torch.equal(told(changed(tiny.batch, future.expand_as(tiny.batch.mask))), now)
        assert torch.equal(told(ended), now)


def test_bins_after_the_last_that_may_be_seen_are_blind() -> None:
    """A forecast: with `length`, nothing after that bin reaches any message."""
    tiny = make_tiny("reach")
    length = torch.full_like(tiny.batch.session, 8)
    later = (torch.arange(tiny.batch.mask.shape[1]) >= 8).expand_as(tiny.batch.mask)
    other = changed(tiny.batch, later)
    assert_bit_equal(messages_of(tiny, other, length=length), messages_of(tiny, tiny.batch, length=length))
    view: View = tiny.view(tiny.batch, length=length)
    assert not view.seen[:, 8:].any()
