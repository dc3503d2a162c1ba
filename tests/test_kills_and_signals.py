"""Killed or told to stop at any moment, a command loses nothing and says how to go on; nothing half is taken for whole.

tests/benchmarks/kill.py kills at random; here the moments are chosen.
"""

from __future__ import annotations

import json
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from finished_run import REACH_DATA, REACH_MODEL, reach_files
from same import assert_same
from stopped_command import Moment, ncyber

from ncyber_cli.outputs.metrics_log import read_metrics
from ncyber_cli.outputs.read_results import read_results
from ncyber_cli.pipeline.fit import FitRequest, run_fit
from ncyber_cli.pipeline.infer import InferOptions, infer_run
from ncyber_cli.spec import Spec
from ncyber_cli.spec_file import spec_text
from ncyber_cli.training import starts
from ncyber_cli.training.checkpoint import load

FIT = ["fit", "spec.yaml", "reach-1.nwb", "reach-2.nwb", "--device", "cpu", "--quiet"]
INFER = ["infer", "whole", "reach-1.nwb", "reach-2.nwb", "--device", "cpu"]
# The first save of a fit is after its first warm start; last.pt is written before best.pt.
MOMENTS = {
    "reading": Moment("ncyber_cli.pipeline.sessions:read_session", 2),
    "warm start": Moment("ncyber_cli.training.starts:warm_start"),
    "first checkpoint": Moment("torch:save"),
    "between last.pt and best.pt": Moment("torch:save", 2),
    "first step": Moment("ncyber_cli.training.loop:train_step", 1),
    "second epoch": Moment("ncyber_cli.training.loop:train_step", 5),
    "warm start of the second start": Moment("ncyber_cli.training.starts:warm_start", 2),
    "readers": Moment("ncyber_cli.training.learn_to_read:_Lesson.causal_step"),
    "last checkpoint": Moment("torch:save", 8),
    "scoring": Moment("ncyber_cli.pipeline.fit:summaries"),
    "summary": Moment("ncyber_cli.pipeline.fit:write_summary"),
}


