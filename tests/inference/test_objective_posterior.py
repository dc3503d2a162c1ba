"""The objective's chain follows its prior where nothing corrects it, and pays at least the true price where it does."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal, kl_divergence

from ncyber_cli.inference.objective_posterior import chain_variance, jump_kl, sample_objective
from ncyber_cli.model.gauss_markov import Correction, correct, no_correction
from ncyber_cli.model.objective import Objective


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def objective(prior: str = "slow", rate_hz: float = 2.0) -> Objective:
    mean, sd = torch.tensor([0.5, -1.0], dtype=torch.float64), torch.tensor([0.1, 2.0], dtype=torch.float64)
    made = Objective(prior, mean, sd, 0.02, rate_hz)  # type: ignore[arg-type]
    with torch.no_grad():
        made.log_tau.fill_(math.log(0.1))
    return made


def test_an_uncorrected_chain_has_the_priors_mean_variance_and_memory() -> None:
    made = objective()
    step, noise = made.transition(), random(40, 20_000, 2)
    with torch.no_grad():
        path, prior_mean = sample_objective(made, no_correction(chain_variance(step, 40), noise))
    for t in (0, 39):
        torch.testing.assert_close(path[t].mean(0), made.mean, rtol=0, atol=0.06)
        torch.testing.assert_close(path[t].std(0) / made.sd, torch.ones(2, dtype=torch.float64), rtol=0, atol=0.02)
    memory = (made.normalise(path[1:]) * made.normalise(path[:-1])).mean((0, 1))
    torch.testing.assert_close(memory, step.decay, rtol=0, atol=0.01)
    torch.testing.assert_close(prior_mean[1:], step.mean + step.decay * (path[:-1] - step.mean))


def test_the_prior_sampler_and_the_uncorrected_chain_agree() -> None:
    made, noise = objective(), random(10, 4, 2)
    chain, _ = sample_objective(made, no_correction(chain_variance(made.transition(), 10), noise))
    torch.testing.assert_close(chain, made.sample(noise, torch.ones(10, 4, dtype=torch.float64)))


def test_a_static_objective_stays_where_it_began() -> None:
    made = objective("static")
    path, _ = sample_objective(made, no_correction(chain_variance(made.transition(), 50), random(50, 8, 2)))
    assert (made.normalise(path) - made.normalise(path[:1])).abs().max() < 0.05


def mixture_kl(made: Objective, mean: torch.Tensor, sd: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Monte-Carlo KL from N(mean, sd^2) to the `jump` prior after `before`, one bin, from its definition."""
    step, jump = made.transition(), made.jump_probability
    centres = torch.stack([step.mean + step.decay * (before - step.mean), made.mean])
    components = torch.distributions.Independent(Normal(centres, torch.stack([step.variance.sqrt(), made.sd])), 1)
    prior = MixtureSameFamily(Categorical(torch.tensor([1 - jump, jump], dtype=torch.float64)), components)
    posterior = torch.distributions.Independent(Normal(mean, sd), 1)
    sample = mean + sd * random(100_000, 2, seed=9)
    with torch.no_grad():
        return (posterior.log_prob(sample) - prior.log_prob(sample)).mean()


def jump_bound(made: Objective, mean: torch.Tensor, sd: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    step = made.transition()
    slow_mean = torch.stack([made.mean, step.mean + step.decay * (before - step.mean)])[:, None]
    both = mean.expand(2, 1, 2)
    return jump_kl(made, both, sd.square().expand(2, 1, 2), slow_mean, chain_variance(step, 2))[1, 0]


@pytest.mark.parametrize("normalised", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("width", [0.05, 0.3, 0.9])
def test_the_price_of_a_jump_is_never_below_the_true_kl(normalised: float, width: float) -> None:
    made = objective("jump")
    mean, sd, before = made.mean + normalised * made.sd, width * made.sd, made.mean - 0.3 * made.sd
    assert jump_bound(made, mean, sd, before) >= mixture_kl(made, mean, sd, before) - 0.02


def test_the_price_of_a_jump_is_exact_where_one_component_explains_all() -> None:
    made = objective("jump")
    before = made.mean - 2 * made.sd
    stay, jump = made.transition().decay * (before - made.mean) + made.mean, made.mean + 2.5 * made.sd
    step_sd = made.transition().variance.sqrt()
    for mean, sd in ((stay, 0.2 * step_sd), (jump, 0.1 * step_sd)):
        torch.testing.assert_close(
            jump_bound(made, mean, sd, before), mixture_kl(made, mean, sd, before), rtol=0, atol=0.03
        )


def test_the_first_bin_of_a_jumping_objective_is_priced_by_the_stationary_law() -> None:
    made = objective("jump")
    mean, variance = random(3, 2, 2), random(3, 2, 2, seed=1).exp()
    step = made.transition()
    slow_mean = torch.cat([made.mean.expand(1, 2, 2), random(2, 2, 2, seed=2)])
    price = jump_kl(made, mean, variance, slow_mean, chain_variance(step, 3))[0]
    expected = kl_divergence(Normal(mean[0], variance[0].sqrt()), Normal(made.mean, made.sd)).sum(-1)
    torch.testing.assert_close(price, expected)


def test_no_gain_costs_no_more_than_staying() -> None:
    """With the prior's own transition as posterior, the bound is at most the log odds of not jumping."""
    made = objective("jump")
    prior_mean, variance = random(5, 2, 2), chain_variance(made.transition(), 5)
    free = Correction(prior_mean, torch.zeros_like(prior_mean), torch.zeros_like(prior_mean))
    mean = correct(prior_mean, free.target, free.gain, free.noise)
    prior_mean[0] = mean[0] = made.mean
    price = jump_kl(made, mean, variance.expand_as(mean), prior_mean, variance)
    assert torch.all(price <= -math.log1p(-made.jump_probability) + 1e-12)
