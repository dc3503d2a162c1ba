"""A run of prior `switching` from files to file: probabilities of prototypes, smoothed, causal and forecast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from finished_run import REACH_DATA, REACH_MODEL, finished_run, reach_files

from ncyber_cli.outputs.read_results import read_results, session_groups
from ncyber_cli.pipeline.infer import InferOptions, infer_run
from ncyber_cli.pipeline.open_run import open_run
from ncyber_cli.pipeline.simulate import SimulateOptions, simulate_run

MODEL = {**REACH_MODEL, "objective": {"prior": "switching", "prototypes": [2, 3]}}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return reach_files(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, files: list[Path]) -> Path:
    return finished_run(tmp_path_factory.mktemp("runs") / "switching", files, REACH_DATA, MODEL)


def place_of(run: Path) -> np.ndarray:
    """Where the run's prototypes lie, in m."""
    objective = open_run(run, "best", "cpu").model.loop.objective
    assert objective is not None
    law = objective.prototype_law()
    assert law is not None
    with torch.no_grad():
        return np.asarray(objective.mean + objective.sd * law.position)


@pytest.mark.parametrize(
    "options", [InferOptions(), InferOptions(causal=True), InferOptions(until_s=0.4), InferOptions(write_samples=True)]
)
def test_infer_writes_the_probability_of_each_prototype(
    options: InferOptions, run: Path, files: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "results.h5"
    infer_run(run, [str(path) for path in files], out, options)
    with read_results(out) as results:
        for group in session_groups(results):
            part, mask = group["objectives"], group["mask"][:]
            probability = part["prototype"][:]
            assert probability.shape == (*mask.shape, 3)
            np.testing.assert_allclose(probability[mask].sum(-1), 1, rtol=1e-5)
            np.testing.assert_array_equal(part["cluster"][:], np.where(mask, probability.argmax(-1), -1))
            for name in ("prototype_mean", "cluster_mean"):
                np.testing.assert_allclose(part[name][:], place_of(run), rtol=1e-5)


def test_a_forecast_leaves_the_prototypes_to_their_chain(run: Path, files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "results.h5"
    infer_run(run, [str(path) for path in files], out, InferOptions(until_s=0.4))
    with read_results(out) as results:
        for group in session_groups(results):
            probability = np.sort(group["objectives/prototype"][:], axis=-1)[..., -1]
            mask = group["mask"][:]
            assert (np.diff(probability[:, 12:], axis=1)[mask[:, 13:]] < 1e-6).all()  # certainty only fades
            assert probability[:, -1][mask[:, -1]].max() < 1


def test_simulated_objectives_start_and_stay_near_prototypes(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "rollouts.h5"
    simulate_run(run, [], out, SimulateOptions(trials=20, steps=30))
    with read_results(out) as results:
        for group in results["rollouts"].values():
            path = group["objectives/sample"][0]
            gap = np.linalg.norm(path[..., None, :] - place_of(run), axis=-1)
            assert np.median(gap.min(-1)) < 0.5 * np.linalg.norm(place_of(run)[0] - place_of(run)[1])
            assert len(np.unique(gap[:, 0].argmin(-1))) == 3  # all of them are begun with


def test_without_noise_no_prototype_is_left(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "rollouts.h5"
    simulate_run(run, [], out, SimulateOptions(trials=20, steps=30, noise=False))
    with read_results(out) as results:
        for group in results["rollouts"].values():
            path = group["objectives/sample"][0]
            begun = np.linalg.norm(path[:, :1, None] - place_of(run), axis=-1).argmin(-1)
            assert len(np.unique(begun)) == 3
            furthest = np.linalg.norm(np.diff(path, axis=1), axis=-1).max()
            assert furthest < 0.2 * np.linalg.norm(place_of(run)[0] - place_of(run)[1])
