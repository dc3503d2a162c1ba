"""Files of worms hold no frame that must not be seen, and their windows are read frame by frame."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from worm_files import AHEAD, FRAME_S, HISTORY, Worm, write_origins, write_training
from worms import ARMS, SPEC

from ncyber_cli.pipeline.sessions import read_sessions
from ncyber_cli.spec_file import load_spec

FRAMES, UNTIL = 150, 110


@pytest.fixture
def worm() -> Worm:
    activity = np.random.default_rng(0).standard_normal((FRAMES, 3))
    return Worm("worm", activity, ["AVAL", "unlabelled_1", "RIML"], np.array([False, False, True]))


def test_training_windows_reach_the_last_allowed_frame_and_none_after(worm: Worm, tmp_path: Path) -> None:
    with h5py.File(write_training(tmp_path, worm, UNTIL)) as file:
        assert len(file["activity"]) == UNTIL
        assert file["windows/stop_time"][()].max() == pytest.approx(UNTIL * FRAME_S)


def test_a_window_ends_its_history_with_the_frame_it_is_forecast_from(worm: Worm, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.format(**ARMS["labels"]))
    origins = np.array([HISTORY - 1, 77, FRAMES - 2])
    session = read_sessions(load_spec(spec, []), [write_origins(tmp_path, worm, origins)])[0]
    assert session.unit_id == worm.label
    assert session.held_out.tolist() == worm.held_out.tolist()
    np.testing.assert_allclose(session.observation[:, HISTORY - 1], worm.activity[origins], atol=1e-6)
    np.testing.assert_allclose(session.observation[1, -1], worm.activity[77 + AHEAD], atol=1e-6)
