"""A teacher's target: what counts drawn from its rates say on average, at the scale of the data's own likelihood."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import make_tiny

from ncyber_cli.inference.elbo import draw_noise, elbo_terms, sample_posterior
from ncyber_cli.inference.targets import Targets
from ncyber_cli.model.emission import Emission, Gaussian, NegativeBinomial, Poisson, ZeroInflatedGamma

EMISSIONS = pytest.mark.parametrize("make", [Poisson, NegativeBinomial, Gaussian, ZeroInflatedGamma])


def made(make: Any) -> tuple[Emission, torch.Tensor]:
    """An emission of three units and a predictor that gives them different rates in every bin."""
    torch.manual_seed(0)
    emission: Emission = make(1, 3, 2).double()
    return emission, torch.randn(1, 4, 3, dtype=torch.float64)


@EMISSIONS
def test_the_target_is_met_where_the_rates_agree(make: Any) -> None:
    emission, eta = made(make)
    session = torch.zeros(1, dtype=torch.long)
    rate = emission.rate(eta, session).detach()
    there = eta.clone().requires_grad_()
    at = emission.expected_log_density(rate, there, session)
    (slope,) = torch.autograd.grad(at.sum(), there)
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-9, rtol=0)
    for away in (-0.3, 0.3):
        assert (emission.expected_log_density(rate, eta + away, session) < at).all()


@pytest.mark.parametrize("make", [Poisson, NegativeBinomial])
def test_the_gradient_of_a_count_s_target_is_that_of_many_counts_from_the_teacher(make: Any) -> None:
    emission, eta = made(make)
    session = torch.zeros(1, dtype=torch.long)
    rate = torch.tensor([0.3, 1.0, 4.0], dtype=torch.float64).expand_as(eta)
    counts = torch.poisson(rate.expand(1, 4, 3).repeat(20_000, 1, 1), generator=torch.Generator().manual_seed(0))
    here = eta.requires_grad_()
    data = emission.log_density(counts, torch.ones_like(counts), here.expand_as(counts), session.expand(20_000))
    (drawn,) = torch.autograd.grad(data.mean(0).sum(), here)
    (expected,) = torch.autograd.grad(emission.expected_log_density(rate, here, session).sum(), here)
    torch.testing.assert_close(drawn, expected, atol=0.06, rtol=0)


def test_targets_are_added_where_they_are_known_and_leave_the_elbo_alone() -> None:
    tiny = make_tiny("brain_only")
    batch, scored = tiny.batch, tiny.batch.observed.double()
    noise = draw_noise(tiny.model, batch.mask.shape[1], len(batch.session), torch.Generator().manual_seed(0))
    posterior = sample_posterior(tiny.model, batch, tiny.view(), noise)
    plain = elbo_terms(tiny.model, batch, posterior, scored)
    # A teacher that says what was recorded says it with the likelihood's own words, but for the constant of the counts.
    told = elbo_terms(tiny.model, batch, posterior, scored, Targets(batch.observation, batch.observed, 0.25))
    constant = torch.lgamma(batch.observation + 1) * scored
    torch.testing.assert_close(told.taught, 0.25 * (plain.neural + constant.sum((1, 2))))
    early = batch.observed & (torch.arange(batch.mask.shape[1]) < 5)[:, None]
    some = elbo_terms(tiny.model, batch, posterior, scored, Targets(batch.observation, early, 0.25))
    assert (some.taught != told.taught).all()
    assert torch.equal(told.elbo(), plain.elbo())
    assert not plain.taught.any()
