"""`design`: a run with another controller that costs less, and everything that a run is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import ncyber
from finished_run import LORENZ_DATA, REACH_DATA, REACH_MODEL, finished_run, lorenz_file, reach_files

from ncyber_cli.errors import NcyberError, UsageError
from ncyber_cli.pipeline.design import DesignOptions, design_run
from ncyber_cli.pipeline.design_cost import meanings, read_cost
from ncyber_cli.pipeline.infer import InferOptions, infer_run
from ncyber_cli.pipeline.open_run import open_run
from ncyber_cli.pipeline.simulate import SimulateOptions, simulate_run
from ncyber_cli.spec_file import load_spec
from ncyber_cli.training.checkpoint import load

FEW = {"updates": 10, "samples": 4, "steps": 12, "quiet": True}
GOALS = ("0.1,0.0", "-0.05,0.08")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return reach_files(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, files: list[Path]) -> dict[str, Path]:
    """Untrained runs by their controller; the body is hardly thrown about, so that it can be controlled."""
    folder = tmp_path_factory.mktemp("runs")
    made = {}
    for kind in ("setpoint", "mlp"):
        made[kind] = finished_run(folder / kind, files, REACH_DATA, {**REACH_MODEL, "controller": {"kind": kind}})
        path = made[kind] / "best.pt"
        content = torch.load(path, weights_only=True)
        content["model"]["loop.body.residual.scale"].mul_(0.1)
        torch.save(content, path)
    return made


@pytest.mark.parametrize("kind", ["setpoint", "mlp"])
def test_the_new_run_costs_less_and_differs_in_its_controller_alone(
    runs: dict[str, Path], tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    updates = {"setpoint": 10, "mlp": 60}[kind]  # without structure it takes longer to find out what helps
    options = DesignOptions(objectives=GOALS, **{**FEW, "updates": updates})
    design_run(runs[kind], "path=1,effort=1e-5", tmp_path / "new", options, as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert [row["animal"] for row in rows] == ["reach-1", "reach-2"]
    assert all(row["goals"] == 2 for row in rows)
    assert sum(row["cost_after"] - row["cost_before"] for row in rows) < 0
    for row in rows:
        assert row["low"] <= row["change"] <= row["high"]
        assert row["change"] == pytest.approx(row["cost_after"] - row["cost_before"])
    old, new = (load(folder / "best.pt").model_state for folder in (runs[kind], tmp_path / "new"))
    moved = [name for name in old if not torch.equal(old[name], new[name])]
    assert moved
    assert all(name.startswith("loop.controller.") for name in moved)


def test_the_new_run_is_a_run(runs: dict[str, Path], files: list[Path], tmp_path: Path) -> None:
    design_run(runs["setpoint"], "end=1,time=0.01", tmp_path / "new", DesignOptions(animals=("reach-2",), **FEW))
    assert load_spec(tmp_path / "new" / "spec.yaml") == open_run(runs["setpoint"], "best", "cpu").spec
    infer_run(tmp_path / "new", [str(files[0])], tmp_path / "i.h5", InferOptions())
    simulate_run(tmp_path / "new", [], tmp_path / "s.h5", SimulateOptions(trials=2))
    summary = json.loads((tmp_path / "new" / "summary.json").read_text())
    design = summary["design"]
    assert design["cost"] == {"end": 1.0, "time": 0.01}
    assert design["terms"]["end"] == "squared distance of the last position to the objective, m^2"
    assert design["objectives"] == "prior"
    assert set(design["tuned"]) == {"factor", "stiffness", "damping", "bound", "gate"}
    assert [row["animal"] for row in summary["animals"]] == ["reach-2"]
    assert list(summary["provenance"]["input_sha256"]) == [str(runs["setpoint"] / "best.pt")]


def test_what_was_designed_is_as_good_as_it_gets(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Designing again for the same task, with the same noise, has little left to gain and loses nothing."""
    costs = []
    for source, target in ((runs["setpoint"], "first"), (tmp_path / "first", "second")):
        options = DesignOptions(objectives=GOALS, **{**FEW, "updates": 12})
        design_run(source, "path=1,effort=1e-4", tmp_path / target, options, as_json=True)
        costs.append(sum(row["cost_after"] for row in json.loads(capsys.readouterr().out)))
    assert costs[1] <= 1.01 * costs[0]


