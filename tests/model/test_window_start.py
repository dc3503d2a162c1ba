"""Windows that begin within a trial have a law of their own for the first bin, of which trials know nothing."""

from __future__ import annotations

from dataclasses import replace

import torch
from tiny import Tiny, make_tiny

from ncyber_cli.inference.elbo import Posterior, draw_noise, sample_posterior
from ncyber_cli.model.window_start import WindowStart


def windowed() -> Tiny:
    tiny = make_tiny("reach")
    start = WindowStart(tiny.model.loop.brain.areas.size).double()
    with torch.no_grad():
        start.mean.copy_(torch.tensor([1.0, -2.0, 0.5]))
        start.log_variance.copy_(torch.tensor([0.3, -1.0, 0.0]))
    tiny.model.loop.window_start = start
    return tiny


def posterior(tiny: Tiny, midway: list[bool], *, blind: bool = False) -> Posterior:
    batch = replace(tiny.batch, midway=torch.tensor(midway))
    noise = draw_noise(tiny.model, batch.mask.shape[1], len(batch.session), torch.Generator().manual_seed(3))
    visible = torch.zeros_like(batch.mask) if blind else None
    return sample_posterior(tiny.model, batch, tiny.view(batch, visible=visible), noise)


def test_unseen_the_first_bin_is_drawn_from_its_law_and_costs_nothing() -> None:
    tiny = windowed()
    n = len(tiny.batch.session)
    found = posterior(tiny, [True] * n, blind=True)
    start, noise = tiny.model.loop.window_start, draw_noise(tiny.model, 16, n, torch.Generator().manual_seed(3))
    assert start is not None
    expected = start.mean + (0.5 * start.log_variance).exp() * noise.latent[0]
    torch.testing.assert_close(found.trajectory.latent[0], expected)
    torch.testing.assert_close(found.kl_latent[0], torch.zeros(n, dtype=torch.float64))


def test_trials_are_what_they_are_without_windows_whoever_stands_beside_them() -> None:
    tiny = windowed()
    n = len(tiny.batch.session)
    mixed = posterior(tiny, [bool(row % 2) for row in range(n)])
    tiny.model.loop.window_start = None
    plain = posterior(tiny, [False] * n)
    for ours, theirs in ((mixed.trajectory.latent, plain.trajectory.latent), (mixed.kl_latent, plain.kl_latent)):
        torch.testing.assert_close(ours[:, ::2], theirs[:, ::2])
        assert not torch.allclose(ours[:1, 1::2], theirs[:1, 1::2])


def test_its_cost_is_the_divergence_from_its_law() -> None:
    """KL(N(m, v) || N(mean, variance)) of the encoder's first bin, in closed form."""
    tiny = windowed()
    found = posterior(tiny, [True] * len(tiny.batch.session))
    start, messages = tiny.model.loop.window_start, found.messages
    assert start is not None
    gain = torch.sigmoid(messages.latent_log_ratio[0])
    prior = torch.distributions.Normal(start.mean, (0.5 * start.log_variance).exp())
    mean = start.mean + gain * (messages.latent[0] - start.mean)
    own = torch.distributions.Normal(mean, prior.stddev * (1 - gain).sqrt())
    torch.testing.assert_close(found.kl_latent[0], torch.distributions.kl_divergence(own, prior).sum(-1))
