"""`adapt`: a run of new animals, whose shared parts are those of the run it came from to the bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import ncyber
from finished_run import LORENZ_DATA, REACH_DATA, REACH_MODEL, finished_run, lorenz_file, reach_files

from ncyber_cli.data.recording import TRAIN, VALIDATION
from ncyber_cli.errors import CheckpointError, DataError, NcyberError, UsageError
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.pipeline import learning_curve
from ncyber_cli.pipeline.adapt import AdaptRequest, adapt_run
from ncyber_cli.pipeline.evaluate import EvaluateOptions, evaluate_run
from ncyber_cli.pipeline.infer import InferOptions, infer_run
from ncyber_cli.pipeline.simulate import SimulateOptions, simulate_run
from ncyber_cli.training.checkpoint import load, save
from ncyber_cli.training.own_parts import own_names
from ncyber_cli.worlds import lorenz, reach
from ncyber_cli.worlds.to_nwb import save_animal


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of three animals, and a run of the first two."""
    folder = tmp_path_factory.mktemp("lab")
    files = reach_files(folder)
    save_animal(reach.simulate(seed=0, animal=2, trials=10, units=24), folder / "reach-3.nwb")
    finished_run(folder / "run", files, REACH_DATA, REACH_MODEL)
    return folder


@pytest.fixture
def request_(lab: Path, tmp_path: Path) -> AdaptRequest:
    data = (str(lab / "reach-3.nwb"),)
    return AdaptRequest(lab / "run", data, tmp_path / "new", trials=3, epochs=2, device="cpu", quiet=True)


@pytest.fixture(scope="module")
def adapted(lab: Path) -> Path:
    data = (str(lab / "reach-3.nwb"),)
    adapt_run(AdaptRequest(lab / "run", data, lab / "new", trials=3, epochs=2, device="cpu", quiet=True))
    return lab / "new"


def test_all_that_is_shared_stays_and_what_is_not_learns(lab: Path, adapted: Path) -> None:
    old, new = load(lab / "run"), load(adapted)
    model = assemble(new.spec, new.layout, torch.Generator().manual_seed(0))
    own = own_names(model)
    for name, value in new.model_state.items():
        if name not in own and name != "readers._extra_state":
            same = torch.equal(value, old.model_state[name])
            assert same or name == "readers.causal_width", name
    assert new.model_state["loop.controller.stiffness.deviation"].abs().max() > 0
    assert new.model_state["loop.brain.individuals.animals.mean"].abs().max() > 0
    assert new.layout.animals == ["reach-3"]
    assert new.layout.objective_sd == old.layout.objective_sd
    split = np.array(new.layout.sessions[0].split)
    assert ((split == TRAIN).sum(), (split == VALIDATION).sum()) == (3, 3)  # five to train, one to choose


def test_what_few_trials_leave_open_of_readouts_is_kept(adapted: Path, request_: AdaptRequest) -> None:
    adapt_run(replace(request_, trials=5))
    few, more = (load(run).model_state["loop.emission.uncertainty.factor"] for run in (adapted, request_.out))
    n_unit = len(load(adapted).layout.sessions[0].unit_id)
    assert (few[0, :n_unit].square().sum((1, 2)) > more[0, :n_unit].square().sum((1, 2))).float().mean() > 0.9


def test_the_new_run_is_a_run_that_says_where_it_comes_from(lab: Path, adapted: Path, tmp_path: Path) -> None:
    data = [str(lab / "reach-3.nwb")]
    infer_run(adapted, data, tmp_path / "smoothed.h5", InferOptions())
    infer_run(adapted, data, tmp_path / "causal.h5", InferOptions(causal=True))
    simulate_run(adapted, [], tmp_path / "rollout.h5", SimulateOptions(trials=2))
    with pytest.raises(UsageError, match="write --no-refit"):
        evaluate_run(adapted, data, tmp_path / "report", EvaluateOptions())
    summary = json.loads((adapted / "summary.json").read_text())
    assert summary["adapted_from"]["run"] == str(lab / "run" / "best.pt")
    assert summary["adapted_from"]["animals"] == ["reach-1", "reach-2"]
    assert summary["epoch_chosen_on"] == "none, the last is kept"
    [row] = summary["animals"]
    assert row["animal"] == "reach-3"
    assert np.isfinite([row["co_bps"], row["co_bps_null"]]).all()
    [alignment] = summary["alignment"]
    assert alignment["areas"]["brain"]["by"] in ("averages", "dynamics", None)


def test_the_seed_decides_and_a_finished_run_resumes_to_itself(adapted: Path, request_: AdaptRequest) -> None:
    adapt_run(request_)
    once = load(request_.out).model_state
    assert all(torch.equal(value, once[name]) for name, value in load(adapted).model_state.items())
    adapt_run(replace(request_, resume=True))
    assert all(torch.equal(value, once[name]) for name, value in load(request_.out).model_state.items())
    with pytest.raises(UsageError, match="was begun with another"):
        adapt_run(replace(request_, resume=True, epochs=3))


