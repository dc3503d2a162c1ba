"""Evidence is what both halves of the trials say, and it survives a checkpoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tiny import make_session, smooth_latent

from ncyber_cli.data.recording import Session
from ncyber_cli.training.align import align
from ncyber_cli.training.evidence import Evidence, evidence_of


def seen(session: Session, scores: np.ndarray, labels: list[str] | None = None) -> Evidence:
    """Evidence of `scores` in all trials; units say nothing but who they are."""
    trials = np.arange(len(scores))
    smooth = np.repeat(scores[:, :, :1], len(session.unit_id), axis=2)
    return evidence_of(session, trials, session.mask, labels or [""] * len(session.unit_id), smooth, scores)


def test_averages_are_evidence_where_trials_repeat_themselves_and_nowhere_else() -> None:
    rng = np.random.default_rng(0)
    session = replace(make_session(trials=30, bins=50), body_names=[], body=np.zeros((30, 50, 0), np.float32))
    locked, free = (seen(session, smooth_latent(rng, 30, 50, locked=locked)) for locked in (True, False))
    assert any(name.startswith("average") for name in locked.averages.names)
    assert not any(name.startswith("average") for name in free.averages.names)


def test_behaviour_counts_with_its_lag_and_noise_does_not() -> None:
    """Velocity is half of the latents; the input is noise."""
    session = make_session(trials=30, bins=50, seed=1)
    found = seen(session, 2 * session.body[:, :, 2:].astype(np.float64)).averages
    now = found.of(["velocity_0 +0.000 s", "velocity_1 +0.000 s"])
    np.testing.assert_allclose(now, np.eye(2), atol=0.15)
    assert not any(name.startswith("input") for name in found.names)


def test_a_context_splits_the_average() -> None:
    """Trials of label 1 do the opposite of the others: the average is silent, the covariance with the label is not."""
    session = replace(make_session(trials=30, bins=20), body_names=[], body=np.zeros((30, 20, 0), np.float32))
    label = (np.arange(30) % 3 == 0).astype(np.float32)
    session = replace(session, input=np.repeat(label[:, None, None], 20, axis=1), input_names=["task=1"])
    wave = np.sin(np.arange(20) / 3)[None, :, None] * np.where(label > 0, 2.0, -1.0)[:, None, None]
    found = seen(session, wave.repeat(2, axis=2)).averages
    assert found.names == [f"task=1, bin {time}" for time in range(20)]


def test_a_label_that_stands_twice_names_nobody() -> None:
    session = make_session(trials=10, bins=20, units=4)
    found = seen(session, smooth_latent(np.random.default_rng(0), 10, 20), ["AVA", "RIM", "", "RIM"])
    assert found.neurons.names == ["AVA"]


def test_recorded_dynamics_are_turned_back() -> None:
    """A relaxation oscillator in two dimensions, seen through two rotations, at random phases."""
    rng, trials = np.random.default_rng(0), 30
    state, path = rng.standard_normal((trials, 2)), []
    for step in range(600):
        x, v = state.T
        state = state + 0.05 * np.stack([v, 2.0 * (1 - x**2) * v - x + 0.6], 1)
        if step >= 200 and step % 4 == 0:
            path.append(state)
    whole = np.stack(path, 1)
    whole = whole - whole.mean((0, 1))
    values, vectors = np.linalg.eigh(np.cov(whole.reshape(-1, 2).T))
    whole = whole @ vectors / np.sqrt(values)
    session = make_session(trials=trials // 2, bins=100, inputs=0)
    session = replace(session, body_names=[], body=np.zeros((15, 100, 0), np.float32), force=np.zeros((15, 100, 0)))
    angle = 2.1
    turn = np.array([[np.cos(angle), np.sin(angle)], [np.sin(angle), -np.cos(angle)]])
    sessions = [seen(session, whole[:15]), seen(session, whole[15:] @ turn)]
    found = align(sessions)
    assert found[1].by == "dynamics"
    np.testing.assert_allclose(turn @ found[1].rotation, np.eye(2), atol=0.1)


def test_evidence_survives_a_checkpoint() -> None:
    session = make_session(trials=12, bins=30, units=4)
    evidence = seen(session, smooth_latent(np.random.default_rng(0), 12, 30, locked=True), ["a", "b", "", "c"])
    again = Evidence.from_plain(evidence.to_plain())
    for name in ("neurons", "averages"):
        assert getattr(again, name).names == getattr(evidence, name).names
        np.testing.assert_array_equal(getattr(again, name).values, getattr(evidence, name).values)
    np.testing.assert_array_equal(again.matrices, evidence.matrices)
    np.testing.assert_array_equal(again.skew, evidence.skew)
