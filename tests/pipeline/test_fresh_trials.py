"""Fresh trials are training trials with other activity, drawn in turn by the teachers that know the session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_run import LORENZ_DATA, REACH_DATA, REACH_MODEL, finished_run, lorenz_file, reach_files

from ncyber_cli.data.recording import TRAIN, Session
from ncyber_cli.errors import DataError
from ncyber_cli.pipeline.fresh_trials import fresh_trials, tutor_of
from ncyber_cli.pipeline.open_run import open_run
from ncyber_cli.pipeline.sessions import read_sessions
from ncyber_cli.spec import Spec

BRAIN: dict[str, Any] = {"brain": {"kind": "residual_mlp", "latents": 3, "hidden": 8}}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two reaching animals, a run of both that sees their behaviour, and one of the first animal's neurons alone."""
    folder = tmp_path_factory.mktemp("lab")
    paths = reach_files(folder)
    finished_run(folder / "both", paths, REACH_DATA, REACH_MODEL)
    finished_run(folder / "first", paths[:1], REACH_DATA, BRAIN, inputs=["neural"])
    return folder


def sessions_of(lab: Path, **data: Any) -> list[Session]:
    spec = Spec.model_validate({"version": 1, "data": {**REACH_DATA, **data}, "model": BRAIN})
    return read_sessions(spec, [lab / "reach-1.nwb", lab / "reach-2.nwb"])


def made(lab: Path, sessions: list[Session], *runs: str) -> list[Session]:
    return fresh_trials([tutor_of(open_run(lab / run, "best", "cpu"), sessions) for run in runs], sessions)


def test_only_activity_is_new_and_what_was_missing_is_missing(lab: Path) -> None:
    sessions = sessions_of(lab)
    gap = sessions[0].observation.astype(np.float32)
    gap[:, 3:6, 2] = np.nan
    sessions[0] = replace(sessions[0], observation=gap)
    for session, fresh in zip(sessions, made(lab, sessions, "both", "first"), strict=True):
        training = np.flatnonzero(session.split == TRAIN)
        source = np.resize(training, len(fresh.trial_id))
        assert len(fresh.trial_id) == 20 * len(training)
        assert fresh.trial_id == [session.trial_id[trial] for trial in source]
        for name in ("mask", "body", "input", "force", "time_s"):
            np.testing.assert_array_equal(getattr(fresh, name), getattr(session, name)[source])
        recorded = session.observation[source].astype(np.float32)
        np.testing.assert_array_equal(np.isnan(fresh.observation), np.isnan(recorded))
        assert (fresh.observation != recorded).any((1, 2)).all()
        assert (np.nan_to_num(fresh.observation) % 1 == 0).all()
        assert len(np.unique(fresh.observation, axis=0)) == len(source)


def test_the_same_teachers_draw_the_same_at_any_time_and_others_other_trials(lab: Path) -> None:
    sessions = sessions_of(lab)
    one, other = (made(lab, sessions, "both", "first") for _ in range(2))
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(ours.observation, theirs.observation)
    assert (one[0].observation != made(lab, sessions, "both")[0].observation).any()


def test_units_and_trials_are_found_by_name(lab: Path) -> None:
    """For a student that lists its units the other way round the same is drawn of each."""
    sessions = sessions_of(lab)

    def turned(session: Session) -> Session:
        unit_id, observation = session.unit_id[::-1], session.observation[:, :, ::-1]
        return replace(session, unit_id=unit_id, observation=observation, held_out=session.held_out[::-1])

    straight, other = made(lab, sessions, "both"), made(lab, [turned(each) for each in sessions], "both")
    for one, two in zip(straight, other, strict=True):
        np.testing.assert_array_equal(one.observation, two.observation[:, :, ::-1])


def test_of_a_session_that_no_teacher_knows_there_are_no_fresh_trials(lab: Path) -> None:
    assert [len(session.trial_id) > 0 for session in made(lab, sessions_of(lab), "first")] == [True, False]


def test_a_run_that_cannot_teach_these_sessions_is_refused(lab: Path, tmp_path: Path) -> None:
    (path,) = lorenz_file(tmp_path)
    lorenz = read_sessions(Spec.model_validate({"version": 1, "data": LORENZ_DATA, "model": BRAIN}), [path])
    cases = [
        (lorenz, "knows none of the sessions"),
        (sessions_of(lab, bin_s=0.02), "bins a trial, the recording"),
        (sessions_of(lab, trials={**REACH_DATA["trials"], "window_s": [-0.16, 0.64]}), "0.04 s from the recording's"),
        (sessions_of(lab, split={"by": "trial", "validation": 0.1, "test": 0.4, "seed": 3}), r"the same data\.split"),
    ]
    run = open_run(lab / "both", "best", "cpu")
    for sessions, words in cases:
        with pytest.raises(DataError, match=words):
            tutor_of(run, sessions)
    extra = sessions_of(lab)
    extra[0] = replace(extra[0], unit_id=["unheard of", *extra[0].unit_id[1:]])
    with pytest.raises(DataError, match="which this fit trains on"):
        tutor_of(run, extra)
