"""What the program is for, on animals whose objective is known: minutes, so only with `-m slow`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import ENVIRONMENT, ROOT

from ncyber_cli.outputs.metrics import r2
from ncyber_cli.outputs.read_results import read_results
from ncyber_cli.worlds.truth import read_truth

FIRST_MOVING_BIN = 24  # go + 4 bins, in windows that start 0.4 s before it


def run(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "ncyber_cli", *map(str, arguments)], env=ENVIRONMENT, check=True)


@pytest.mark.slow
def test_the_objective_is_found_in_metres_and_early(tmp_path: Path) -> None:
    """Raw, on test trials: the whole reach, and its start, when the hand has told next to nothing of the goal."""
    run("synth", "reach", "--out", tmp_path, "--animals", "2", "--trials", "160", "--seed", "5")
    files = sorted(tmp_path.glob("*.nwb"))
    run("fit", ROOT / "example_configs/quickstart.yaml", *files, "--out", tmp_path / "run", "--quiet")
    run("infer", tmp_path / "run", *files, "--out", tmp_path / "results.h5", "--samples", "16")
    with read_results(tmp_path / "results.h5") as results:
        for file in files:
            truth = read_truth(file)
            session = next(iter(results[f"animals/{truth.animal}"].values()))
            test = session["split"].asstr()[()] == "test"
            goal = truth.series["objective"].at(session["time_s"][()][test])
            found, hand = session["objectives/mean"][()][test], session["body/mean"][()][test][:, :, :2]
            late = np.s_[:, FIRST_MOVING_BIN:]
            early = np.s_[:, FIRST_MOVING_BIN : FIRST_MOVING_BIN + 2]
            assert r2(goal[late], found[late]) >= 0.9
            assert r2(goal[early], found[early]) >= 0.8 > 0.3 >= r2(goal[early], hand[early])