def test_a_run_of_one_animal_can_be_adapted_too(
    lab: Path, request_: AdaptRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished_run(tmp_path / "single", [lab / "reach-1.nwb"], REACH_DATA, REACH_MODEL)
    adapt_run(replace(request_, run=run, quiet=False))
    assert "was fitted to one animal: the new animals' brains are the run's own" in capsys.readouterr().err
    assert load(request_.out).model_state["loop.controller.stiffness.deviation"].abs().max() > 0


def of_another_world(lab: Path, tmp: Path, request: AdaptRequest) -> AdaptRequest:
    return replace(request, data=(str(lorenz_file(tmp)[0]),))


def of_a_known_animal(lab: Path, tmp: Path, request: AdaptRequest) -> AdaptRequest:
    return replace(request, data=(str(lab / "reach-1.nwb"),))


def of_an_unfinished_run(lab: Path, tmp: Path, request: AdaptRequest) -> AdaptRequest:
    run = finished_run(tmp / "young", [lab / "reach-1.nwb"], REACH_DATA, REACH_MODEL, finished=False)
    return replace(request, run=run)


def of_an_adapted_run(lab: Path, tmp: Path, request: AdaptRequest) -> AdaptRequest:
    return replace(request, run=lab / "new")


def of_too_little(lab: Path, tmp: Path, request: AdaptRequest) -> AdaptRequest:
    """One trial of 20 bins for 20 latents."""
    model = {**REACH_MODEL, "brain": {"kind": "residual_mlp", "latents": 20, "hidden": 24}}
    run = finished_run(tmp / "wide", [lab / "reach-1.nwb"], REACH_DATA, model)
    return replace(request, run=run, trials=1)


def into_itself(lab: Path, tmp: Path, request: AdaptRequest) -> AdaptRequest:
    return replace(request, out=lab / "run", overwrite=True)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (of_another_world, DataError, "there is no series"),
        (of_a_known_animal, DataError, "which the run was fitted to"),
        (of_an_unfinished_run, CheckpointError, "says nothing of the basis of its latents"),
        (of_an_adapted_run, CheckpointError, "is itself adapted"),
        (of_too_little, DataError, "too little to adapt to: 20 bins of training trials for 21 numbers a neuron"),
        (into_itself, UsageError, "is the run itself"),
    ],
)
def test_what_cannot_be_adapted_is_refused_and_nothing_is_written(
    lab: Path,
    adapted: Path,
    tmp_path: Path,
    request_: AdaptRequest,
    change: Callable[[Path, Path, AdaptRequest], AdaptRequest],
    error: type[NcyberError],
    text: str,
) -> None:
    with pytest.raises(error, match=text):
        adapt_run(change(lab, tmp_path, request_))
    assert not request_.out.exists()


def test_dynamics_without_body_and_behaviour_can_be_adapted(tmp_path: Path, request_: AdaptRequest) -> None:
    run = finished_run(tmp_path / "run", lorenz_file(tmp_path), LORENZ_DATA, {"brain": {"latents": 3}})
    (tmp_path / "more").mkdir()
    new = save_animal(lorenz.simulate(seed=1, trials=10, units=30), tmp_path / "more" / "lorenz-9.nwb")
    adapt_run(replace(request_, run=run, data=(str(new),)))
    assert np.isfinite(json.loads((request_.out / "summary.json").read_text())["animals"][0]["co_bps"])


def test_the_curve_compares_with_fits_from_scratch(
    request_: AdaptRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(learning_curve, "_SCRATCH_STEPS", 2)
    known = load(request_.run)
    short = known.spec.model_copy(update={"training": known.spec.training.model_copy(update={"epochs": 2})})
    (tmp_path / "run").mkdir()
    save(tmp_path / "run" / "best.pt", spec=short, layout=known.layout, model_state=known.model_state)
    asked = replace(request_, run=tmp_path / "run", as_json=True)
    learning_curve.curve_run(asked, [2])
    told = json.loads(capsys.readouterr().out)
    assert [(point["trials"], point["model"]) for point in told] == [(2, "adapted"), (2, "from scratch")]
    assert json.loads((request_.out / "learning_curve.json").read_text()) == told
    scratch = load(request_.out / "curve" / "scratch-2")
    split = scratch.layout.sessions[0].split
    assert (split.count(TRAIN), split.count(VALIDATION)) == (2, 1)
    with pytest.raises(UsageError, match="a session has 5 training trials"):
        learning_curve.curve_run(replace(asked, overwrite=True), [6])


@pytest.mark.parametrize("text", ["", "0", "1,,2", "one", "1.5"])
def test_a_curve_of_no_numbers_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write numbers above 0"):
        learning_curve.read_numbers(text)


def test_on_the_command_line(lab: Path, tmp_path: Path) -> None:
    words = ("--trials", "2", "--epochs", "1", "--device", "cpu", "--quiet")
    ended = ncyber("adapt", lab / "run", lab / "reach-3.nwb", "--out", "new", *words, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[1].split()[:3] == ["reach-3", "4", "24"]
    assert lines[2] == "wrote new/best.pt, metrics.jsonl, summary.json"
    values: dict[str, Any] = json.loads((tmp_path / "new" / "summary.json").read_text())["adapted_from"]
    assert values["animals"] == ["reach-1", "reach-2"]
