"""Bodies move as physics says, score what surprises them, and stay stable whatever they learn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
import torch

from ncyber_cli.model.body import Body, PointMass, StudentScale
from ncyber_cli.model.linear_body import LinearBody

BIN_S = 0.02
ANIMAL = torch.tensor([0, 1, 1])


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def point_mass(mass_kg: float | None = None) -> PointMass:
    body = PointMass(2, 2, BIN_S, torch.ones(2, 2), None, mass_kg).double()
    with torch.no_grad():
        if mass_kg is None:
            body.mass.deviation.copy_(torch.tensor([-0.5, 1.0]))
    return body


def linear_body(scale: float = 1.0, seed: int = 0) -> LinearBody:
    mean, sd = random(4, seed=seed), random(4, seed=seed + 1).exp()
    body = LinearBody(mean, sd, 2, 2, BIN_S, torch.ones(2, 4), None, 3).double()
    with torch.no_grad():
        for number, parameter in enumerate((body.rotation, body.decay, body.drive, body.force)):
            parameter.copy_(scale * random(*parameter.shape, seed=seed + 2 + number))
    return body


BODIES = pytest.mark.parametrize("body", [point_mass(), linear_body()], ids=["point_mass", "linear"])


@BODIES
def test_a_body_is_what_the_loop_asks_for(body: Body) -> None:
    assert isinstance(body, Body)


def test_constant_acceleration_is_integrated_exactly() -> None:
    body, start, push = point_mass(), random(3, 4), random(3, 2, seed=1)
    here, state = body.at(ANIMAL), start
    for _ in range(50):
        state = body.predict(here, state, push)
    time = 50 * BIN_S
    torch.testing.assert_close(body.velocity(state), start[:, 2:] + time * push)
    torch.testing.assert_close(body.position(state), start[:, :2] + time * start[:, 2:] + 0.5 * time**2 * push)


def test_a_given_mass_makes_the_command_a_force() -> None:
    light, heavy = point_mass(), point_mass(mass_kg=2.0)
    start, push = torch.zeros(3, 4, dtype=torch.float64), random(3, 2)
    accelerated = light.predict(light.at(ANIMAL), start, push)
    torch.testing.assert_close(heavy.predict(heavy.at(ANIMAL), start, 2 * push), accelerated)


def test_a_recorded_force_acts_through_each_animals_mass() -> None:
    body, force = point_mass(), random(5, 3, 2)
    mass = body.mass(ANIMAL)[:, None]
    torch.testing.assert_close(body.force_effect(body.at(ANIMAL), force), BIN_S * force / mass)


@BODIES
def test_residuals_are_what_was_added(body: Body) -> None:
    start, push = random(3, 4), random(3, 2, seed=1)
    residual = random(3, body.residual.scale.shape[1], seed=2)
    predicted = body.predict(body.at(ANIMAL), start, push)
    torch.testing.assert_close(body.residual_of(body.add_residual(predicted, residual), predicted), residual)


@BODIES
def test_an_echo_is_what_a_past_residual_does_to_the_body_now(body: Body) -> None:
    """With and without a residual, rolled forward by the body's own dynamics."""
    here, push = body.at(ANIMAL), random(6, 3, 2)
    plain = random(3, 4, seed=1)
    residual = random(3, body.residual.scale.shape[1], seed=2)
    surprised, echoes = body.add_residual(plain, residual), body.echoes(6)
    for age in range(6):
        torch.testing.assert_close(surprised - plain, residual @ echoes[age])
        plain, surprised = body.predict(here, plain, push[age]), body.predict(here, surprised, push[age])


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_a_linear_body_is_stable_whatever_its_weights(scale: float) -> None:
    for seed in range(20):
        transition = linear_body(scale, seed).transition().detach().numpy()
        assert np.abs(np.linalg.eigvals(transition)).max() < 1


