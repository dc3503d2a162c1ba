"""The road from a teacher's name to the rates that a fit learns: runs, files, several of them, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from finished_run import LORENZ_DATA, REACH_DATA, finished_run, lorenz_file, reach_files

from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.open_hdf5 import file_sha256
from ncyber_cli.data.recording import TRAIN, Session
from ncyber_cli.errors import DataError, UsageError
from ncyber_cli.inference.targets import Targets
from ncyber_cli.outputs.read_results import session_groups
from ncyber_cli.pipeline.fit import FitRequest, train_run
from ncyber_cli.pipeline.infer import InferOptions, infer_run
from ncyber_cli.pipeline.sessions import cohort_of, read_sessions
from ncyber_cli.pipeline.taught_rates import read_rates
from ncyber_cli.pipeline.teacher import check_same_teacher, taught_by, with_teachers
from ncyber_cli.reporting import Progress
from ncyber_cli.spec import Spec
from ncyber_cli.spec_file import spec_text
from ncyber_cli.training.checkpoint import load

BRAIN = {"brain": {"kind": "residual_mlp", "latents": 3, "hidden": 8}}
QUIET = Progress(quiet=True)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording, a run of it and what the run infers."""
    folder = tmp_path_factory.mktemp("lab")
    finished_run(folder / "run", lorenz_file(folder), LORENZ_DATA, BRAIN)
    infer_run(folder / "run", [str(folder / "lorenz-1.nwb")], folder / "rates.h5", InferOptions(), as_json=True)
    return folder


def student(*rates: Path | str, data: dict[str, Any] | None = None, **training: Any) -> Spec:
    settings = {"epochs": 1, "batch": 4, **training}
    if rates:
        settings["teacher"] = {"rates": [str(path) for path in rates]}
    inference = {"hidden": 8, "samples": 3, "inputs": ["neural"]}
    spec = {"version": 1, "data": data or LORENZ_DATA, "model": BRAIN, "inference": inference, "training": settings}
    return Spec.model_validate(spec)


def session_of(lab: Path) -> Session:
    (session,) = read_sessions(student(), [lab / "lorenz-1.nwb"])
    return session


def changed(lab: Path, folder: Path, change: Callable[[h5py.Group], None]) -> Path:
    """A copy of the rates with something changed in their one session."""
    path = Path(shutil.copy(lab / "rates.h5", folder / "changed.h5"))
    with h5py.File(path, "r+") as file:
        change(next(session_groups(file)))
    return path


def put(group: h5py.Group, name: str, values: Any) -> None:
    del group[name]
    group[name] = values


def told(spec: Spec, cohort: Cohort, session: int | None = None) -> Targets:
    """What is said of training trials before the first step."""
    teacher = taught_by(spec, cohort, "cpu", QUIET)
    assert teacher is not None
    picks = cohort.picks(TRAIN, session)
    return teacher.lesson(cohort.batch(picks), picks, np.zeros((0, 2), np.int64), 0.0)[1]


def test_a_file_teaches_nothing_of_held_out_trials(lab: Path) -> None:
    session = session_of(lab)
    from_file = read_rates(lab / "rates.h5", [session], counts=True, remark=pytest.fail)[0]
    training = session.split == TRAIN
    targets = told(student(lab / "rates.h5"), cohort_of([session]))
    np.testing.assert_array_equal(targets.rate.numpy(), from_file[training])
    assert np.isnan(from_file[~training]).all()


def test_several_teachers_are_averaged_and_units_and_trials_found_by_name(lab: Path, tmp_path: Path) -> None:
    session = session_of(lab)

    def turned_round(group: h5py.Group) -> None:
        for name in ("trial_id", "split", "time_s", "rates/mean"):
            put(group, name, group[name][()][::-1])
        put(group, "unit_id", group["unit_id"][()][::-1])
        put(group, "rates/mean", 3 * group["rates/mean"][()][:, :, ::-1])
        group["rates/mean"][:, 2, 3] = np.nan  # of the last unit but three nothing is said in bin 2

    cohort, other = cohort_of([session]), changed(lab, tmp_path, turned_round)
    once = read_rates(lab / "rates.h5", [session], counts=True, remark=pytest.fail)[0][session.split == TRAIN]
    expected = 2 * once
    expected[:, 2, len(session.unit_id) - 4] /= 2
    found = told(student(lab / "rates.h5", other), cohort)
    np.testing.assert_allclose(found.rate.numpy(), expected, rtol=1e-6)
    assert found.known.all()


