"""Interventions from the command line's words to a file: what is done, beside what would have happened."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_run import LORENZ_DATA, REACH_DATA, REACH_MODEL, finished_run, lorenz_file, reach_files

from ncyber_cli.errors import UsageError
from ncyber_cli.outputs.read_results import read_results
from ncyber_cli.outputs.results_layout import GROUPS
from ncyber_cli.pipeline.interventions import Interventions
from ncyber_cli.pipeline.open_run import open_run
from ncyber_cli.pipeline.sessions import sessions_of_run
from ncyber_cli.pipeline.simulate import SimulateOptions, simulate_run

AREAS = {"PMd": 2, "S1": 2, "M1": 2}
BIN_S = 0.04
Arms = dict[str, dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return reach_files(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, files: list[Path]) -> Path:
    brain = {**REACH_MODEL["brain"], "latents": AREAS}
    return finished_run(tmp_path_factory.mktemp("runs") / "reach", files, REACH_DATA, {**REACH_MODEL, "brain": brain})


@pytest.fixture(scope="module")
def brain_only(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("lorenz")
    files = lorenz_file(folder)
    return finished_run(folder / "run", files, LORENZ_DATA, {"brain": {"kind": "linear", "latents": 3}}), files


def arms(
    run: Path, folder: Path, data: list[Path] | None = None, options: SimulateOptions | None = None, **wanted: Any
) -> Arms:
    """The rollouts of reach-1 by name, without animal and session."""
    options = replace(options or SimulateOptions(trials=3), interventions=Interventions(**wanted))
    simulate_run(run, [str(path) for path in data or []], folder / "s.h5", replace(options, animals=("reach-1",)))
    with read_results(folder / "s.h5") as results:
        return {
            name.split("_")[0]: {part: group[part]["sample"][:] for part in GROUPS if part in group}
            for name, group in results["rollouts"].items()
        }


def test_the_same_noise_runs_without_the_intervention(run: Path, tmp_path: Path) -> None:
    found = arms(run, tmp_path, silence=("M1",))
    simulate_run(run, [], tmp_path / "alone.h5", SimulateOptions(trials=3, animals=("reach-1",)))
    with read_results(tmp_path / "alone.h5") as results:
        [group] = results["rollouts"].values()
        for name, values in found["baseline"].items():
            np.testing.assert_array_equal(values, group[name]["sample"][:], err_msg=name)
    layout = open_run(run, "best", "cpu").layout
    m1 = np.array(layout.sessions[0].unit_area) == "M1"
    assert (found["rollout"]["rates"][..., m1] == 0).all()
    assert (found["rollout"]["rates"][..., ~m1] > 0).all()
    assert (found["rollout"]["latents"][..., 4:] == 0).all()
    np.testing.assert_array_equal(found["rollout"]["latents"][:, :, 0, :4], found["baseline"]["latents"][:, :, 0, :4])


def test_with_every_area_silent_the_arm_is_too(run: Path, tmp_path: Path) -> None:
    found = arms(run, tmp_path, silence=tuple(AREAS))["rollout"]
    assert (found["controls"] == 0).all()
    assert (found["rates"] == 0).all()


def test_interventions_are_done_together(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = {
        "cut": ("PMd:M1", "S1:M1"),
        "objective": "0.05,nan",
        "perturb": ("force:2,0@0.1+0.08", "force:0,1@0.2+0.08:half-sine"),
        "body": ("mass=x2", "lag=0.1", "noise=x0.5"),
        "delay_s": 0.2,
        "embedding_of": "reach-2",
    }
    found = arms(run, tmp_path, **wanted)
    assert set(found) == {"baseline", "rollout"}
    assert (found["rollout"]["objectives"][..., 0] == np.float32(0.05)).all()
    with read_results(tmp_path / "s.h5") as results:
        settings = {name.split("_")[0]: dict(group.attrs) for name, group in results["rollouts"].items()}
    assert settings["rollout"]["cut"] == "PMd:M1 S1:M1"
    assert settings["rollout"]["body"] == "mass=x2 lag=0.1 noise=x0.5"
    assert settings["baseline"]["objective"] == "prior"
    assert "cut" not in settings["baseline"]
    table = capsys.readouterr().out
    for column in ("end_moved", "peak_moved", "farther_from_goal", "rates_changed"):
        assert column in table


def test_the_effect_is_that_of_the_file(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = Interventions(perturb=("force:3,0@0+0.08",))
    options = SimulateOptions(trials=4, samples=3, batch=3, animals=("reach-1",), interventions=wanted)
    simulate_run(run, [], tmp_path / "s.h5", options, as_json=True)
    baseline, changed = json.loads(capsys.readouterr().out)
    assert "effect" not in baseline
    with read_results(tmp_path / "s.h5") as results:
        hands = [group["body"]["sample"][..., :2].astype(float) for group in results["rollouts"].values()]
    apart = np.linalg.norm(hands[1] - hands[0], axis=-1)
    for name, values in (("end_moved", apart[:, :, -1]), ("peak_moved", apart.max(2))):
        low, median, high = np.percentile(values, (5, 50, 95))
        assert changed["effect"][name] == pytest.approx({"low": low, "median": median, "high": high}, rel=1e-4)
    assert changed["end_to_objective"] - baseline["end_to_objective"] != 0


def test_a_pulse_moves_the_hand_from_its_onset_on(run: Path, tmp_path: Path) -> None:
    found = arms(run, tmp_path, perturb=("force:3,0@0.2+0.04",), options=SimulateOptions(trials=3, noise=False))
    apart = np.abs(found["rollout"]["body"] - found["baseline"]["body"]).max((0, 1, 3))
    first = round((0.2 + 0.2) / BIN_S)  # the bin that begins with the pulse; trials begin 0.2 s before their event
    assert (apart[:first] == 0).all()
    assert (apart[first:] > 0).all()


def test_times_of_a_schedule_count_from_the_event(run: Path, files: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "goal.csv"
    path.write_text("time_s,x,y\n0,0.1,nan\n0.2,nan,0.03\n", encoding="utf-8")
    for data in (None, [files[0]]):
        options = SimulateOptions(trials=None if data else 3, overwrite=True)
        goal = arms(run, tmp_path, data, options, objective=str(path))
        free, held = (goal[name]["objectives"] for name in ("baseline", "rollout"))
        np.testing.assert_array_equal(held[:, :, :5], free[:, :, :5])  # before the event
        assert (held[:, :, 5:10, 0] == np.float32(0.1)).all()
        np.testing.assert_array_equal(held[:, :, 5:10, 1], free[:, :, 5:10, 1])
        assert (held[:, :, 10:, 1] == np.float32(0.03)).all()


def test_another_trials_objective_is_pursued_sample_by_sample(run: Path, files: list[Path], tmp_path: Path) -> None:
    opened = open_run(run, "best", "cpu")
    [session] = sessions_of_run(opened.layout, opened.spec, files[:1])
    donor = session.trial_id[int(np.flatnonzero(session.split == 0)[0])]
    options = SimulateOptions(samples=2, split="all")
    goal = arms(run, tmp_path, [files[0]], options, objective=f"trial:{donor}")["rollout"]["objectives"]
    assert (goal == goal[:, :1]).all()  # the same in every trial
    assert not (goal[0] == goal[1]).all()
    path = tmp_path / "donor.csv"
    np.savetxt(path, goal[0, 0], delimiter=",")
    options = SimulateOptions(split="all", overwrite=True)
    again = arms(run, tmp_path, [files[0]], options, objective=str(path))["rollout"]["body"]
    options = replace(options, samples=1)
    same = arms(run, tmp_path, [files[0]], options, objective=f"trial:{donor}")["rollout"]["body"]
    np.testing.assert_allclose(again, same, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("from_s", [None, 0.1])
def test_an_inferred_objective_is_held(run: Path, files: list[Path], tmp_path: Path, from_s: float | None) -> None:
    options = SimulateOptions(samples=2, from_s=from_s)
    found = arms(run, tmp_path, [files[0]], options, objective="inferred")
    held, free = (found[name]["objectives"] for name in ("rollout", "baseline"))
    own = 0 if from_s is None else 7  # the first bin that is the model's own
    np.testing.assert_array_equal(held[:, :, :own], free[:, :, :own])
    assert (held[:, :, own:] == held[:, :, own : own + 1]).all()
    assert not (free[:, :, own:] == free[:, :, own : own + 1]).all()


def test_taken_over_part_way_recorded_bins_stay(run: Path, files: list[Path], tmp_path: Path) -> None:
    opened = open_run(run, "best", "cpu")
    [session] = sessions_of_run(opened.layout, opened.spec, files[:1])
    test = np.flatnonzero(session.split == 2)
    options = SimulateOptions(from_s=0.1, samples=2)
    found = arms(run, tmp_path, [files[0]], options, objective="0.05,0.05", silence=("PMd",))
    seen = 7  # 0.3 s from a trial's first bin on, in bins of 0.04 s that have ended
    for groups in found.values():
        np.testing.assert_array_equal(groups["body"][0, :, :seen], session.body[test, :seen])
        assert (groups["body"][0, :, seen:] != session.body[test, seen:]).all()
    for name, values in found["rollout"].items():
        np.testing.assert_array_equal(values[:, :, :seen], found["baseline"][name][:, :, :seen], err_msg=name)
    assert (found["rollout"]["latents"][:, :, seen:, :2] == 0).all()
    assert (found["rollout"]["objectives"][:, :, seen:] == np.float32(0.05)).all()


def test_pieces_and_lengths_change_nothing_part_way(run: Path, files: list[Path], tmp_path: Path) -> None:
    options = SimulateOptions(from_s=0.1, split="all")
    whole = arms(run, tmp_path, [files[0]], options, delay_s=0.2)["rollout"]
    shorter = replace(options, batch=3, steps=14, overwrite=True)
    for name, values in arms(run, tmp_path, [files[0]], shorter, delay_s=0.2)["rollout"].items():
        np.testing.assert_allclose(values, whole[name][:, :, :14], rtol=1e-3, atol=1e-5, err_msg=name)


def test_a_brain_without_a_body_can_be_silenced(brain_only: tuple[Path, list[Path]], tmp_path: Path) -> None:
    run, files = brain_only
    options = SimulateOptions(interventions=Interventions(silence=("brain",)), from_s=0.3)
    simulate_run(run, [str(path) for path in files], tmp_path / "s.h5", options)
    with read_results(tmp_path / "s.h5") as results:
        baseline, silent = (group["rates"]["sample"][:] for group in results["rollouts"].values())
    seen = int(0.3 / BIN_S)
    np.testing.assert_array_equal(silent[:, :, :seen], baseline[:, :, :seen])
    assert (silent[:, :, seen:] == 0).all()


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"silence": ("PMv",)}, "--silence: this run's brain has no area 'PMv'; did you mean PMd"),
        ({"cut": ("M1:S2",)}, "--cut M1:S2: is no edge of this run's brain; did you mean M1:S1"),
        ({"objective": "trial:3"}, "without DATA there are no trials"),
        ({"objective": "inferred"}, "--objective inferred: without DATA there are no trials"),
        ({"perturb": ("force:1,1@3+0.1",)}, "falls into no bin that is rolled out; .* go from -0.18 to 0.58 s"),
        ({"body": ("mas=x2",)}, "a body has no 'mas'; did you mean mass"),
        ({"body": ("mass",)}, "'' is no amount; write mass=x2"),
        ({"body": ("mass=-1",)}, "'-1' is no amount"),
        ({"body": ("mass=0",)}, "a body without mass cannot be moved"),
        ({"body": ("lag=5",)}, "is no muscle; write at most 1 s"),
        ({"body": ("noise=2",)}, "write a multiple, noise=x2"),
        ({"body": ("mass=x2", "mass=1")}, "--body: mass is given 2 times"),
        ({"delay_s": -0.1}, "--delay -0.1: is no delay; write seconds, 0 to 2"),
        ({"embedding_of": "reach-7"}, "reach-7 is no animal of this run; did you mean reach-"),
    ],
)
def test_what_cannot_be_done_to_this_animal_is_refused(
    run: Path, tmp_path: Path, wanted: dict[str, Any], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        arms(run, tmp_path, **wanted)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"cut": ("brain:M1",)}, "this run's brain is one area, brain, and has no edges; tell areas apart"),
        ({"silence": ("M1",)}, "this run's brain has no area 'M1'; .*tell areas apart with model.brain.latents"),
        ({"body": ("mass=x2",)}, "this run's model has no body"),
        ({"delay_s": 0.1}, "this run's model has no delayed feedback"),
        ({"perturb": ("force:1@0+1",)}, "this run has no input 'force'; there is none in it"),
        ({"embedding_of": "lorenz-1"}, "this run's animals have no embedding"),
    ],
)
def test_a_brain_alone_has_little_that_can_be_changed(
    brain_only: tuple[Path, list[Path]], tmp_path: Path, wanted: dict[str, Any], text: str
) -> None:
    options = SimulateOptions(interventions=Interventions(**wanted))
    with pytest.raises(UsageError, match=text):
        simulate_run(brain_only[0], [], tmp_path / "s.h5", options)


@pytest.mark.parametrize(
    ("options", "wanted", "text"),
    [
        (SimulateOptions(), {"objective": "trial:77"}, "--objective trial:77: is no trial of reach-1 reach-1-seed0"),
        (SimulateOptions(from_s=2.0), {}, "no trial of reach-1-seed0 begins before and ends after it"),
        (SimulateOptions(from_s=-0.19), {}, "--from-s -0.19: no trial .* their bins end between -0.16 and 0.6 s"),
        (SimulateOptions(name="baseline"), {"delay_s": 0.1}, "--name baseline: is taken"),
        (SimulateOptions(from_s=0.3), {"perturb": ("force:1,1@0+0.1",)}, "falls into no bin that is rolled out"),
    ],
)
def test_what_does_not_fit_the_recordings_is_refused(
    run: Path, files: list[Path], tmp_path: Path, options: SimulateOptions, wanted: dict[str, Any], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        arms(run, tmp_path, [files[0]], options, **wanted)


def test_part_way_needs_recordings(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--from-s: there are no recorded trials"):
        simulate_run(run, [], tmp_path / "s.h5", SimulateOptions(from_s=0.1))
