"""`fit` from files to a run's folder: what it writes, what it refuses, and that a refusal changes nothing."""

from __future__ import annotations

import fcntl
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finished_run import REACH_DATA, REACH_MODEL, reach_files

from ncyber_cli.errors import DataError, ResourceError, UsageError
from ncyber_cli.outputs.metrics_log import read_metrics
from ncyber_cli.pipeline.fit import FitRequest, run_fit
from ncyber_cli.pipeline.infer import InferOptions, infer_run
from ncyber_cli.spec import Spec
from ncyber_cli.spec_file import load_spec, spec_text
from ncyber_cli.training.checkpoint import load, restore

TRAINING = {"epochs": 2, "batch": 8}


def write_spec(folder: Path, **training: Any) -> Path:
    """A spec that reads the recordings beside it."""
    spec = Spec.model_validate(
        {
            "version": 1,
            "data": {**REACH_DATA, "sessions": ["recordings/*.nwb"]},
            "model": REACH_MODEL,
            "inference": {"hidden": 8, "samples": 3},
            "training": {**TRAINING, **training},
        }
    )
    (folder / "spec.yaml").write_text(spec_text(spec))
    return folder / "spec.yaml"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec, recordings of two animals, and a finished run."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "recordings").mkdir()
    reach_files(folder / "recordings")
    run_fit(FitRequest(write_spec(folder), (), folder / "run", quiet=True))
    return folder


@pytest.fixture
def request_(lab: Path, tmp_path: Path) -> FitRequest:
    """A fit of the lab's recordings into a new folder."""
    return FitRequest(lab / "spec.yaml", (), tmp_path / "run", quiet=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_holds_what_is_promised(lab: Path) -> None:
    run = lab / "run"
    assert {path.name for path in run.iterdir()} == {
        *("best.pt", "last.pt", "metrics.jsonl", "summary.json", "spec.yaml", "lock")
    }
    assert [line["epoch"] for line in read_metrics(run / "metrics.jsonl")] == [1, 2]
    spec = load_spec(run / "spec.yaml")
    assert spec == load(run / "best.pt").spec
    assert spec.data.sessions == [str(lab / "recordings" / f"reach-{animal}.nwb") for animal in (1, 2)]


def test_the_summary_says_what_was_found_and_what_from(lab: Path) -> None:
    summary = json.loads((lab / "run" / "summary.json").read_text())
    assert [animal["animal"] for animal in summary["animals"]] == ["reach-1", "reach-2"]
    for animal in summary["animals"]:
        assert (animal["trials"], animal["neurons"]) == (4, 20)
        assert animal["objective"] == "target position, 2-D, in m"
        assert np.isfinite([animal["co_bps"], animal["co_bps_null"], animal["behavior_r2"]]).all()
        units = {name: constant["unit"] for name, constant in animal["constants"].items()}
        assert units == {
            **{"stiffness": "1/s^2", "damping": "1/s", "bound": "m/s^2"},
            **{"muscle_lag": "s", "mass": "kg", "feedback_delay": "s"},
        }
        assert all(np.all(np.asarray(constant["log_sd"]) > 0) for constant in animal["constants"].values())
        assert all("within one standard deviation" in words for words in animal["not_told_apart"])
    (start,) = summary["starts"]
    assert set(start["signs"]) == {"residual_share", "time_constant_s", "pull"}
    assert summary["epoch_chosen_on"] == "validation"
    assert summary["parameters"] > 1000
    assert len(summary["provenance"]["input_sha256"]) == 2


def test_bits_per_spike_are_those_of_infer(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    infer_run(lab / "run", [str(lab / "recordings/*.nwb")], tmp_path / "r.h5", InferOptions(), as_json=True)
    rows = json.loads(capsys.readouterr().out)
    summary = json.loads((lab / "run" / "summary.json").read_text())
    for row, animal in zip(rows, summary["animals"], strict=True):
        assert animal["co_bps"] == pytest.approx(row["co_bps"], abs=1e-9)
        assert animal["co_bps_null"] == pytest.approx(row["co_bps_null"], abs=1e-9)


def test_results_are_on_stdout_and_talk_is_on_stderr(request_: FitRequest, capsys: pytest.CaptureFixture[str]) -> None:
    run_fit(replace(request_, quiet=False))
    said = capsys.readouterr()
    lines = said.out.splitlines()
    head = ["animal", "trials", "neurons", "co-bps (null)", "behavior R2", "objective"]
    assert re.split(r"\s{2,}", lines[0]) == head
    assert [line.split()[0] for line in lines] == ["animal", "reach-1", "reach-2", "wrote", "next:", "does"]
    assert lines[3] == f"wrote {request_.out}/best.pt, metrics.jsonl, summary.json"
    assert f"ncyber infer {request_.out} " in lines[4]
    assert "epoch 2/2" in said.err


def test_a_dry_run_reads_everything_and_writes_nothing(
    request_: FitRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    run_fit(replace(request_, dry_run=True))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:3]] == [
        [f"reach-{animal}", f"reach-{animal}-seed0", "5", "1", "4", "20", "20", "4"] for animal in (1, 2)
    ]
    parameters = sum(p.numel() for p in restore(load(request_.spec.parent / "run")).parameters() if p.requires_grad)
    assert lines[3].startswith(f"{parameters} parameters, 1 x 2 epochs on cpu")
    assert not request_.out.exists()


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({}, "holds a run already; go on with --resume, replace it with --overwrite"),
        ({"resume": True, "seed": 1}, "was begun with seed 0, not 1"),
        ({"resume": True, "overrides": ("training.epochs=3",)}, "was begun with another training.epochs"),
    ],
)
def test_a_run_is_not_replaced_or_changed_unasked(lab: Path, changed: dict[str, Any], what: str) -> None:
    before = contents(lab / "run")
    with pytest.raises(UsageError, match=what) as refused:
        run_fit(FitRequest(lab / "spec.yaml", (), lab / "run", quiet=True, **changed))
    assert refused.value.exit_code == 2
    after = contents(lab / "run")
    assert {name for name in before if before[name] != after[name]} <= {"lock"}