def test_a_session_that_no_teacher_knows_is_fitted_to_its_data_and_said(
    tmp_path: Path, lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = read_sessions(student(data=REACH_DATA), reach_files(tmp_path))
    rates = tmp_path / "rates.h5"
    write_rates(rates, first, first.observation.astype(np.float32))
    cohort = cohort_of([first, second])
    assert taught_by(student(rates, data=REACH_DATA), cohort, "cpu", Progress()) is not None
    said = capsys.readouterr().err
    assert f"nothing is taught of session {second.session}" in said
    assert "does not say which trials its model was fitted to" in said
    assert not told(student(rates, data=REACH_DATA), cohort, session=1).known.any()


def write_rates(path: Path, session: Session, rates: np.ndarray[Any, Any]) -> None:
    """The least that another program has to write: its trials are numbers."""
    with h5py.File(path, "w") as file:
        group = file.create_group(f"animals/{session.animal}/{session.session}")
        group["trial_id"] = np.array([int(trial) for trial in session.trial_id])
        group.create_dataset("unit_id", data=session.unit_id, dtype=h5py.string_dtype())
        group["rates/mean"] = rates


def in_hz(group: h5py.Group) -> None:
    put(group, "rates/mean", group["rates/mean"][()] / 0.04)


def other_bins(group: h5py.Group) -> None:
    put(group, "rates/mean", group["rates/mean"][()][:, ::2])


def shifted(group: h5py.Group) -> None:
    put(group, "time_s", group["time_s"][()] + 0.2)


def fewer_units(group: h5py.Group) -> None:
    put(group, "unit_id", group["unit_id"][()][:-1])
    put(group, "rates/mean", group["rates/mean"][()][:, :, :-1])


def twice(group: h5py.Group) -> None:
    group["trial_id"][1] = group["trial_id"][0]


def fitted_to_all(group: h5py.Group) -> None:
    put(group, "split", [b"train"] * len(group["trial_id"]))


def logs(group: h5py.Group) -> None:
    put(group, "rates/mean", np.log(group["rates/mean"][()]))


def no_rates(group: h5py.Group) -> None:
    del group["rates"]


def another_animal(group: h5py.Group) -> None:
    group.file.move(group.name, "animals/lorenz-2/other")


REFUSED: list[tuple[Callable[[h5py.Group], None], str]] = [
    (in_hz, "a rate in Hz times 0.04 s is one"),
    (logs, "below zero"),
    (other_bins, "the same bin_s and window"),
    (shifted, "0.2 s from the recording's"),
    (fewer_units, "which this fit trains on"),
    (twice, "twice"),
    (fitted_to_all, "which is a validation trial here|which is a test trial here"),
    (no_rates, "has no rates/mean"),
    (another_animal, "there is: lorenz-2/other"),
]


@pytest.mark.parametrize(("change", "words"), REFUSED, ids=[change.__name__ for change, _ in REFUSED])
def test_rates_that_do_not_fit_the_recording_are_refused(
    lab: Path, tmp_path: Path, change: Callable[[h5py.Group], None], words: str
) -> None:
    path = changed(lab, tmp_path, change)
    with pytest.raises(DataError, match=words):
        read_rates(path, [session_of(lab)], counts=True, remark=pytest.fail)


def test_a_run_that_trained_on_what_is_held_out_here_may_not_teach(lab: Path) -> None:
    data = {**LORENZ_DATA, "split": {**LORENZ_DATA["split"], "seed": 1}}
    cohort = cohort_of(read_sessions(student(data=data), [lab / "lorenz-1.nwb"]))
    with pytest.raises(DataError, match=r"the same data\.split"):
        taught_by(student(lab / "run", data=data), cohort, "cpu", QUIET)


def test_a_fit_goes_on_with_the_very_teachers_that_it_was_begun_with(lab: Path) -> None:
    teacher = taught_by(student(lab / "run", lab / "rates.h5"), cohort_of([session_of(lab)]), "cpu", QUIET)
    assert teacher is not None
    begun = [file_sha256(lab / "rates.h5"), file_sha256(lab / "run" / "best.pt")]
    saved = replace(load(lab / "run"), training={"taught": begun})
    check_same_teacher(teacher, saved)
    for other in (None, begun[:1], [begun[0], "another fit into the same folder"]):
        with pytest.raises(DataError, match="begun with other teachers"):
            check_same_teacher(teacher, replace(saved, training={"taught": other}))


def test_names_are_found_beside_the_spec_or_from_here_and_no_run_teaches_itself(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = with_teachers(student("rates.h5", "ru*"), lab / "spec.yaml", (), tmp_path)
    assert spec.training.teacher is not None
    assert spec.training.teacher.rates == [str(lab / "rates.h5"), str(lab / "run")]
    with pytest.raises(UsageError, match="no such teacher"):
        with_teachers(spec, lab / "spec.yaml", ["rates.h5"], tmp_path)
    with pytest.raises(UsageError, match="cannot teach itself"):
        with_teachers(spec, lab / "spec.yaml", (), lab / "run")
    bare = Spec.model_validate({**spec.model_dump(), "training": {"teacher": {"weight": 0.25}}})
    with pytest.raises(UsageError, match="names no teacher"):
        with_teachers(bare, lab / "spec.yaml", (), tmp_path)
    named = with_teachers(bare, lab / "spec.yaml", [str(lab / "run")], tmp_path).training.teacher
    assert named is not None
    assert (named.rates, named.weight) == ([str(lab / "run")], 0.25)


def test_a_teacher_that_sees_behavior_teaches_a_student_that_sees_neurons_alone(tmp_path: Path) -> None:
    """The whole road: the student's folder says who taught it, and opens without its teacher."""
    paths = reach_files(tmp_path)
    finished_run(tmp_path / "teacher", paths, REACH_DATA, BRAIN, inputs=["neural", "behavior"])
    (tmp_path / "spec.yaml").write_text(spec_text(student(data=REACH_DATA)))
    request = FitRequest(
        spec=tmp_path / "spec.yaml",
        data=tuple(map(str, paths)),
        out=tmp_path / "student",
        teachers=(str(tmp_path / "teacher"),),
        device="cpu",
        quiet=True,
    )
    assert request.resume_command().count("--teacher") == 1
    spec, rows = train_run(request, QUIET)
    shutil.rmtree(tmp_path / "teacher")
    assert spec.inference.inputs == ["neural"]
    assert all(row.co_bps is not None for row in rows)
    known = json.loads((tmp_path / "student" / "summary.json").read_text())["provenance"]["input_sha256"]
    assert str(tmp_path / "teacher" / "best.pt") in known
    infer_run(tmp_path / "student", list(map(str, paths)), tmp_path / "out.h5", InferOptions(sources="neural"))
