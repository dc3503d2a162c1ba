"""Oscillators turn at their own frequency, lose energy at their own rate, and keep some contexts for tests."""

from __future__ import annotations

import numpy as np
import pytest

from ncyber_cli.worlds.oscillators import BIN_S, MEAN_COUNT, SPEEDS, UNSEEN, flow, simulate


def turned(latent: np.ndarray) -> np.ndarray:
    """Unwrapped phase (trial, time), in turns."""
    return np.unwrap(np.arctan2(latent[..., 1], latent[..., 0]), axis=1) / (2 * np.pi)


def test_a_limit_cycle_turns_at_its_frequency_and_stays_near_radius_one() -> None:
    animal = simulate(seed=1, trials=60, family="limit_cycle", bins=200)
    latent = animal.truth["latent"].values
    phase = turned(latent)
    turns = (phase[:, -1] - phase[:, 0]).mean() / (199 * BIN_S)
    assert turns == pytest.approx(animal.constants["frequency_hz"], rel=0.02)
    assert np.linalg.norm(latent[:, -1], axis=1).mean() == pytest.approx(1, abs=0.05)


def test_a_duffing_oscillator_loses_energy_as_its_damping_says() -> None:
    """dE/dt = -damping velocity^2 along the flow, with E = (v^2 + x^2 + stiffening x^4 / 2) / 2."""
    state, omega, damping = np.random.default_rng(0).standard_normal((50, 2)), 7.0, 0.6
    change = flow("duffing", state, omega, damping)
    stiffening = (change[:, 1] + damping * state[:, 1] + omega * state[:, 0]) / (-omega * state[:, 0] ** 3)
    force = state[:, 0] + stiffening * state[:, 0] ** 3
    power = state[:, 1] * change[:, 1] + force * change[:, 0]
    np.testing.assert_allclose(power, -damping * state[:, 1] ** 2, atol=1e-10)
    assert stiffening == pytest.approx(stiffening[0])


def test_families_take_turns_and_animals_differ() -> None:
    animals = [simulate(seed=2, animal=index, trials=2) for index in range(4)]
    assert [animal.constants["is_duffing"] for animal in animals] == [0, 1, 0, 1]
    assert len({animal.constants["frequency_hz"] for animal in animals}) == 4


def test_spikes_are_sparse() -> None:
    animal = simulate(seed=3, trials=20, activity="spikes")
    assert animal.counts.shape == (20, 100, 300)
    assert animal.counts.mean() == pytest.approx(MEAN_COUNT, rel=0.02)
    assert animal.truth["rate"].values.mean(axis=(0, 1)) == pytest.approx(MEAN_COUNT)


def test_a_context_is_the_speed_of_its_trial_and_some_are_never_trained_on() -> None:
    animal = simulate(seed=4, trials=400, family="limit_cycle", contexts=True)
    speed, split = animal.trial_columns["speed"], animal.trial_columns["split"]
    assert set(speed[split == "train"]) == set(SPEEDS) - set(UNSEEN)
    assert set(speed[split == "test"]) == set(SPEEDS)
    phase = turned(animal.truth["latent"].values)
    rate = (phase[:, -1] - phase[:, 0]) / (99 * BIN_S)
    for level in SPEEDS:
        assert rate[speed == level].mean() == pytest.approx(level * animal.constants["frequency_hz"], rel=0.05)
