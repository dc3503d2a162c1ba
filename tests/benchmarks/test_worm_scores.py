"""Baselines of the worms forecast as they say, and the bootstrap is paired."""

from __future__ import annotations

import numpy as np
from worm_scores import BASELINES, HORIZONS, Block, difference, mean_r2, ridge

BEGIN, FRAMES = 600, 900


def ar1(rho: float, seed: int = 0) -> np.ndarray:
    generator, noise = np.random.default_rng(seed), np.zeros((FRAMES, 5))
    for frame in range(1, FRAMES):
        noise[frame] = rho * noise[frame - 1] + generator.standard_normal(5)
    return noise


def test_no_baseline_sees_what_it_forecasts() -> None:
    activity = ar1(0.9)
    changed = activity.copy()
    changed[700:] += 5.0
    for forecast in BASELINES.values():
        here, there = forecast(Block(activity, BEGIN)), forecast(Block(changed, BEGIN))
        for horizon in HORIZONS:
            until = Block(activity, BEGIN).origins(horizon) < 700
            np.testing.assert_array_equal(here[horizon][until], there[horizon][until])


def test_ar1_explains_what_an_ar1_lets_one_know() -> None:
    """R2 = rho^(2 h)."""
    block = Block(ar1(0.95), BEGIN)
    errors, deviations = block.errors(BASELINES["ar1"](block)), block.deviations()
    for horizon in HORIZONS:
        assert abs(mean_r2(errors[horizon], deviations[horizon]) - 0.95 ** (2 * horizon)) < 0.15


def test_ridge_finds_a_linear_map_and_sees_no_test_frame() -> None:
    seen, weights = ar1(0.5), np.random.default_rng(1).standard_normal((5, 2))
    targets = seen @ weights + 3.0
    np.testing.assert_allclose(ridge(seen, targets, BEGIN), targets, atol=0.1)
    changed = targets.copy()
    changed[BEGIN:] = 0.0
    np.testing.assert_array_equal(ridge(seen, changed, BEGIN), ridge(seen, targets, BEGIN))


def test_a_difference_is_paired_frame_by_frame() -> None:
    """Errors that share what varies over frames differ surely, by however little."""
    hard = np.random.default_rng(2).gamma(0.5, size=(240, 8))
    found = difference(hard, 1.01 * hard, hard)
    assert found == {"value": 0.01, "low": 0.01, "high": 0.01}
    other = np.random.default_rng(3).gamma(0.5, size=(240, 8))
    unsure = difference(hard, other, np.ones_like(hard))
    assert unsure["low"] < 0 < unsure["high"]
