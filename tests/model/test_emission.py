"""Every likelihood is the textbook's, and `rate` is its mean."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch.distributions import Gamma, MultivariateNormal, Normal
from torch.distributions import Poisson as PoissonLaw
from torch.nn.functional import softplus

from ncyber_cli.model.emission import EMISSIONS, Emission, Gaussian, NegativeBinomial, Poisson, ZeroInflatedGamma

SESSION = torch.tensor([1, 0, 1])
BINS, UNITS = 8, 3


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def emission(kind: type[Emission], *arguments: str) -> Emission:
    """Two sessions of three units with parameters of their own."""
    made = kind(2, UNITS, 2, *arguments).double()
    with torch.no_grad():
        for seed, parameter in enumerate(made.parameters()):
            parameter.add_(0.5 * random(*parameter.shape, seed=seed))
    return made


@pytest.mark.parametrize("kind", EMISSIONS.values())
def test_each_trial_is_read_out_by_its_own_session(kind: type[Emission]) -> None:
    made, latent = emission(kind), random(3, BINS, 2)
    predictor = made.predictor(latent, SESSION)
    for trial, session in enumerate(SESSION):
        expected = latent[trial] @ made.readout[session].T + made.offset[session]
        torch.testing.assert_close(predictor[trial], expected)


def test_poisson_is_torchs() -> None:
    made, predictor = emission(Poisson), random(3, BINS, UNITS)
    counts = torch.poisson(predictor.exp() + 1, generator=torch.Generator().manual_seed(0))
    everywhere = torch.ones_like(counts, dtype=torch.bool)
    expected = PoissonLaw(predictor.exp()).log_prob(counts)
    torch.testing.assert_close(made.log_density(counts, everywhere, predictor, SESSION), expected)
    torch.testing.assert_close(made.rate(predictor, SESSION), predictor.exp())


def test_negative_binomial_sums_to_one_with_the_stated_mean_and_variance() -> None:
    made, predictor = emission(NegativeBinomial), random(3, 1, UNITS)
    counts = torch.arange(400, dtype=torch.float64)
    every = torch.stack([counts] * UNITS, -1).expand(3, -1, -1)
    everywhere = torch.ones_like(every, dtype=torch.bool)
    share = made.log_density(every, everywhere, predictor.expand_as(every), SESSION).exp()
    mean = (share * every).sum(1)
    variance = (share * every.square()).sum(1) - mean.square()
    r = made.log_r[SESSION].exp()
    torch.testing.assert_close(share.sum(1), torch.ones(3, UNITS, dtype=torch.float64))
    torch.testing.assert_close(mean, made.rate(predictor, SESSION)[:, 0])
    torch.testing.assert_close(variance, mean + mean.square() / r)


@pytest.mark.parametrize("kind", [Poisson, NegativeBinomial, ZeroInflatedGamma])
def test_an_absurd_predictor_stays_finite(kind: type[Emission]) -> None:
    made = emission(kind)
    predictor = torch.tensor([-1e4, 1e4, 0.0], dtype=torch.float64).expand(3, BINS, UNITS).clone().requires_grad_()
    observation = torch.tensor([2.0, 0.0, 1.0], dtype=torch.float64).expand(3, BINS, UNITS)
    density = made.log_density(observation, torch.ones_like(observation, dtype=torch.bool), predictor, SESSION)
    density.sum().backward()
    assert torch.isfinite(density).all()
    assert torch.isfinite(predictor.grad).all()
    assert torch.isfinite(made.rate(predictor, SESSION)).all()


def test_white_gaussian_noise_is_torchs() -> None:
    made, predictor, observation = emission(Gaussian, "white"), random(3, BINS, UNITS), random(3, BINS, UNITS, seed=1)
    made.get_buffer("variance").copy_(random(2, UNITS, seed=2).exp())
    everywhere = torch.ones_like(observation, dtype=torch.bool)
    sd = made.get_buffer("variance")[SESSION][:, None].sqrt()
    expected = Normal(predictor, sd.expand_as(predictor)).log_prob(observation)
    torch.testing.assert_close(made.log_density(observation, everywhere, predictor, SESSION), expected)
    torch.testing.assert_close(made.rate(predictor, SESSION), predictor)


@pytest.mark.parametrize("seen", [1.0, 0.6, 0.2])
def test_private_ar1_noise_with_gaps_is_one_dense_gaussian(seen: float) -> None:
    made, predictor, observation = emission(Gaussian), random(3, BINS, UNITS), random(3, BINS, UNITS, seed=1)
    made.get_buffer("variance").copy_(random(2, UNITS, seed=2).exp())
    observed = torch.rand(3, BINS, UNITS, generator=torch.Generator().manual_seed(3)) < seen
    density = made.log_density(torch.where(observed, observation, 0.0), observed, predictor, SESSION)
    rho = torch.sigmoid(made.raw_rho)
    bins = torch.arange(BINS)
    for trial, session in enumerate(SESSION):
        for unit in range(UNITS):
            there = bins[observed[trial, :, unit]]
            if not len(there):
                continue
            apart = (there[:, None] - there[None]).abs()
            covariance = made.get_buffer("variance")[session, unit] * rho[session, unit] ** apart
            law = MultivariateNormal(predictor[trial, there, unit], covariance)
            torch.testing.assert_close(density[trial, there, unit].sum(), law.log_prob(observation[trial, there, unit]))


def test_the_closed_form_variance_climbs_to_the_true_one() -> None:
    """Each step raises the likelihood, and the fixed point is the maximum."""
    made = Gaussian(1, 1, 1, "white").double()
    session, predictor = torch.zeros(40, dtype=torch.long), torch.zeros(40, 50, 1, dtype=torch.float64)
    observation = 0.3 * random(40, 50, 1)
    everywhere = torch.ones_like(observation, dtype=torch.bool)
    likelihoods = []
    for _ in range(300):
        likelihoods.append(made.log_density(observation, everywhere, predictor, session).sum())
        made.update_variance(observation, everywhere, predictor, session)
    assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(likelihoods))
    torch.testing.assert_close(made.variance[0, 0], observation.square().mean(), rtol=1e-4, atol=0)


def test_a_variance_step_ignores_what_is_not_finite_and_stops_at_the_floor() -> None:
    made = Gaussian(1, 2, 1, "white").double()
    made.start_variance(0, torch.tensor([4.0, 4.0], dtype=torch.float64))
    observation = torch.zeros(2, 5, 2, dtype=torch.float64)
    predictor = torch.zeros_like(observation)
    predictor[..., 1] = math.inf
    session, everywhere = torch.zeros(2, dtype=torch.long), torch.ones_like(observation, dtype=torch.bool)
    for _ in range(500):
        made.update_variance(observation, everywhere, predictor, session)
    torch.testing.assert_close(made.variance[0], torch.tensor([4e-4, 4.0], dtype=torch.float64))


def test_zero_inflated_gamma_integrates_to_one_around_its_rate() -> None:
    made, predictor = emission(ZeroInflatedGamma), random(3, 1, UNITS)
    with torch.no_grad():
        made.log_shape.copy_(2.0 + random(2, UNITS, seed=7).abs())  # shapes above one have no pole at zero
    log_size = torch.linspace(-12, 8, 20_001, dtype=torch.float64)
    size = log_size.exp()[:, None].expand(3, -1, UNITS)
    everywhere = torch.ones_like(size, dtype=torch.bool)
    density = made.log_density(size, everywhere, predictor.expand_as(size), SESSION).exp()
    nothing = made.log_density(torch.zeros_like(predictor), everywhere[:, :1], predictor, SESSION).exp()[:, 0]
    positive = torch.trapezoid(density * size, log_size, dim=1)
    torch.testing.assert_close(nothing + positive, torch.ones_like(nothing), rtol=0, atol=1e-6)
    mean = torch.trapezoid(density * size.square(), log_size, dim=1)
    torch.testing.assert_close(mean, made.rate(predictor, SESSION)[:, 0], rtol=1e-5, atol=0)


def test_the_size_of_an_event_is_torchs_gamma() -> None:
    made, predictor = emission(ZeroInflatedGamma), random(3, BINS, UNITS)
    size = random(3, BINS, UNITS, seed=1).exp()
    shape = softplus(made.log_shape[SESSION][:, None]) + 1e-2
    expected = Gamma(shape, shape / predictor.exp()).log_prob(size)
    expected = expected + torch.sigmoid(made.event_logit(predictor, SESSION)).log()
    everywhere = torch.ones_like(size, dtype=torch.bool)
    torch.testing.assert_close(made.log_density(size, everywhere, predictor, SESSION), expected)


def test_a_unit_reads_only_the_latents_of_its_mask() -> None:
    made, latent = emission(Poisson), random(3, BINS, 2)
    made.latent_mask[:, 0, 1] = 0
    other = latent.clone()
    other[..., 1] += 1
    before, after = made.predictor(latent, SESSION), made.predictor(other, SESSION)
    assert torch.equal(before[..., 0], after[..., 0])
    assert np.all(before[..., 1:].detach().numpy() != after[..., 1:].detach().numpy())
