"""The drift of a run is told by trial and unit, and in one number a kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import make_tiny

from ncyber_cli.data.recording import Session
from ncyber_cli.pipeline.drift import drift_sizes, unit_drift
from ncyber_cli.pipeline.open_run import OpenRun
from ncyber_cli.training.measure import measure


def open_tiny(kind: str) -> tuple[OpenRun, list[Session]]:
    tiny = make_tiny(kind)
    layout = measure(tiny.spec, tiny.cohort)
    return OpenRun(Path("x"), "0", tiny.spec, layout, tiny.model, torch.device("cpu")), tiny.cohort.sessions


def test_it_is_what_the_predictor_gains_in_each_trial() -> None:
    run, sessions = open_tiny("several_kinds")
    emission, session = run.model.loop.emission, sessions[1]
    found = unit_drift(run, session)
    assert found is not None
    n_trial, n_unit = len(session.trial_id), len(session.unit_id)
    index, latent = torch.ones(n_trial, dtype=torch.long), torch.zeros(n_trial, 1, 5, dtype=torch.float64)
    when = torch.as_tensor(session.clock())
    gained = emission.predictor(latent, index, when) - emission.predictor(latent, index)
    np.testing.assert_allclose(found, gained[:, 0, :n_unit].detach().numpy(), atol=1e-6)
    assert found.std() > 0.01
    row = drift_sizes(run, sessions)[1]
    assert row["session"] == "s1"
    assert row["log_rate_sd"] == pytest.approx(np.median(found.std(0)[::2]), rel=1e-5)  # spikes are every other unit


def test_a_run_without_drift_says_nothing() -> None:
    run, sessions = open_tiny("several_areas")
    assert unit_drift(run, sessions[0]) is None
    assert drift_sizes(run, sessions) == []
