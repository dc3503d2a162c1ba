"""What the smoothed reader starts from, and what it does to a posterior sample."""

from __future__ import annotations

import pytest
import torch
from tiny import MODELS, make_tiny

from ncyber_cli.inference.objective_posterior import objective_chain, objective_posterior
from ncyber_cli.inference.posterior import posterior_moments
from ncyber_cli.inference.readers import reading_of
from ncyber_cli.inference.trial_noise import TrialKey

WITH_OBJECTIVE = [kind for kind in MODELS if "controller" in MODELS[kind]]


@pytest.mark.parametrize("kind", WITH_OBJECTIVE)
def test_the_chains_moments_are_those_of_many_samples(kind: str) -> None:
    tiny = make_tiny(kind)
    objective, view = tiny.model.loop.objective, tiny.view()
    assert objective is not None
    with torch.no_grad():
        messages, seen = tiny.model.encoder(view), view.seen.T
        mean, sd = objective_chain(objective, messages, seen)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn((1000, *mean.shape), generator=generator, dtype=mean.dtype)
        paths = torch.stack([objective_posterior(objective, messages, one, seen).path for one in noise])
    torch.testing.assert_close(((paths.mean(0) - mean) / sd).abs().max().item(), 0.0, rtol=0, atol=0.2)
    torch.testing.assert_close((paths.std(0) / sd - 1).abs().max().item(), 0.0, rtol=0, atol=0.15)


def test_samples_get_the_readers_mean_and_sd() -> None:
    tiny = make_tiny("reach_jump")
    objective, readers, view = tiny.model.loop.objective, tiny.model.readers, tiny.view()
    assert objective is not None
    assert readers is not None
    with torch.no_grad():
        messages, seen = tiny.model.encoder(view), view.seen.T
        mean, sd = objective_chain(objective, messages, seen)
        reading = reading_of(readers, objective, messages, seen)
        normal = objective.normalise(mean)
        told = readers.smoothed.told(messages, normal, sd / objective.sd)
        wanted, spread = readers.smoothed(told, normal).moments()
        above = reading.of(mean + sd)
    torch.testing.assert_close(reading.of(mean), objective.mean + objective.sd * wanted)
    torch.testing.assert_close(above - reading.of(mean), objective.sd * spread)


def test_until_they_have_learned_nothing_is_corrected() -> None:
    tiny = make_tiny("reach_jump")
    assert tiny.model.readers is not None
    keys = [TrialKey("a", "s", str(trial)) for trial in range(len(tiny.batch.session))]

    def objectives() -> torch.Tensor:
        moments = posterior_moments(tiny.model, tiny.batch, tiny.spec.inference, keys, samples=2, seed=0)
        return moments["objectives"].mean

    plain = objectives()
    with torch.no_grad():
        for parameter in tiny.model.readers.smoothed.parameters():
            parameter.mul_(2.0)
    assert torch.equal(objectives(), plain)
    tiny.model.readers.ready = True
    assert not torch.equal(objectives(), plain)
