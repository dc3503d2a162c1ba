"""`ncyber fit` as a user and a cluster run it."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import ENVIRONMENT, ncyber
from finished_run import REACH_DATA, REACH_MODEL, reach_files

from ncyber_cli.outputs.metrics_log import read_metrics
from ncyber_cli.spec import Spec
from ncyber_cli.spec_file import spec_text


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec and recordings of two animals."""
    folder = tmp_path_factory.mktemp("lab")
    reach_files(folder)
    training = {"epochs": 40, "batch": 4}
    inference = {"hidden": 8, "samples": 3}
    spec = {"version": 1, "data": REACH_DATA, "model": REACH_MODEL, "inference": inference, "training": training}
    (folder / "spec.yaml").write_text(spec_text(Spec.model_validate(spec)))
    return folder


def first_epoch(process: subprocess.Popen[str], log: Path) -> None:
    """Wait until a fit has finished an epoch."""
    until = time.monotonic() + 120
    while not (log.exists() and read_metrics(log)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_killed_job_says_how_to_go_on_and_going_on_works(lab: Path) -> None:
    """The same metrics as a fit that was left alone."""
    arguments = ["spec.yaml", "reach-1.nwb", "reach-2.nwb", "--seed", "3"]
    command = [sys.executable, "-m", "ncyber_cli", "fit", *arguments, "--out", "stopped run"]
    process = subprocess.Popen(
        command, cwd=lab, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    first_epoch(process, lab / "stopped run" / "metrics.jsonl")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + signal.SIGTERM, "")
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("error: stopped by SIGTERM, everything is saved in stopped run; go on with: ncyber fit ")
    words = shlex.split(last.partition("go on with: ")[2])
    resumed = ncyber(*words[1:], "--json", cwd=lab)
    assert resumed.returncode == 0, resumed.stderr
    alone = ncyber("fit", *arguments, "--out", "alone", "--json", cwd=lab)
    assert alone.returncode == 0, alone.stderr
    without_time = [
        [{**line, "seconds": 0} for line in read_metrics(lab / run / "metrics.jsonl")] for run in ("stopped run", "alone")
    ]
    assert without_time[0] == without_time[1]
    assert len(without_time[0]) == 40
    rows = [[{**row, "run": ""} for row in json.loads(ended.stdout)] for ended in (resumed, alone)]
    assert rows[0] == rows[1]


def test_refusals_have_their_exit_codes_and_write_nothing(lab: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.pt").touch()
    fit = ["fit", str(lab / "spec.yaml")]
    data = str(lab / "*.nwb")
    for arguments, code, what in (
        ([*fit, data, "--out", "run"], 2, "holds a run already"),
        ([*fit, data, "--out", "run", "--resume", "--overwrite"], 2, "exclude each other"),
        ([*fit, "--out", "other"], 2, "no recordings are named"),
        ([*fit, "absent.nwb", "--out", "other"], 4, "matches no file"),
        ([*fit, data, "--out", "other", "--set", "training.epochs=0"], 3, "training.epochs"),
    ):
        ended = ncyber(*arguments, cwd=tmp_path)
        assert (ended.returncode, ended.stdout) == (code, "")
        assert what in ended.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "best.pt"]
