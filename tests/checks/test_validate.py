"""`validate` goes on after each failure, so that one run names everything there is to mend."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from command_line import ROOT, ncyber

SPEC = """\
version: 1
data:
  sessions: ['*.h5']
  bin_s: 0.1
  windows: {length_s: 2.0}
  neural:
    - {source: traces, time: clock, kind: calcium}
  behavior:
    speed: {source: speed, time: clock}
    angle: {source: angle, time: clock}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(SPEC)
    write(tmp_path / "a.h5", seed=0)
    write(tmp_path / "b.h5", seed=1)
    return tmp_path


def write(path: Path, seed: int, *without: str) -> None:
    """60 s of 20 traces and two signals on one clock."""
    rng = np.random.default_rng(seed)
    datasets = {
        "clock": np.arange(600) / 10,
        "traces": rng.normal(size=(600, 20)),
        "speed": rng.normal(size=600),
        "angle": rng.normal(size=600),
    }
    with h5py.File(path, "w") as file:
        for name in datasets.keys() - set(without):
            file[name] = datasets[name]


def test_sound_data_exits_0(folder: Path) -> None:
    ended = ncyber("validate", "spec.yaml", cwd=folder)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "spec.yaml: 0 errors, 0 warnings\n")


def test_a_spec_that_fails_exits_3_before_any_file_is_read(folder: Path) -> None:
    ended = ncyber("validate", "spec.yaml", "nowhere.h5", "--set", "data.bin_s=x", "--set", "modl=3", cwd=folder)
    assert ended.returncode == 3
    assert ended.stderr.splitlines() == [
        "error: --set data.bin_s: is x, write a number",
        "error: --set modl: unknown key, did you mean model?",
    ]


def test_every_reason_of_every_file_is_named_and_exits_4(folder: Path) -> None:
    write(folder / "a.h5", 0, "speed", "angle")
    (folder / "c.h5").write_bytes((folder / "b.h5").read_bytes())
    (folder / "d.h5").write_text("not a recording")
    ended = ncyber("validate", "spec.yaml", cwd=folder)
    assert ended.returncode == 4
    lines = ended.stdout.splitlines()
    for grade, file, words in [
        ("warning", "a.h5", "lacks behavior.speed"),  # b.h5 has it
        ("warning", "a.h5", "lacks behavior.angle"),
        ("error", "b.h5", "same bytes as c.h5"),
        ("error", "d.h5", "not an HDF5"),
    ]:
        assert [line for line in lines if line.startswith(grade) and file in line and words in line], (file, words)
    assert ended.stderr == "spec.yaml: 2 errors, 2 warnings\n"


def test_what_no_file_has_is_an_error_that_says_what_there_is(folder: Path) -> None:
    for name in "ab":
        write(folder / f"{name}.h5", 0 if name == "a" else 1, "speed")
    ended = ncyber("validate", "spec.yaml", cwd=folder)
    assert ended.returncode == 4
    (line,) = ended.stdout.splitlines()
    assert line.startswith("error: data behavior.speed: is in no file (a.h5: there is no dataset 'speed'")
    assert "there is: angle, clock, traces" in line


def test_json_names_grade_place_fault_and_remedy(folder: Path) -> None:
    write(folder / "a.h5", 0, "speed")
    ended = ncyber("validate", "spec.yaml", "a.h5", "--json", cwd=folder)
    assert ended.returncode == 4
    (finding,) = json.loads(ended.stdout)
    assert finding.keys() == {"where", "what", "remedy", "grade", "check"}
    assert finding["grade"] == "error"
    wrong = ncyber("validate", "spec.yaml", "--json", "--set", "data.bin_s=x", cwd=folder)
    assert wrong.returncode == 3
    assert json.loads(wrong.stdout)[0]["what"] == "--set data.bin_s: is x, write a number"


def test_without_recordings_the_spec_alone_is_checked() -> None:
    ended = ncyber("validate", ROOT / "example_configs" / "lorenz.yaml")
    assert ended.returncode == 0
    assert ended.stderr.startswith("no recordings are named, only the spec is checked")
