"""The flat density is Gaussian where the data are, an even disc where they are, and integrates to one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal

from ncyber_cli.outputs.flat_density import _log_likelihood, flat_log_likelihood, numbers_of_flat


def disc(bins: int, seed: int = 0) -> np.ndarray:
    """Evenly on a disc of radius 1."""
    rng = np.random.default_rng(seed)
    radius, angle = np.sqrt(rng.uniform(size=bins)), rng.uniform(0, 2 * np.pi, bins)
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_gaussian_values_get_their_gaussian_density() -> None:
    values = np.random.default_rng(0).multivariate_normal([1, 2], [[2, 0.5], [0.5, 1]], 5000)
    gaussian = multivariate_normal(values.mean(0), np.cov(values.T)).logpdf(values).mean()
    assert flat_log_likelihood(values, 1e-6) == pytest.approx(gaussian, abs=0.002)


def test_an_even_disc_gets_nearly_the_density_of_an_even_disc() -> None:
    assert flat_log_likelihood(disc(5000), 1e-6) == pytest.approx(-math.log(math.pi), abs=0.05)


@pytest.mark.parametrize("shape", [0.5, 1.0, 4.0])
def test_it_integrates_to_one(shape: float) -> None:
    """In the plane, from the norm that the likelihood of a single distance reveals."""

    def density(radius: float, scale: float) -> float:
        # The mean log density at the best scale has the exponent -n_axis / (2 shape) by construction.
        norm = math.exp(_log_likelihood(np.array([scale]), 2, shape) + 1 / shape)
        best = (shape / 2) ** (1 / shape) * scale
        return norm * math.exp(-0.5 * (radius**2 / best) ** shape) * 2 * math.pi * radius

    total, _ = quad(density, 0, np.inf, args=(1.7,))
    assert total == pytest.approx(1, rel=1e-6)


def test_a_constant_axis_is_no_error() -> None:
    values = np.stack([np.linspace(0, 1, 50), np.zeros(50)], axis=1)
    assert math.isfinite(flat_log_likelihood(values, 0.01))
    assert math.isfinite(flat_log_likelihood(np.zeros((5, 1)), 0.01))


def test_its_numbers_are_centre_covariance_and_shape() -> None:
    assert [numbers_of_flat(n) for n in (1, 2, 3)] == [3, 6, 10]
