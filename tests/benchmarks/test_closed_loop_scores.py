"""The closed-loop scores on reaches whose answer is plain."""

from __future__ import annotations

import numpy as np
from closed_loop_scores import corrections, landing, median_end_distance

BINS, SEEN = 40, 10
TARGET = np.array([[0.1, 0.0], [0.0, -0.1]])
OWN = np.broadcast_to(np.arange(BINS) >= SEEN, (2, BINS))


def reaches() -> np.ndarray:
    """Smooth reaches from the centre to the targets, (trial, time, 4)."""
    phase = np.clip((np.arange(BINS) + 0.5) / 30, 0, 1)
    way = phase**2 * (3 - 2 * phase)
    place = way[None, :, None] * TARGET[:, None]
    return np.concatenate([place, np.gradient(place, 0.02, axis=1)], -1)


def test_a_rollout_that_repeats_the_recording_is_perfect_and_standing_still_is_not() -> None:
    body = reaches()
    goal = np.broadcast_to(TARGET[:, None], (2, BINS, 2))
    usual = np.linalg.norm(body[0, :, 2:], axis=1)
    found = landing(np.stack([body] * 3), np.stack([goal] * 3), body, TARGET, OWN, usual)
    assert found["end_point_m"]["rollout"] < 1e-12
    assert found["end_point_m"]["inferred goal"] == 0
    assert found["end_point_m"]["stays where it is"] > 0.07
    assert found["velocity_profile"]["rollout"] > 1 - 1e-9
    assert found["velocity_profile"]["rollout, both axes"] > 1 - 1e-9
    assert median_end_distance(body[None], TARGET, OWN) < 1e-12


def test_a_reach_the_other_way_has_the_right_speed_and_the_wrong_velocity() -> None:
    body = reaches()
    goal = np.broadcast_to(TARGET[:, None], (2, BINS, 2))
    usual = np.linalg.norm(body[0, :, 2:], axis=1)
    found = landing(-body[None], goal[None], body, TARGET, OWN, usual)
    assert found["velocity_profile"]["rollout"] > 1 - 1e-9
    assert found["velocity_profile"]["rollout, both axes"] < -0.9
    assert found["end_point_m"]["rollout"] > 0.19


def test_directions_of_corrections() -> None:
    calm = np.random.default_rng(0).normal(size=(3, 2, BINS, 2))
    push = np.zeros((2, BINS, 2))
    push[0, 20:25], push[1, 20:25] = [1.0, 0.0], [0.0, 2.0]
    window = np.broadcast_to((np.arange(BINS) >= 20) & (np.arange(BINS) < 30), (2, BINS))
    right = corrections(calm + 0.5 * push, calm, push, 0 * push, window)
    assert right["within_45_degrees"] == 1
    np.testing.assert_allclose(right["size_over_true"], 0.5)
    np.testing.assert_allclose(right["median_angle_degrees"], 0, atol=1e-4)
    turned = push @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    assert corrections(calm + turned, calm, push, 0 * push, window)["within_45_degrees"] == 0
    none = corrections(calm, calm, push, 0 * push, window)
    assert none["within_90_degrees"] == 0
