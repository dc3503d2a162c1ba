import json
from pathlib import Path
from typing import Any

import pytest
from finished_run import LORENZ_DATA, REACH_DATA, REACH_MODEL, finished_run, lorenz_file, reach_files

from ncyber_cli.errors import DataError, RequirementUnmet, UsageError
from ncyber_cli.pipeline.evaluate import EvaluateOptions, evaluate_run
from ncyber_cli.pipeline.fit import FitRequest, train_run
from ncyber_cli.pipeline.judgement import ALL
from ncyber_cli.reporting import Progress
from ncyber_cli.spec import Spec
from ncyber_cli.spec_file import spec_text
from ncyber_cli.worlds import reach as reach_world
from ncyber_cli.worlds import without_goal
from ncyber_cli.worlds.to_nwb import save_animal

UNFITTED = EvaluateOptions(refit=False, quiet=True)


@pytest.fixture(scope="module")
def reach(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("reach")
    files = reach_files(folder, trials=14)
    return finished_run(folder / "run", files, REACH_DATA, REACH_MODEL), files


def _evaluate(run: Path, files: list[Path], out: Path, options: EvaluateOptions = UNFITTED) -> dict[str, Any]:
    evaluate_run(run, [str(file) for file in files], out, options)
    found: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return found


def test_a_page_figures_and_every_part_of_the_metrics(reach: tuple[Path, list[Path]], tmp_path: Path) -> None:
    found = _evaluate(*reach, tmp_path / "new")
    assert set(found["verdict"]) == {"reach-1", "reach-2", ALL}
    assert set(found["gains"][ALL]["over"]) == {"none", "shuffled", "motion", "behavior"}
    assert found["gains"][ALL]["trials"] == sum(found["gains"][animal]["trials"] for animal in ("reach-1", "reach-2"))
    assert "midway" in found["verdict"][ALL]["not_judged"]
    assert {name.split()[0] for name in found["recovery"]} == {"reach-1", "reach-2"}
    recovered = next(iter(found["recovery"].values()))
    assert {"model, causal", "model, smoothed", "hand position"} <= set(recovered["objective_r2"])
    assert {"cue", "go"} <= set(recovered["objective_r2_by_time"])
    assert (tmp_path / "new" / "report.html").read_text().count("<svg") >= 4
    assert {path.suffix for path in (tmp_path / "new" / "figures").iterdir()} == {".svg"}


def test_the_same_command_gives_the_same_numbers(reach: tuple[Path, list[Path]], tmp_path: Path) -> None:
    run, files = reach
    one, other = (_evaluate(run, files[:1], tmp_path / name) for name in ("one", "other"))
    assert one == other


def test_what_is_there_is_not_replaced_unasked(reach: tuple[Path, list[Path]], tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        _evaluate(*reach, tmp_path)
    assert (tmp_path / "metrics.json").read_text() == "mine"


def test_an_unmet_requirement_is_said_once_everything_is_written(
    reach: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    run, files = reach
    with pytest.raises(RequirementUnmet) as raised:
        _evaluate(run, files[:1], tmp_path, EvaluateOptions(refit=False, quiet=True, require=("supported",)))
    assert raised.value.exit_code == 8
    assert (tmp_path / "metrics.json").exists()


def test_a_run_without_an_objective_is_not_judged(tmp_path: Path) -> None:
    files = lorenz_file(tmp_path)
    run = finished_run(tmp_path / "run", files, LORENZ_DATA, {"brain": {"kind": "linear", "latents": 3}})
    found = _evaluate(run, files, tmp_path / "out", EvaluateOptions(quiet=True))
    assert found["verdict"][ALL]["supported"] == "not judged"
    assert found["held_out"][0]["co_bps"] is not None
    assert not (tmp_path / "out" / "ablations").exists()


def test_files_that_the_run_has_not_seen_are_scored_and_not_judged(
    reach: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    run, files = reach
    other = tmp_path / files[0].name
    save_animal(reach_world.simulate(seed=0, animal=0, trials=6, units=20), other)
    found = _evaluate(run, [other], tmp_path / "out")
    assert found["verdict"][ALL]["supported"] == "not judged"
    assert found["held_out"][0]["trials"] == 6


def test_files_without_test_trials_are_refused(reach: tuple[Path, list[Path]], tmp_path: Path) -> None:
    data = {**REACH_DATA, "split": {"by": "trial", "validation": 0.1, "test": 0.0}}
    run = finished_run(tmp_path / "run", reach[1], data, REACH_MODEL)
    with pytest.raises(DataError, match="no test trials"):
        _evaluate(run, reach[1], tmp_path / "out")


def test_refits_are_trained_once_and_used_again(tmp_path: Path) -> None:
    """One epoch of a tiny model: the run, another seed, and mlp from both."""
    file = tmp_path / "limit_cycle-1.nwb"
    save_animal(without_goal.simulate("limit_cycle", seed=0, trials=12, units=20), file)
    spec = Spec.model_validate(
        {
            "version": 1,
            "data": {**REACH_DATA, "sessions": [str(file)]},
            "model": REACH_MODEL,
            "inference": {"hidden": 8, "samples": 2},
            "training": {"epochs": 1},
        }
    )
    (tmp_path / "spec.yaml").write_text(spec_text(spec))
    with Progress(quiet=True) as progress:
        train_run(FitRequest(spec=tmp_path / "spec.yaml", data=(), out=tmp_path / "run"), progress)
    out, options = tmp_path / "out", EvaluateOptions(seeds=2, quiet=True, overwrite=True)
    first = _evaluate(tmp_path / "run", [file], out, options)
    assert {Path(name).name for name in first["settings"]["refits"]} == {"seed1", "mlp-seed0", "mlp-seed1"}
    assert first["gains"][ALL]["seeds"] == 2
    assert len(first["agreement"]["limit_cycle-1"]["objective"]) == 1
    assert "objective_r2" not in next(iter(first["recovery"].values()))
    written = {path: path.stat().st_mtime_ns for path in out.glob("ablations/*/best.pt")}
    summary = out / "ablations" / "mlp-seed1" / "summary.json"
    summary.write_text(summary.read_text().replace('"seed": 1', '"seed": 7'))
    with pytest.raises(UsageError, match="another seed"):  # once the others were found and used
        _evaluate(tmp_path / "run", [file], out, options)
    assert {path: path.stat().st_mtime_ns for path in written} == written
