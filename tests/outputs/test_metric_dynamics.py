"""Time constants, frequencies and shape do not depend on the basis a path is written in."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ncyber_cli.outputs.metrics import modes, shape_distance

BIN_S = 0.02


def spiral(time_constant_s: float, frequency_hz: float, trials: int = 6, bins: int = 80) -> np.ndarray:
    """A damped rotation, and beside it a direction that decays twice as fast."""
    rng = np.random.default_rng(0)
    angle = 2 * math.pi * frequency_hz * BIN_S
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    step = np.zeros((3, 3))
    step[:2, :2] = math.exp(-BIN_S / time_constant_s) * turn
    step[2, 2] = math.exp(-2 * BIN_S / time_constant_s)
    path = np.empty((trials, bins, 3))
    path[:, 0] = rng.standard_normal((trials, 3))
    for time in range(1, bins):
        path[:, time] = path[:, time - 1] @ step.T
    return path


def test_modes_of_a_damped_rotation_are_its_own_in_any_basis() -> None:
    basis = np.random.default_rng(1).standard_normal((3, 5))
    slow, fast = modes(spiral(0.8, 1.5) @ basis + 4.0, BIN_S)
    assert slow.time_constant_s == pytest.approx(0.8)
    assert slow.frequency_hz == pytest.approx(1.5)
    assert fast.time_constant_s == pytest.approx(0.4)
    assert fast.frequency_hz == 0


def test_what_grows_has_no_time_constant() -> None:
    assert modes(spiral(0.8, 1.5)[:, ::-1], BIN_S)[0].time_constant_s is None


def test_a_shape_is_the_same_turned_and_far_from_another() -> None:
    rng = np.random.default_rng(2)
    path, other = spiral(0.8, 1.5), spiral(0.8, 0.5)
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    assert shape_distance(path, 3 * path @ turn + 1) == pytest.approx(0, abs=1e-6)
    assert shape_distance(path, other) > 0.3
    assert shape_distance(path, other) == pytest.approx(shape_distance(other, path))
    assert shape_distance(path, rng.standard_normal(path.shape)) > shape_distance(path, other)
    assert shape_distance(np.zeros_like(path), path) == 1
