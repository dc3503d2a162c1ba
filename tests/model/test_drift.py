"""A slow drift is found where there is one, in its own shape; where there is none it shrinks away."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ncyber_cli.model.drift import Drift
from ncyber_cli.model.emission import Emission, Gaussian, Poisson

TRIALS, BINS, UNITS = 120, 20, 8


def drifting(kind: type[Emission], n_unit: int = UNITS) -> Emission:
    made = kind(1, n_unit, 1)
    made.drift = Drift(
        made.log_linear_units(), torch.zeros(1), torch.tensor([TRIALS - 1.0]), torch.tensor([1.0 * TRIALS])
    )
    with torch.no_grad():
        made.readout.zero_()
    return made


def fit(emission: Emission, observation: torch.Tensor, when: torch.Tensor, steps: int = 400) -> torch.Tensor:
    """The drift (trial, unit) that gradient steps and closed-form steps come to."""
    assert emission.drift is not None
    session = torch.zeros(len(when), dtype=torch.long)
    latent, seen = torch.zeros(len(when), BINS, 1), torch.ones_like(observation, dtype=torch.bool)
    optimizer = torch.optim.Adam([emission.offset, emission.drift.weight], lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        predictor = emission.predictor(latent, session, when)
        density = emission.log_density(observation, seen, predictor, session)
        (-(density.sum() + emission.drift.log_prior())).backward()
        optimizer.step()
        emission.update_variance(observation, seen, predictor.detach(), session)
        emission.update_drift(seen, predictor.detach(), session)
    return emission.drift(session, when).detach()


def walk(sd: float, seed: int) -> torch.Tensor:
    """Centred random walks over the session, (trial, unit)."""
    steps = np.random.default_rng(seed).normal(0, 1, (TRIALS, UNITS)).cumsum(0)
    centred = steps - steps.mean(0)
    return torch.tensor(sd * centred / centred.std(0), dtype=torch.float32)


def observed(kind: type[Emission], drift: torch.Tensor, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    if kind is Poisson:
        return torch.poisson((-1 + drift)[:, None].expand(-1, BINS, -1).exp(), generator)
    return 3 + 2 * (drift[:, None] + torch.randn(TRIALS, BINS, UNITS, generator=generator))


@pytest.mark.parametrize("kind", [Poisson, Gaussian])
def test_trials_between_training_trials_show_the_drift(kind: type[Emission]) -> None:
    true, when = walk(0.5, seed=1), torch.arange(float(TRIALS))
    emission, kept = drifting(kind), torch.arange(TRIALS) % 3 != 1
    assert emission.drift is not None
    scale = 1.0 if kind is Poisson else 2.0
    emission.drift.start_scale(0, torch.full((UNITS,), scale))
    fit(emission, observed(kind, true, seed=2)[kept], when[kept])
    found = emission.drift(torch.zeros(TRIALS, dtype=torch.long), when).detach() / scale
    error = (found - true)[~kept].square().mean() / true[~kept].square().mean()
    assert error < 0.3  # of a random walk, eight terms hold nine tenths
    assert found.mean(0).abs().max() < 0.1


@pytest.mark.parametrize("kind", [Poisson, Gaussian])
def test_where_nothing_drifts_nothing_is_found(kind: type[Emission]) -> None:
    emission = drifting(kind)
    found = fit(emission, observed(kind, torch.zeros(TRIALS, UNITS), seed=3), torch.arange(float(TRIALS)))
    assert emission.drift is not None
    group = 0 if kind is Poisson else 1
    assert found.std() < 0.04
    assert emission.drift.weight_variance[0, group].sqrt() < 0.06
    assert emission.drift.weight_variance[0, 1 - group].sqrt() == pytest.approx(0.3)  # of units that there are not


def test_it_holds_before_and_after_the_training_trials_and_is_none_without_a_time() -> None:
    emission = drifting(Poisson)
    assert emission.drift is not None
    with torch.no_grad():
        emission.drift.weight.normal_(generator=torch.Generator().manual_seed(0))
    session, when = torch.zeros(4, dtype=torch.long), torch.tensor([-50.0, 0.0, TRIALS - 1, 1000.0])
    drift = emission.drift(session, when)
    assert torch.equal(drift[0], drift[1])
    assert torch.equal(drift[2], drift[3])
    latent = torch.zeros(4, BINS, 1)
    predictor = emission.predictor(latent, session, when)
    torch.testing.assert_close(predictor, (emission.offset + drift)[:, None].expand_as(predictor))
    assert torch.equal(emission.predictor(latent, session), emission.offset[:, None].expand_as(predictor))