OFTEN = ("between last.pt and best.pt", "second epoch", "readers", "summary")  # the others only with -m slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings of two animals, a spec with two starts, and the run `whole` that was left alone.

    It is made in this very process: what torch and others set up at their first use, the forked ones need not.
    """
    folder = tmp_path_factory.mktemp("lab")
    reach_files(folder)
    training = {"epochs": 2, "batch": 4, "starts": 2}
    inference = {"hidden": 8, "samples": 3}
    spec = {"version": 1, "data": REACH_DATA, "model": REACH_MODEL, "inference": inference, "training": training}
    (folder / "spec.yaml").write_text(spec_text(Spec.model_validate(spec)))
    data = [str(folder / f"reach-{animal}.nwb") for animal in (1, 2)]
    run_fit(FitRequest(folder / "spec.yaml", tuple(data), folder / "whole", device="cpu", quiet=True))
    infer_run(folder / "whole", data, folder / "whole.h5", InferOptions(device="cpu", nwb=folder / "nwb"))
    return folder


def state_of(run: Path) -> Any:
    """Everything that a run says, but for times and the command line."""
    summary = json.loads((run / "summary.json").read_text())
    summary["provenance"].pop("command")
    log = [{**line, "seconds": None, "cpu_s": None} for line in read_metrics(run / "metrics.jsonl")]
    checkpoints = {name: load(run / name) for name in ("best.pt", "last.pt")}
    weights = {name: (each.model_state, each.training) for name, each in checkpoints.items()}
    return summary, log, weights


def partials(folder: Path) -> list[Path]:
    return list(folder.rglob("*.ncyber-partial"))


def fit_again(lab: Path, run: Path) -> None:
    """As the README's line for SLURM does; the run must then be the one that was left alone."""
    resume = ["--resume"] if (run / "last.pt").exists() else []
    ended = ncyber([*FIT, "--out", run, *resume], lab)
    assert ended.code == 0, ended.err
    assert_same(state_of(run), state_of(lab / "whole"))
    assert partials(run) == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in OFTEN else [pytest.mark.slow]) for name in MOMENTS]
)
def test_a_fit_that_was_killed_is_the_fit_that_was_not(name: str, lab: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert ncyber([*FIT, "--out", run], lab, MOMENTS[name], signal.SIGKILL).code == -signal.SIGKILL
    for checkpoint in run.glob("*.pt"):
        load(checkpoint)
    assert not (run / "summary.json").exists()
    fit_again(lab, run)


@pytest.mark.parametrize(
    ("name", "number", "saved"),
    [
        ("reading", signal.SIGINT, False),
        ("warm start", signal.SIGTERM, False),
        ("first checkpoint", signal.SIGUSR1, True),
        ("readers", signal.SIGTERM, True),
        ("summary", signal.SIGUSR1, True),
    ],
)
def test_a_signal_in_any_phase_of_a_fit_is_told(
    name: str, number: signal.Signals, saved: bool, lab: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    ended = ncyber([*FIT, "--out", run], lab, MOMENTS[name], number)
    assert ended.code == 128 + number
    line = ended.err.splitlines()[-1]
    assert line.startswith(f"error: stopped by {number.name}")
    assert ("--resume" in line) == saved == (run / "last.pt").exists()
    assert saved or "type the same command again" in line
    assert partials(run) == []
    if name == "readers":
        fit_again(lab, run)


def datasets(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with read_results(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


@pytest.mark.parametrize(
    "moment",
    [
        Moment("ncyber_cli.pipeline.infer:_moments", 2),
        Moment("ncyber_cli.pipeline.infer:label_objectives"),
        Moment("os:replace", 1),
        Moment("ncyber_cli.outputs.results_nwb:_write_session", 2),
    ],
    ids=["second session", "labels", "renaming", "second NWB file"],
)
def test_a_killed_infer_leaves_nothing_half_and_runs_again(moment: Moment, lab: Path, tmp_path: Path) -> None:
    words = [*INFER, "--out", tmp_path / "r.h5", "--nwb", tmp_path / "nwb"]
    assert ncyber(words, lab, moment, signal.SIGKILL).code == -signal.SIGKILL
    written = (tmp_path / "r.h5").exists()
    ended = ncyber([*words, *(["--overwrite"] if written else [])], lab)
    assert ended.code == 0, ended.err
    assert same_results(lab, tmp_path)


def same_results(lab: Path, folder: Path) -> bool:
    """Whether what infer wrote is what it wrote when it was left alone, to the bit, and nothing else is there."""
    one, other = datasets(folder / "r.h5"), datasets(lab / "whole.h5")
    same = one.keys() == other.keys() and all(
        np.array_equal(values, other[name], equal_nan=values.dtype.kind == "f") for name, values in one.items()
    )
    names = [sorted(path.name for path in place.iterdir()) for place in (folder / "nwb", lab / "nwb")]
    return same and names[0] == names[1] and not partials(folder)


@pytest.mark.slow
def test_nothing_is_lost_at_thirty_random_moments(lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill in each twentieth of a fit of two starts and each tenth of infer, checkpoints at every epoch's end."""
    rng = np.random.default_rng(1)
    monkeypatch.setattr(starts, "_SAVE_EVERY_S", 0.0)
    alone = ncyber([*FIT, "--out", tmp_path / "alone"], lab).cpu_s
    killed = 0
    for number in range(20):
        run = tmp_path / f"run-{number}"
        ended = ncyber([*FIT, "--out", run], lab, kill_at_cpu_s=alone * (number + rng.uniform()) / 20)
        killed += ended.code == -signal.SIGKILL
        for checkpoint in run.glob("*.pt"):
            load(checkpoint)
        fit_again(lab, run)
    alone = ncyber([*INFER, "--out", tmp_path / "alone.h5", "--nwb", tmp_path / "alone"], lab).cpu_s
    for number in range(10):
        out = tmp_path / f"infer-{number}"
        words = [*INFER, "--out", out / "r.h5", "--nwb", out / "nwb"]
        ended = ncyber(words, lab, kill_at_cpu_s=alone * (number + rng.uniform()) / 10)
        killed += ended.code == -signal.SIGKILL
        if (out / "r.h5").exists():
            datasets(out / "r.h5")  # complete, or refused
        ended = ncyber([*words, *(["--overwrite"] if (out / "r.h5").exists() else [])], lab)
        assert ended.code == 0, ended.err
        assert same_results(lab, out)
    print(f"{killed} of 30 were killed before they ended")
    assert killed >= 26


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_ends_a_command_that_writes_one_file_and_leaves_nothing(
    number: signal.Signals, lab: Path, tmp_path: Path
) -> None:
    ended = ncyber([*INFER, "--out", tmp_path / "r.h5"], lab, Moment("ncyber_cli.pipeline.infer:_moments"), number)
    assert ended.code == 128 + number
    said = f"error: stopped by {number.name}, no unfinished file is kept; type the same command again"
    assert ended.err.splitlines()[-1] == said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_second_command_goes_on_where_a_killed_adaptation_was(lab: Path, tmp_path: Path) -> None:
    """`adapt` takes files that the run has not seen."""
    reach_files(tmp_path / "new", trials=8)
    new = tmp_path / "new" / "reach-1.nwb"
    words = ["adapt", "whole", new, "--device", "cpu", "--quiet", "--epochs", "2", "--out"]
    ended = ncyber([*words, tmp_path / "whole"], lab)
    assert ended.code == 0, ended.err
    for name in ("first step", "summary"):
        run = tmp_path / name
        assert ncyber([*words, run], lab, MOMENTS[name], signal.SIGKILL).code == -signal.SIGKILL
        ended = ncyber([*words, run, *(["--resume"] if (run / "last.pt").exists() else [])], lab)
        assert ended.code == 0, ended.err
        assert_same(state_of(run), state_of(tmp_path / "whole"))
        shutil.rmtree(run)


@pytest.mark.parametrize(
    "moment",
    [pytest.param(Moment("torch:save"), marks=pytest.mark.slow), Moment("ncyber_cli.pipeline.design:write_summary")],
)
def test_a_killed_design_leaves_a_folder_that_can_be_written_again(moment: Moment, lab: Path, tmp_path: Path) -> None:
    words = ["design", "whole", "--cost", "end=1", "--objective", "0.1,0", "--updates", "1", "--out", tmp_path / "d"]
    assert ncyber(words, lab, moment, signal.SIGKILL).code == -signal.SIGKILL
    written = (tmp_path / "d" / "best.pt").exists()
    ended = ncyber([*words, *(["--overwrite"] if written else [])], lab)
    assert ended.code == 0, ended.err
    assert partials(tmp_path) == []


@pytest.mark.slow
def test_an_evaluation_that_is_stopped_and_killed_goes_on_with_its_refits(lab: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    words = ["evaluate", "whole", "reach-1.nwb", "reach-2.nwb", "--device", "cpu", "--quiet", "--out", out]
    ended = ncyber(words, lab, Moment("ncyber_cli.training.loop:train_step", 2), signal.SIGUSR1)
    assert ended.code == 128 + signal.SIGUSR1, ended.err
    assert ended.err.splitlines()[-1].endswith(f"go on with: ncyber {shlex.join(map(str, words))}")
    assert ncyber(words, lab, Moment("ncyber_cli.pipeline.evaluate:write_text", 2), signal.SIGKILL).code < 0
    assert not (out / "metrics.json").exists()
    before = (out / "ablations/mlp-seed0/summary.json").stat().st_mtime_ns
    ended = ncyber(words, lab)
    assert ended.code == 0, ended.err
    assert (out / "metrics.json").exists()
    assert (out / "ablations/mlp-seed0/summary.json").stat().st_mtime_ns == before
    assert partials(out) == []
