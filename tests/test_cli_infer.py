"""`ncyber infer` and `ncyber simulate` as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import ncyber
from finished_run import REACH_DATA, REACH_MODEL, finished_run, reach_files

from ncyber_cli.outputs.read_results import read_results


def test_infer_and_simulate_end_to_end(tmp_path: Path) -> None:
    finished_run(tmp_path / "run", reach_files(tmp_path), REACH_DATA, REACH_MODEL)
    inferred = ncyber("infer", "run", "reach-*.nwb", "--out", "results.h5", cwd=tmp_path)
    assert inferred.returncode == 0, inferred.stderr
    lines = inferred.stdout.splitlines()
    assert lines[0].split() == [
        *("animal", "session", "train", "validation", "test", "units", "held_out", "co_bps", "co_bps_null"),
    ]
    assert lines[-1] == "wrote results.h5"
    arguments = ("--out", "rollout.h5", "--objective", "-0.05,0.02", "--trials", "3", "--json")
    simulated = ncyber("simulate", "run", *arguments, cwd=tmp_path)
    assert simulated.returncode == 0, simulated.stderr
    rows = json.loads(simulated.stdout)
    assert [row["animal"] for row in rows] == ["reach-1", "reach-1", "reach-2", "reach-2"]
    assert [row["rollout"].split("_")[0] for row in rows] == ["baseline", "rollout"] * 2
    assert rows[1]["effect"]["end_moved"]["median"] > 0
    for name in ("results.h5", "rollout.h5"):
        with read_results(tmp_path / name) as results:
            assert results.attrs["command"].startswith("ncyber ")


def test_errors_have_their_exit_codes(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken.h5").touch()
    no_run = ncyber("infer", "empty", "a.nwb", "--out", "r.h5", cwd=tmp_path)
    assert (no_run.returncode, no_run.stdout) == (5, "")
    assert no_run.stderr.startswith("error: empty: holds no best.pt and no last.pt; ")
    taken = ncyber("simulate", "empty", "--out", "taken.h5", cwd=tmp_path)
    assert taken.returncode == 2
    assert "exists already" in taken.stderr
