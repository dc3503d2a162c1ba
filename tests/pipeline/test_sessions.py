"""Files to sessions: one at a time as all together, and a run's files as the run knew them."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from finished_run import REACH_DATA, REACH_MODEL, reach_files

from ncyber_cli.data.prepare import prepare_all
from ncyber_cli.data.read import read_recording
from ncyber_cli.data.recording import TEST, Session
from ncyber_cli.errors import DataError
from ncyber_cli.model.layout import Layout
from ncyber_cli.pipeline.sessions import cohort_of, read_sessions, sessions_of_run
from ncyber_cli.spec import Spec
from ncyber_cli.training.measure import measure
from ncyber_cli.worlds import reach
from ncyber_cli.worlds.to_nwb import save_animal


def spec_with(**data: Any) -> Spec:
    return Spec.model_validate({"version": 1, "data": {**REACH_DATA, **data}, "model": REACH_MODEL})


SPEC = spec_with()
SELECTIVE = spec_with(units={"min_rate_hz": 8.0})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return reach_files(tmp_path_factory.mktemp("recordings"), trials=12)


@pytest.fixture(scope="module")
def sessions(files: list[Path]) -> list[Session]:
    return read_sessions(SELECTIVE, files)


@pytest.fixture(scope="module")
def layout(sessions: list[Session]) -> Layout:
    return measure(SELECTIVE, cohort_of(sessions))


def other_recording(path: Path, animal: int = 0, seed: int = 0) -> Path:
    """Other trials of an animal; the seed is part of the session's name."""
    return save_animal(reach.simulate(seed=seed, animal=animal, trials=5, units=20), path)


def assert_same(one: Session, other: Session) -> None:
    for field in fields(Session):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if field.name == "trials":
            assert left.id == right.id
        elif isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right)
        else:
            assert left == right, field.name


def test_file_by_file_is_all_together(files: list[Path], sessions: list[Session]) -> None:
    together = prepare_all([read_recording(path, SELECTIVE.data) for path in files], SELECTIVE)
    for one, other in zip(sessions, together, strict=True):
        assert_same(one, other)
    assert 0 < len(sessions[0].unit_id) < 20


def test_animals_are_numbered_as_they_appear(sessions: list[Session]) -> None:
    again = replace(sessions[0], session="day-2")
    cohort = cohort_of([sessions[1], sessions[0], again])
    assert cohort.animals == ["reach-2", "reach-1"]
    assert cohort.animal_of.tolist() == [0, 1, 1]


def test_a_runs_own_files_come_back_as_they_were(files: list[Path], sessions: list[Session], layout: Layout) -> None:
    """In any order, and some of them alone."""
    for one, other in zip(sessions_of_run(layout, SELECTIVE, files[::-1]), sessions[::-1], strict=True):
        assert_same(one, other)
    (alone,) = sessions_of_run(layout, SELECTIVE, files[1:])
    assert_same(alone, sessions[1])


def test_the_stored_split_and_units_win(files: list[Path], sessions: list[Session], layout: Layout) -> None:
    """A spec that would split or hold out otherwise today changes nothing of what the run did."""
    (session,) = sessions_of_run(layout, spec_with(split={"seed": 9}), files[:1])
    known = layout.sessions[0]
    assert (session.unit_id, session.split.tolist(), session.held_out.tolist()) == (
        known.unit_id, known.split, known.held_out,
    )  # fmt: skip
    np.testing.assert_array_equal(session.observation, sessions[0].observation)


def test_another_file_of_a_session_is_all_test(layout: Layout, tmp_path: Path) -> None:
    path = other_recording(tmp_path / "later.nwb")
    (session,) = sessions_of_run(layout, SELECTIVE, [path])
    assert (session.split == TEST).all()
    assert len(session.trial_id) == 5
    assert session.unit_id == layout.sessions[0].unit_id
    assert session.held_out.tolist() == layout.sessions[0].held_out
    everything = read_sessions(SPEC, [path])[0]
    rows = [everything.unit_id.index(unit) for unit in session.unit_id]
    np.testing.assert_array_equal(session.observation, everything.observation[:, :, rows])


@pytest.mark.parametrize(
    ("animal", "seed", "what"),
    [
        (0, 1, "session reach-1-seed1 of animal reach-1 is not one of the run's"),
        (2, 0, "session reach-3-seed0 of animal reach-3 is not one of the run's"),
    ],
)
def test_a_session_without_a_readout_is_refused(
    animal: int, seed: int, what: str, layout: Layout, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=rf"{what}.*ncyber adapt"):
        sessions_of_run(layout, SELECTIVE, [other_recording(tmp_path / "new.nwb", animal, seed)])


def test_missing_units_are_named(layout: Layout, tmp_path: Path) -> None:
    known = replace(layout.sessions[0], unit_id=[*layout.sessions[0].unit_id[:-1], "u99"], sha256="")
    run = replace(layout, sessions=[known, *layout.sessions[1:]])
    path = other_recording(tmp_path / "later.nwb")
    with pytest.raises(DataError, match=r"unit 'u99' of the run's session .* is missing.*ncyber adapt"):
        sessions_of_run(run, SELECTIVE, [path])


def test_two_files_of_one_session_are_refused(files: list[Path], layout: Layout, tmp_path: Path) -> None:
    path = other_recording(tmp_path / "later.nwb")
    with pytest.raises(DataError, match="give one file of a session at a time"):
        sessions_of_run(layout, SELECTIVE, [files[0], path])


def test_other_signals_are_refused(files: list[Path], layout: Layout) -> None:
    inputs = {"force": REACH_DATA["inputs"]["force"]}
    with pytest.raises(DataError, match="has inputs"):
        sessions_of_run(layout, spec_with(inputs=inputs, units={"min_rate_hz": 8.0}), files)


def test_held_out_units_and_behavior_may_be_missing_from_a_test_file(layout: Layout, tmp_path: Path) -> None:
    """As benchmarks publish their test files: other trials of a session, without the answers."""
    units = [*layout.sessions[0].unit_id[:-1], "u99"]
    held_out = [unit == "u99" for unit in units]
    known = replace(layout.sessions[0], unit_id=units, held_out=held_out, sha256="")
    path = other_recording(tmp_path / "test.nwb")
    with h5py.File(path, "r+") as file:
        for source in ("Position", "hand_vel"):
            del file["processing/behavior"][source]
    (session,) = sessions_of_run(replace(layout, sessions=[known, *layout.sessions[1:]]), SELECTIVE, [path])
    assert session.unit_id == units
    recorded = session.observation[session.mask]
    assert np.isnan(recorded[:, -1]).all()
    assert np.isfinite(recorded[:, :-1]).all()
    assert session.body_names == layout.body_names
    assert np.isnan(session.body[session.mask]).all()
