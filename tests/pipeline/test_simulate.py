"""`simulate` from a run to a file: what starts where, what is set by hand, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from finished_run import LORENZ_DATA, REACH_DATA, REACH_MODEL, finished_run, lorenz_file, reach_files

from ncyber_cli.errors import DataError, UsageError
from ncyber_cli.outputs.read_results import read_results, texts
from ncyber_cli.outputs.results_layout import GROUPS
from ncyber_cli.pipeline.interventions import Interventions
from ncyber_cli.pipeline.open_run import open_run
from ncyber_cli.pipeline.scenes import usual_inputs
from ncyber_cli.pipeline.sessions import sessions_of_run
from ncyber_cli.pipeline.simulate import SimulateOptions, simulate_run


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return reach_files(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, files: list[Path]) -> Path:
    return finished_run(tmp_path_factory.mktemp("runs") / "reach", files, REACH_DATA, REACH_MODEL)


@pytest.fixture(scope="module")
def brain_only(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("lorenz")
    files = lorenz_file(folder)
    return finished_run(folder / "run", files, LORENZ_DATA, {"brain": {"kind": "linear", "latents": 3}}), files


def samples_of(path: Path) -> dict[str, dict[str, np.ndarray]]:
    with read_results(path) as results:
        return {
            name: {part: group[part]["sample"][:] for part in GROUPS if part in group}
            for name, group in results["rollouts"].items()
        }


def test_from_the_prior_every_animal_starts_where_it_usually_does(run: Path, tmp_path: Path) -> None:
    simulate_run(run, [], tmp_path / "s.h5", SimulateOptions(trials=5, samples=2, batch=2))
    layout = open_run(run, "best", "cpu").layout
    rollouts = samples_of(tmp_path / "s.h5")
    assert list(rollouts) == ["rollout_reach-1_reach-1-seed0", "rollout_reach-2_reach-2-seed0"]
    for animal, groups in enumerate(rollouts.values()):
        assert {name: values.shape[:3] for name, values in groups.items()} == dict.fromkeys(GROUPS, (2, 5, 20))
        assert all(np.isfinite(values).all() for values in groups.values())
        start = np.broadcast_to(np.float32(layout.body_start[animal]), (2, 5, 4))
        np.testing.assert_array_equal(groups["body"][:, :, 0], start)
        assert len(np.unique(groups["latents"][:, :, 0, 0])) == 10
    with read_results(tmp_path / "s.h5") as results:
        group = results["rollouts/rollout_reach-1_reach-1-seed0"]
        np.testing.assert_allclose(group["time_s"][0], -0.2 + 0.04 * (np.arange(20) + 0.5))


def test_the_cue_that_trials_are_aligned_on_comes_when_it_always_comes(run: Path, files: list[Path]) -> None:
    opened = open_run(run, "best", "cpu")
    [session] = sessions_of_run(opened.layout, opened.spec, files[:1])
    np.testing.assert_array_equal(usual_inputs(opened, 20), session.input[0])
    assert 0 < session.input[0].sum() < 20


def test_from_recordings_rollouts_start_where_test_trials_do(run: Path, files: list[Path], tmp_path: Path) -> None:
    simulate_run(run, [str(files[1])], tmp_path / "s.h5", SimulateOptions(samples=2, steps=12, name="again"))
    opened = open_run(run, "best", "cpu")
    [session] = sessions_of_run(opened.layout, opened.spec, [files[1]])
    test = np.flatnonzero(session.split == 2)
    [(name, groups)] = samples_of(tmp_path / "s.h5").items()
    assert name == "again_reach-2_reach-2-seed0"
    assert groups["body"].shape == (2, len(test), 12, 4)
    np.testing.assert_array_equal(groups["body"][0, :, 0], session.body[test, 0])
    with read_results(tmp_path / "s.h5") as results:
        group = results["rollouts"][name]
        assert texts(group["trial_id"]) == [session.trial_id[trial] for trial in test]
        assert group.attrs["loop"] == "closed"


def test_an_objective_set_by_hand_is_the_objective(run: Path, tmp_path: Path) -> None:
    simulate_run(
        run,
        [],
        tmp_path / "s.h5",
        SimulateOptions(interventions=Interventions(objective="0.05,-0.02"), animals=("reach-2",)),
    )
    [_, groups] = samples_of(tmp_path / "s.h5").values()
    np.testing.assert_allclose(groups["objectives"], np.broadcast_to([0.05, -0.02], groups["objectives"].shape))


def test_pieces_of_any_size_give_the_same_rollouts(run: Path, files: list[Path], tmp_path: Path) -> None:
    for batch in (2, 64):
        simulate_run(run, [str(files[0])], tmp_path / f"{batch}.h5", SimulateOptions(batch=batch, split="all"))
    [few], [many] = (samples_of(tmp_path / f"{batch}.h5").values() for batch in (2, 64))
    for group, values in few.items():
        np.testing.assert_allclose(values, many[group], rtol=1e-4, atol=1e-5, err_msg=group)


def test_opening_the_loop_changes_the_body_and_nothing_of_the_start(run: Path, tmp_path: Path) -> None:
    for closed in (True, False):
        simulate_run(run, [], tmp_path / f"{closed}.h5", SimulateOptions(closed=closed, animals=("reach-1",)))
    [closed], [opened] = (samples_of(tmp_path / f"{closed}.h5").values() for closed in (True, False))
    np.testing.assert_array_equal(closed["latents"][:, :, 0], opened["latents"][:, :, 0])
    assert not np.allclose(closed["body"][:, :, -1], opened["body"][:, :, -1])


@pytest.mark.parametrize("recorded", [True, False])
def test_a_brain_without_body_simulates_too(
    brain_only: tuple[Path, list[Path]], tmp_path: Path, recorded: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    run, files = brain_only
    data = [str(path) for path in files] if recorded else []
    simulate_run(run, data, tmp_path / "s.h5", SimulateOptions(steps=9), as_json=True)
    [groups] = samples_of(tmp_path / "s.h5").values()
    assert set(groups) == {"latents", "rates"}
    assert all(np.isfinite(values).all() for values in groups.values())
    [row] = json.loads(capsys.readouterr().out)
    assert row["steps"] == 9
    assert "end_to_objective" not in row


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (SimulateOptions(animals=("reach-3",)), "unknown animal 'reach-3'; did you mean"),
        (SimulateOptions(interventions=Interventions(objective="0.1")), "this run's objective has 2 dimensions"),
        (SimulateOptions(split="test"), "there are no recorded trials"),
    ],
)
def test_what_does_not_fit_the_run_is_refused(run: Path, tmp_path: Path, options: SimulateOptions, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        simulate_run(run, [], tmp_path / "s.h5", options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (SimulateOptions(steps=21), "has inputs for 20 bins; write no more"),
        (SimulateOptions(trials=3), "--trials is for rollouts without DATA"),
        (SimulateOptions(animals=("reach-2",)), "DATA has no session of it"),
    ],
)
def test_what_does_not_fit_the_recordings_is_refused(
    run: Path, files: list[Path], tmp_path: Path, options: SimulateOptions, text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        simulate_run(run, [str(files[0])], tmp_path / "s.h5", options)


def test_an_objective_needs_a_model_with_one(brain_only: tuple[Path, list[Path]], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this run's model has no objective"):
        simulate_run(
            brain_only[0], [], tmp_path / "s.h5", SimulateOptions(interventions=Interventions(objective="1,2"))
        )


def test_a_session_without_test_trials_is_named(tmp_path: Path) -> None:
    files = lorenz_file(tmp_path)
    data = LORENZ_DATA | {"split": {"validation": 0.1, "test": 0.0}}
    run = finished_run(tmp_path / "run", files, data, {"brain": {"kind": "linear", "latents": 3}})
    with pytest.raises(DataError, match="has no test trials; write --split all"):
        simulate_run(run, [str(files[0])], tmp_path / "s.h5", SimulateOptions())