def test_a_run_goes_on_only_with_its_own_recordings(lab: Path) -> None:
    data = (str(lab / "recordings/reach-1.nwb"),)
    with pytest.raises(DataError, match="not those that the fit was begun with"):
        run_fit(FitRequest(lab / "spec.yaml", data, lab / "run", resume=True, quiet=True))


def test_there_must_be_something_to_go_on_from(request_: FitRequest) -> None:
    with pytest.raises(UsageError, match=r"holds no last\.pt to go on from"):
        run_fit(replace(request_, resume=True))


def test_overwriting_replaces_the_run_and_nothing_else(request_: FitRequest) -> None:
    request_.out.mkdir()
    (request_.out / "notes.txt").write_text("mine")
    (request_.out / "summary.json").write_text("old")
    with pytest.raises(UsageError, match="holds a run already"):
        run_fit(request_)
    run_fit(replace(request_, overwrite=True))
    assert (request_.out / "notes.txt").read_text() == "mine"
    assert (request_.out / "summary.json").read_text().startswith("{")


def test_a_finished_run_resumed_says_the_same_again(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = lab / "run"
    before = contents(run)
    run_fit(FitRequest(lab / "spec.yaml", (), run, resume=True, as_json=True, quiet=True))
    rows = json.loads(capsys.readouterr().out)
    assert [row["co_bps"] for row in rows] == [a["co_bps"] for a in json.loads(before["summary.json"])["animals"]]
    assert (run / "metrics.jsonl").read_bytes() == before["metrics.jsonl"]


def test_one_fit_at_a_time(request_: FitRequest) -> None:
    request_.out.mkdir()
    with open(request_.out / "lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write("1234\n")
        other.flush()
        with pytest.raises(ResourceError, match=r"another fit \(process 1234\) is writing here") as refused:
            run_fit(request_)
    assert refused.value.exit_code == 7
    run_fit(request_)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(request_: FitRequest) -> None:
    with pytest.raises(UsageError, match="no CUDA device"):
        run_fit(replace(request_, device="cuda"))
