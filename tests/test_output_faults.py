"""Outputs that cannot be written: one line, the exit code that means it, and nothing half left behind."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import pytest
from finished_run import REACH_DATA, REACH_MODEL, finished_run, reach_files
from stopped_command import ncyber

from ncyber_cli.errors import ResourceError, UsageError
from ncyber_cli.pipeline.run_folder import RunFolder
from ncyber_cli.spec import Spec
from ncyber_cli.spec_file import spec_text

ROOM = {"compare": 64}  # bytes that a file may have; elsewhere
MORE_ROOM = 4096  # which is less than any output but a spec
COMMANDS: dict[str, list[str]] = {
    "fit": ["fit", "spec.yaml", "reach-1.nwb", "reach-2.nwb", "--quiet"],
    "adapt": ["adapt", "run", "new/reach-1.nwb", "--epochs", "1", "--quiet"],
    "design": ["design", "run", "--cost", "end=1", "--objective", "0.1,0", "--updates", "1"],
    "infer": ["infer", "run", "reach-1.nwb"],
    "simulate": ["simulate", "run", "--trials", "2"],
    "evaluate": ["evaluate", "run", "reach-1.nwb", "reach-2.nwb", "--no-refit", "--quiet"],
    "compare": ["compare", "run"],
    "synth": ["synth", "lorenz", "--trials", "2"],
}
FOLDERS = {"fit", "adapt", "design", "evaluate", "synth"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    files = reach_files(folder)
    reach_files(folder / "new", trials=8)
    finished_run(folder / "run", files, REACH_DATA, REACH_MODEL)
    training = {"epochs": 1, "batch": 8}
    inference = {"hidden": 8, "samples": 3}
    spec = {"version": 1, "data": REACH_DATA, "model": REACH_MODEL, "inference": inference, "training": training}
    (folder / "spec.yaml").write_text(spec_text(Spec.model_validate(spec)))
    return folder


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != "lock")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_ends_every_command_that_writes(command: str, lab: Path, tmp_path: Path) -> None:
    ended = ncyber([*COMMANDS[command], "--out", tmp_path / "out"], lab, largest_file=ROOM.get(command, MORE_ROOM))
    last = ended.err.splitlines()[-1]
    assert ended.code == 7, ended.err
    assert last.startswith("error: ")
    assert "the disk is full; free space, raise the quota or choose a folder on another disk" in last
    assert not [name for name in left_in(tmp_path) if name.endswith((".pt", ".h5", ".nwb", ".ncyber-partial"))]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_parent_that_is_a_file_ends_every_command_that_writes(command: str, lab: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = ncyber([*COMMANDS[command], "--out", tmp_path / "file" / "out"], lab)
    assert ended.code == 7, ended.err
    last = ended.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert "Not a directory" in last or "File exists" in last


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - FOLDERS))
def test_a_folder_is_no_file_whatever_may_be_overwritten(command: str, lab: Path, tmp_path: Path) -> None:
    more = ["--overwrite"] if command != "compare" else []
    ended = ncyber([*COMMANDS[command], "--out", tmp_path, *more], lab)
    assert (ended.code, ended.err) == (2, f"error: {tmp_path}: is a folder; name a file\n")


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["infer", "run", "new/reach-1.nwb", "--out", "new/reach-1.nwb"], "new/reach-1.nwb"),
        (["infer", "run", "reach-1.nwb", "--out", "run/best.pt"], "run/best.pt"),
        (["simulate", "run", "reach-1.nwb", "--out", "reach-1.nwb"], "reach-1.nwb"),
        (["infer", "run", "named/sub-reach-1_ses-reach-1-seed0.nwb", "--out", "x.h5", "--nwb", "named"], "named/sub-"),
    ],
    ids=["recording", "checkpoint", "simulate", "NWB folder"],
)
def test_no_input_is_overwritten(words: list[str], where: str, lab: Path) -> None:
    (lab / "named").mkdir(exist_ok=True)
    named = lab / "named" / "sub-reach-1_ses-reach-1-seed0.nwb"
    named.write_bytes((lab / "reach-1.nwb").read_bytes())
    before = {path: path.read_bytes() for path in [*lab.glob("*.nwb"), *lab.glob("*/*.nwb"), lab / "run/best.pt"]}
    ended = ncyber([*words, "--overwrite"], lab)
    assert ended.code == 2, ended.err
    assert ended.err.splitlines()[-1].startswith(f"error: {where}")
    assert "is an input, which is never written to; choose another --out" in ended.err
    assert all(path.read_bytes() == content for path, content in before.items())
    assert not (lab / "x.h5").exists()


def test_nwb_files_that_are_there_are_found_before_anything_is_inferred(lab: Path, tmp_path: Path) -> None:
    (tmp_path / "sub-reach-1_ses-reach-1-seed0.nwb").touch()
    ended = ncyber([*COMMANDS["infer"], "--out", tmp_path / "r.h5", "--nwb", tmp_path], lab)
    assert ended.code == 2
    assert "sub-reach-1_ses-reach-1-seed0.nwb: exists already" in ended.err
    assert not (tmp_path / "r.h5").exists()


def refuse(number: int) -> Any:
    def refused(*_: Any, **__: Any) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refused


def test_a_read_only_folder_is_told(tmp_path: Path, lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "mkstemp", refuse(errno.EROFS))
    ended = ncyber([*COMMANDS["infer"], "--out", tmp_path / "r.h5"], lab)
    assert ended.code == 7
    assert ended.err.endswith("Read-only file system; choose another --out, or ask for the right to write there\n")


def test_adapt_and_design_keep_out_of_a_folder_that_a_fit_is_writing(lab: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with RunFolder(out).locked(resume=False, overwrite=False, remark=print):
        for command in ("fit", "adapt", "design"):
            ended = ncyber([*COMMANDS[command], "--out", out], lab)
            assert ended.code == 7, ended.err
            assert f"another fit (process {os.getpid()} on " in ended.err.splitlines()[-1]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_and_used(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse(number))
    said: list[str] = []
    with RunFolder(tmp_path).locked(resume=False, overwrite=False, remark=said.append):
        pass
    assert said == [f"warning: {tmp_path} is on a file system without locks: let no other fit write there"]


def test_what_has_ended_since_the_check_is_not_replaced(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.check(resume=False, overwrite=False)
    (tmp_path / "best.pt").touch()  # another fit, meanwhile
    with (
        pytest.raises(UsageError, match="holds a run already; replace it with --overwrite"),
        folder.locked(resume=False, overwrite=False, remark=print),
    ):
        pass


@pytest.mark.parametrize(
    ("there", "refused"),
    [
        (["lock", "spec.yaml", "metrics.jsonl"], False),  # killed before its first checkpoint
        (["spec.yaml"], True),  # a lab's own
        (["lock", "spec.yaml", "metrics.jsonl", "summary.json"], True),  # finished, and its checkpoints taken away
        (["lock", "best.pt"], True),
    ],
)
def test_only_a_fit_that_saved_nothing_may_be_begun_again_unasked(
    there: list[str], refused: bool, tmp_path: Path
) -> None:
    for name in there:
        (tmp_path / name).touch()
    for resume, what in ((False, "holds a run already"), (True, r"holds no last\.pt to go on from; begin again")):
        if resume or refused:
            with pytest.raises(UsageError, match=what):
                RunFolder(tmp_path).check(resume=resume, overwrite=False)
        else:
            RunFolder(tmp_path).check(resume=False, overwrite=False)


def test_two_fits_at_once_are_one(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with (
        folder.locked(resume=False, overwrite=False, remark=print),
        pytest.raises(ResourceError, match="is writing here"),
        folder.locked(resume=False, overwrite=False, remark=print),
    ):
        pass