def test_a_linear_body_rests_at_its_mean() -> None:
    body = linear_body()
    mean = body.mean.expand(3, -1)
    torch.testing.assert_close(body.predict(body.at(ANIMAL), mean, torch.zeros(3, 2, dtype=torch.float64)), mean)


def test_the_pseudo_inverse_undoes_the_drive() -> None:
    body = linear_body()
    wanted = random(3, 2) @ (body.drive * body.sd)  # reachable directions
    torch.testing.assert_close(wanted @ body.pseudo_inverse().T @ (body.drive * body.sd), wanted)


# ------------------------------------------------------------------------------ heavy-tailed residuals


def test_the_residual_density_is_scipys_student_t_over_recorded_features() -> None:
    scale = StudentScale(random(2, 3).exp())
    residual, recorded = random(3, 5, 3, seed=1), torch.rand(3, 5, 3) > 0.3
    expected = scipy.stats.t.logpdf(residual, df=3, scale=scale.scale[ANIMAL][:, None])
    expected = (expected * recorded.numpy()).sum(-1)
    np.testing.assert_allclose(scale.log_density(residual, ANIMAL, recorded), expected, rtol=1e-12)


def test_a_prediction_several_bins_ahead_is_scored_with_the_scale_of_a_random_walk() -> None:
    scale = StudentScale(random(2, 3).exp())
    residual, recorded = random(3, 5, 3, seed=1), torch.ones(3, 5, 3, dtype=torch.bool)
    ahead = torch.arange(1, 6).expand(3, -1)
    wider = scale.scale[ANIMAL][:, None] * torch.arange(1.0, 6.0, dtype=torch.float64).sqrt()[:, None]
    expected = scipy.stats.t.logpdf(residual, df=3, scale=wider).sum(-1)
    np.testing.assert_allclose(scale.log_density(residual, ANIMAL, recorded, ahead), expected, rtol=1e-12)


def test_expectation_maximisation_climbs_to_the_true_scale_of_each_animal() -> None:
    true = torch.tensor([[0.3], [2.0]], dtype=torch.float64)
    animal = torch.tensor([0, 1] * 100)
    draws = torch.from_numpy(scipy.stats.t.rvs(3, size=(200, 100, 1), random_state=0))
    residual, recorded = true[animal][:, None] * draws, torch.ones(200, 100, 1, dtype=torch.bool)
    scale, likelihoods = StudentScale(torch.ones(2, 1, dtype=torch.float64)), []
    for _ in range(400):
        likelihoods.append(float(scale.log_density(residual, animal, recorded).sum()))
        scale.update(residual, animal, recorded)
    assert all(later >= earlier - 1e-6 for earlier, later in itertools.pairwise(likelihoods))
    torch.testing.assert_close(scale.scale, true, rtol=0.04, atol=0)


def test_a_scale_keeps_without_data_ignores_what_is_not_finite_and_has_a_floor() -> None:
    start = torch.tensor([[1.0, 1.0, 1.0], [0.5, 0.5, 0.5]], dtype=torch.float64)
    scale, recorded = StudentScale(start), torch.ones(3, 4, 3, dtype=torch.bool)
    recorded[..., 1] = False
    residual = torch.zeros(3, 4, 3, dtype=torch.float64)
    residual[..., 1:] = torch.nan
    residual[..., 1] = 7.0
    for _ in range(1000):
        scale.update(residual, torch.zeros(3, dtype=torch.long), recorded)
    expected = torch.tensor([[1e-3, 1.0, 1.0], [0.5, 0.5, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(scale.scale, expected)


def test_sampled_residuals_have_the_scale_they_are_scored_with() -> None:
    scale = StudentScale(torch.tensor([[0.2]], dtype=torch.float64))
    chi_square = random(3, 1, 50_000, 1).square().sum(0)
    sample = scale.sample(torch.zeros(50_000, dtype=torch.long), random(1, 50_000, 1, seed=1), chi_square / 3)
    assert scipy.stats.kstest(sample.flatten().numpy() / 0.2, scipy.stats.t(3).cdf).statistic < 0.01
