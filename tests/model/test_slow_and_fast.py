"""Private noise of two speeds is one dense Gaussian, is drawn as it is scored, and forgets at two speeds."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import MultivariateNormal

from ncyber_cli.model.slow_and_fast import SlowAndFast

SESSION = torch.tensor([1, 0, 1])
BINS, UNITS = 12, 3


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def emission() -> SlowAndFast:
    made = SlowAndFast(2, UNITS, 2).double()
    with torch.no_grad():
        for seed, parameter in enumerate(made.parameters()):
            parameter.add_(0.5 * random(*parameter.shape, seed=seed))
    made.variance.copy_(random(2, UNITS, seed=9).exp())
    return made


def autocovariance(emission: SlowAndFast, session: int, unit: int, apart: torch.Tensor) -> torch.Tensor:
    slow, fast, share = (table[session, unit] for table in emission.speeds())
    return emission.variance[session, unit] * (share * slow**apart + (1 - share) * fast**apart)


@pytest.mark.parametrize("seen", [1.0, 0.6, 0.2])
def test_with_gaps_it_is_one_dense_gaussian(emission: SlowAndFast, seen: float) -> None:
    predictor, observation = random(3, BINS, UNITS), random(3, BINS, UNITS, seed=1)
    observed = torch.rand(3, BINS, UNITS, generator=torch.Generator().manual_seed(3)) < seen
    density = emission.log_density(torch.where(observed, observation, 0.0), observed, predictor, SESSION)
    for trial, session in enumerate(SESSION.tolist()):
        for unit in range(UNITS):
            there = torch.arange(BINS)[observed[trial, :, unit]]
            if not len(there):
                continue
            covariance = autocovariance(emission, session, unit, (there[:, None] - there[None]).abs())
            law = MultivariateNormal(predictor[trial, there, unit], covariance)
            dense = law.log_prob(observation[trial, there, unit])  # type: ignore[no-untyped-call]
            torch.testing.assert_close(density[trial, there, unit].sum(), dense)


def test_what_is_expected_ahead_is_the_conditional_mean(emission: SlowAndFast) -> None:
    """Of bins after the last observed one, by dense algebra; a level outlasts what a single AR(1) would keep."""
    observation, observed = random(3, BINS, UNITS), torch.zeros(3, BINS, UNITS, dtype=torch.bool)
    observed[:, :7] = True
    expected, _ = emission.private(observation, observed, torch.zeros_like(observation), SESSION)
    past, ahead = torch.arange(7), torch.arange(7, BINS)
    for trial, session in enumerate(SESSION.tolist()):
        within = autocovariance(emission, session, 0, (past[:, None] - past[None]).abs())
        across = autocovariance(emission, session, 0, ahead[:, None] - past[None])
        torch.testing.assert_close(
            expected[trial, 7:, 0], across @ torch.linalg.solve(within, observation[trial, :7, 0])
        )


def test_samples_have_the_stated_autocovariance(emission: SlowAndFast) -> None:
    n = 20_000
    session = torch.ones(n, dtype=torch.long)
    generator = torch.Generator().manual_seed(0)
    drawn = emission.sample(torch.zeros(n, 6, UNITS, dtype=torch.float64), session, generator)
    for lag in (0, 1, 5):
        found = (drawn[:, 0] * drawn[:, lag]).mean(0)
        stated = torch.stack([autocovariance(emission, 1, unit, torch.tensor(lag)) for unit in range(UNITS)])
        scale = emission.variance[1]
        torch.testing.assert_close(found / scale, stated / scale, atol=0.03, rtol=0)


def test_a_noise_that_hardly_changes_has_finite_gradients(emission: SlowAndFast) -> None:
    with torch.no_grad():
        emission.raw_rho.fill_(30.0)
    observation = random(3, BINS, UNITS).requires_grad_()
    observed = torch.ones(3, BINS, UNITS, dtype=torch.bool)
    density = emission.log_density(observation, observed, torch.zeros_like(observation), SESSION).sum()
    for gradient in torch.autograd.grad(density, [observation, emission.raw_rho, emission.raw_share]):
        assert torch.isfinite(gradient).all()


def test_a_bin_informs_about_a_shift_as_the_whole_of_a_long_trial_does(emission: SlowAndFast) -> None:
    """Per bin, of a trial much longer than the noise lasts."""
    n = 3000
    apart = (torch.arange(n)[:, None] - torch.arange(n)[None]).abs()
    ones = torch.ones(n, dtype=torch.float64)
    dense = ones @ torch.linalg.solve(autocovariance(emission, 1, 0, apart), ones) / n
    stated = emission.information(torch.zeros(3, 1, UNITS, dtype=torch.float64), SESSION)[0, 0, 0]
    torch.testing.assert_close(stated, dense, rtol=0.1, atol=0)


def test_it_waits_for_no_device() -> None:
    """The meta device refuses whatever reads a value back, and stray CPU tensors."""
    emission = SlowAndFast(2, UNITS, 2).to("meta")
    observation = torch.zeros(3, BINS, UNITS, device="meta")
    observed, session = torch.ones_like(observation, dtype=torch.bool), SESSION.to("meta")
    emission.update_variance(observation, observed, observation, session)
    assert emission.log_density(observation, observed, observation, session).is_meta
    assert emission.sample(observation, session, None).is_meta
