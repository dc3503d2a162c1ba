"""`ncyber fit` as a user and a cluster run it."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import ENVIRONMENT
from finished_run import REACH_DATA, REACH_MODEL, reach_files

from ncyber_cli import cli
from ncyber_cli.outputs.metrics_log import read_metrics
from ncyber_cli.spec import Spec
from ncyber_cli.spec_file import spec_text

EPOCHS = 8


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec and recordings of two animals."""
    folder = tmp_path_factory.mktemp("lab")
    reach_files(folder)
    training = {"epochs": EPOCHS, "batch": 2}
    inference = {"hidden": 8, "samples": 3}
    spec = {"version": 1, "data": REACH_DATA, "model": REACH_MODEL, "inference": inference, "training": training}
    (folder / "spec.yaml").write_text(spec_text(Spec.model_validate(spec)))
    return folder


@pytest.fixture
def here(lab: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command line in this very process and folder: words in, exit code out."""

    def ncyber(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["ncyber", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0)

    return ncyber


def stopped_after_an_epoch(words: list[str], folder: Path, log: Path) -> subprocess.CompletedProcess[str]:
    """A fit in a process of its own, told by SIGTERM to stop."""
    command = [sys.executable, "-m", "ncyber_cli", *words]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True)
    until = time.monotonic() + 120
    while not (log.exists() and read_metrics(log)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_a_killed_job_says_how_to_go_on_and_going_on_works(
    lab: Path, here: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with the numbers of a fit that was left alone."""
    words = ["fit", "spec.yaml", "reach-1.nwb", "reach-2.nwb", "--seed", "3"]
    ended = stopped_after_an_epoch([*words, "--out", "stopped run"], lab, lab / "stopped run" / "metrics.jsonl")
    assert (ended.returncode, ended.stdout) == (128 + signal.SIGTERM, "")
    assert "Traceback" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("error: stopped by SIGTERM, everything is saved in stopped run; go on with: ncyber fit ")
    monkeypatch.chdir(lab)
    found = []
    for run, command in (
        ("stopped run", shlex.split(last.partition("go on with: ncyber ")[2])),
        ("alone", [*words, "--out", "alone"]),
    ):
        assert here(*command, "--json", "--quiet") == 0
        log = [{**line, "seconds": 0, "cpu_s": 0} for line in read_metrics(lab / run / "metrics.jsonl")]
        found.append((log, [{**row, "run": ""} for row in json.loads(capsys.readouterr().out)]))
    assert found[0] == found[1]
    assert len(found[0][0]) == EPOCHS


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["reach-*.nwb", "--out", "taken"], 2, "holds a run already"),
        (["reach-*.nwb", "--out", "taken", "--resume", "--overwrite"], 2, "exclude each other"),
        (["--out", "new"], 2, "no recordings are named"),
        (["absent.nwb", "--out", "new"], 4, "matches no file"),
        (["reach-*.nwb", "--out", "new", "--set", "training.epochs=0"], 3, "training.epochs"),
    ],
)
def test_refusals_have_their_exit_codes_and_write_nothing(
    words: list[str], code: int, what: str, lab: Path, here: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "best.pt").touch()
    for path in lab.glob("*.nwb"):
        (tmp_path / path.name).symlink_to(path)
    assert here("fit", str(lab / "spec.yaml"), *words) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert what in said.err
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["best.pt"]