def test_a_goal_may_move(runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "goal.csv").write_text("x,y\n" + "0.1,0\n" * 8 + "0,0.1\n")
    options = DesignOptions(objectives=(str(tmp_path / "goal.csv"), "0,0"), **{**FEW, "updates": 1})
    design_run(runs["setpoint"], "path=1", tmp_path / "new", options)
    assert json.loads((tmp_path / "new" / "summary.json").read_text())["animals"][0]["goals"] == 2


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        ("end=1,efort=1", "there is no term 'efort'; did you mean effort"),
        ("end", "--cost end: is no weight; write name=number"),
        ("end=-1", "is no weight"),
        ("end=nan", "is no weight"),
        ("end=1,end=2", "is written twice"),
        ("end=0,path=0", "every weight is zero"),
        ("", "there is no term ''"),
    ],
)
def test_a_cost_that_is_none_is_refused(runs: dict[str, Path], cost: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        read_cost(cost, open_run(runs["setpoint"], "best", "cpu"))


def test_terms_are_explained_in_the_runs_units(runs: dict[str, Path]) -> None:
    found = open_run(runs["setpoint"], "best", "cpu")
    told = meanings(read_cost("effort=1, end_speed=2, jerk=1, time=0", found), found)
    assert [text.rpartition(", ")[2] for text in told.values()] == ["(m/s^2)^2", "(m/s)^2", "((m/s^2)/s)^2", "s"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tune": ("stifness",)}, "the controller has no 'stifness'; did you mean stiffness"),
        ({"objectives": ("0.1",)}, "this run's objective has 2 dimensions"),
        ({"animals": ("reach-9",)}, "unknown animal"),
    ],
)
def test_options_that_do_not_fit_the_run_are_refused(
    runs: dict[str, Path], tmp_path: Path, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        design_run(runs["setpoint"], "end=1", tmp_path / "new", DesignOptions(**options))
    assert not (tmp_path / "new").exists()


def test_no_run_is_overwritten_unasked_and_never_its_own(runs: dict[str, Path], tmp_path: Path) -> None:
    run = runs["setpoint"]
    with pytest.raises(UsageError, match="is the run itself"):
        design_run(run, "end=1", run, DesignOptions(overwrite=True))
    with pytest.raises(UsageError, match="holds a run already"):
        design_run(run, "end=1", runs["mlp"], DesignOptions())


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ({"brain": {"kind": "linear", "latents": 3}}, "has no body to be controlled"),
        ({"brain": {"kind": "linear", "latents": 3}, "controller": {"kind": "setpoint"}}, "has no body"),
    ],
)
def test_a_model_without_body_is_refused(tmp_path: Path, model: dict[str, Any], text: str) -> None:
    run = finished_run(tmp_path / "run", lorenz_file(tmp_path), LORENZ_DATA, model)
    with pytest.raises(NcyberError, match=text):
        design_run(run, "end=1", tmp_path / "new", DesignOptions())


def test_a_linear_body_has_no_end_speed(tmp_path: Path, files: list[Path]) -> None:
    run = finished_run(tmp_path / "run", files, REACH_DATA, {**REACH_MODEL, "body": {"kind": "linear"}})
    with pytest.raises(UsageError, match="a linear body's velocity is not among its states"):
        design_run(run, "end=1,end_speed=1", tmp_path / "new", DesignOptions())
    design_run(run, "end=1", tmp_path / "new", DesignOptions(**{**FEW, "updates": 2}))


def test_on_the_command_line(runs: dict[str, Path], tmp_path: Path) -> None:
    words = ("--objective=-0.05,0.02", "--objective", "0.1,0", "--steps", "12", "--updates", "2", "--samples", "2")
    ended = ncyber("design", runs["setpoint"], "--cost", "end=1,effort=1e-3", "--out", "new", *words, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].split() == [
        *("animal", "goals", "samples", "cost", "before", "cost", "after", "change", "95", "%", "interval"),
    ]
    assert lines[-1] == "wrote new/best.pt, summary.json     next: ncyber simulate new --out rollout.h5"
