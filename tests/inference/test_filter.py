"""The filter posterior: exact where it can be, a lower bound everywhere, and honest about the price of each correction.

Given the noise of a sample, every term of a linear-Gaussian ELBO is quadratic in that noise, so the
average over sigma points is its expectation to the last digit.
"""

from __future__ import annotations

import pytest
import torch
from linear_gaussian import as_closed_loop, example, sigma_points
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from ncyber_cli.inference.filter import correction_kl, diagonal_correction, full_correction
from ncyber_cli.inference.kalman import LinearGaussian, backward_information, kalman_smoother
from ncyber_cli.model.closed_loop import Given
from ncyber_cli.model.gauss_markov import correct, no_correction


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def filter_posterior(
    system: LinearGaussian, observation: torch.Tensor, correct_with: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean and covariance of every bin, and the expected ELBO, from backward-information messages."""
    loop, messages = as_closed_loop(system), backward_information(system, observation)
    bins, n = messages.target.shape
    noise = sigma_points(bins, n)
    trials = noise.shape[1]
    target, variance = messages.target[:, None].expand(-1, trials, -1), loop.latent_variance(bins)
    if correct_with == "full":
        precision = messages.precision[:, None].expand(-1, trials, -1, -1)
        correction, constant = full_correction(target, precision, variance, noise)
    else:
        log_ratio = (messages.precision.diagonal(dim1=1, dim2=2)[:, None] * variance).log().expand_as(target)
        seen = torch.ones(bins, trials, dtype=torch.bool)
        correction, constant = diagonal_correction(target, log_ratio, variance, noise, seen)
    nowhere = torch.zeros(trials, dtype=torch.long)
    path = loop.unroll(Given(nowhere, torch.zeros(bins, trials, 0, dtype=torch.float64)), correction)
    kl = correction_kl(path.prior_latent, correction, variance, constant).sum(0)
    predictor = loop.emission.predictor(path.latent.transpose(0, 1), nowhere)
    observed = ~observation.isnan().expand(trials, -1, -1)
    density = loop.emission.log_density(observation.nan_to_num().expand(trials, -1, -1), observed, predictor, nowhere)
    elbo = (density * observed).sum((1, 2)) - kl
    mean = path.latent.mean(1)
    spread = path.latent - mean[:, None]
    return mean, torch.einsum("tki,tkj->tij", spread, spread) / trials, elbo.mean()


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("initial_mean", [0.0, 1e4])
def test_with_backward_information_the_filter_is_the_smoother(missing: float, initial_mean: float) -> None:
    system, observation = example(missing=missing, initial_mean=initial_mean)
    smoothed = kalman_smoother(system, observation)
    mean, covariance, elbo = filter_posterior(system, observation, "full")
    scale = max(1.0, initial_mean)
    torch.testing.assert_close(mean, smoothed.mean, rtol=0, atol=1e-9 * scale)
    torch.testing.assert_close(covariance, smoothed.covariance, rtol=0, atol=1e-9 * scale)
    torch.testing.assert_close(elbo, smoothed.log_likelihood, rtol=1e-9, atol=1e-8 * scale)


def test_with_backward_information_the_elbo_is_the_log_evidence_of_many_systems() -> None:
    for seed in range(5):
        system, observation = example(n=2, units=3, bins=5, missing=0.2, seed=seed)
        _, _, elbo = filter_posterior(system, observation, "full")
        torch.testing.assert_close(elbo, kalman_smoother(system, observation).log_likelihood, rtol=0, atol=1e-8)


def test_with_diagonal_precision_the_elbo_stays_below_the_log_evidence() -> None:
    for seed in range(5):
        system, observation = example(missing=0.2, seed=seed)
        observation[-1] = torch.nan_to_num(observation[-1])  # the last message has information on every latent
        _, _, elbo = filter_posterior(system, observation, "diagonal")
        assert elbo < kalman_smoother(system, observation).log_likelihood


def test_one_latent_needs_no_full_precision() -> None:
    system, observation = example(n=1, units=3)
    smoothed = kalman_smoother(system, observation)
    mean, _, elbo = filter_posterior(system, observation, "diagonal")
    torch.testing.assert_close(mean, smoothed.mean, rtol=0, atol=1e-9)
    torch.testing.assert_close(elbo, smoothed.log_likelihood, rtol=0, atol=1e-8)


def test_the_diagonal_correction_is_bayes_rule_and_its_kl_is_torchs() -> None:
    target, prior, log_ratio = random(4, 2, 3), random(4, 2, 3, seed=1), random(4, 2, 3, seed=2)
    variance = random(4, 1, 3, seed=3).exp()
    seen = torch.ones(4, 2, dtype=torch.bool)
    correction, constant = diagonal_correction(target, log_ratio, variance, torch.ones_like(target), seen)
    precision = log_ratio.exp() / variance
    posterior_variance = 1 / (1 / variance + precision)
    posterior_mean = posterior_variance * (prior / variance + precision * target)
    sample = correct(prior, correction.target, correction.gain, correction.noise)
    torch.testing.assert_close(sample, posterior_mean + posterior_variance.sqrt())
    expected = kl_divergence(
        Normal(posterior_mean, posterior_variance.sqrt()), Normal(prior, variance.sqrt().expand_as(prior))
    )
    torch.testing.assert_close(correction_kl(prior, correction, variance, constant), expected.sum(-1))


def test_the_full_correction_is_bayes_rule_and_its_kl_is_torchs() -> None:
    target, prior, variance = random(4, 2, 3), random(4, 2, 3, seed=1), random(4, 1, 3, seed=3).exp()
    root = random(4, 2, 3, 3, seed=2)
    precision = root @ root.mT
    correction, constant = full_correction(target, precision, variance, torch.zeros_like(target))
    covariance = torch.linalg.inv(torch.diag_embed((1 / variance).expand_as(prior)) + precision)
    mean = prior + (covariance @ precision @ (target - prior)[..., None])[..., 0]
    torch.testing.assert_close(correct(prior, correction.target, correction.gain, correction.noise), mean)
    prior_covariance = torch.diag_embed(variance.expand_as(prior))
    expected = kl_divergence(MultivariateNormal(mean, covariance), MultivariateNormal(prior, prior_covariance))
    torch.testing.assert_close(correction_kl(prior, correction, variance, constant), expected)


def test_a_blind_bin_keeps_the_prior_and_costs_nothing() -> None:
    target, prior, noise = random(4, 2, 3), random(4, 2, 3, seed=1), random(4, 2, 3, seed=2)
    variance, blind = torch.full((4, 1, 3), 0.3, dtype=torch.float64), torch.zeros(4, 2, dtype=torch.bool)
    correction, constant = diagonal_correction(target, random(4, 2, 3, seed=4), variance, noise, blind)
    free = no_correction(variance, noise)
    assert torch.equal(correct(prior, correction.target, correction.gain, correction.noise), prior + free.noise)
    assert torch.count_nonzero(correction_kl(prior, correction, variance, constant)) == 0
