"""Individual differences of a run, and the brains between two animals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from finished_run import LORENZ_DATA, finished_run, lorenz_file

from ncyber_cli.errors import UsageError
from ncyber_cli.outputs.read_results import read_results
from ncyber_cli.pipeline.compare import CompareOptions, compare_run
from ncyber_cli.pipeline.interventions import Interventions
from ncyber_cli.pipeline.simulate import SimulateOptions, simulate_run
from ncyber_cli.training.checkpoint import load, save


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three animals; the second has the embedding of the first, nothing is known of the third's."""
    folder = tmp_path_factory.mktemp("run")
    model = {"brain": {"kind": "low_rank_rnn", "latents": 3}, "animals": {"embedding": 2}}
    run = finished_run(folder / "run", lorenz_file(folder, animals=3), LORENZ_DATA, model)
    found = load(run)
    state = dict(found.model_state)
    state["loop.brain.individuals.animals.mean"] = 0.1 * torch.tensor([[1.0, -1.0], [1.0, -1.0], [-2.0, 1.0]])
    state["loop.brain.individuals.animals.log_sd"] = torch.tensor([[1e-3, 1e-3], [1e-3, 1e-3], [0.1, 0.1]]).log()
    save(run / "best.pt", spec=found.spec, layout=found.layout, model_state=state)
    return run


def test_animals_alike_are_near_and_what_is_not_known_is_uncertain(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "individuals.json"
    compare_run(run, out, CompareOptions(draws=8))
    found = json.loads(out.read_text())
    distance, sd = (np.array(found["distance"][name]) for name in ("mean", "sd"))
    assert distance[0, 1] < 1e-3 < 0.1 * distance[0, 2]
    assert sd[0, 2] > 3 * sd[0, 1]
    one, alike, other = (animal["modes"][0] for animal in found["animals"])
    assert one["time_constant_s"] == pytest.approx(alike["time_constant_s"], rel=1e-4)
    assert found["animals"][2]["embedding"]["sd"] == pytest.approx([0.1, 0.1])
    spread = [mode["time_constant_s_sd"] or np.inf for mode in (one, other)]
    assert spread[1] > 3 * spread[0]


def test_half_way_between_two_animals_lies_a_brain_of_its_own(run: Path, tmp_path: Path) -> None:
    def latents(text: str) -> np.ndarray:
        options = SimulateOptions(trials=2, animals=("lorenz-1",), interventions=Interventions(embedding_of=text))
        simulate_run(run, [], tmp_path / "s.h5", SimulateOptions(**{**vars(options), "overwrite": True}))
        with read_results(tmp_path / "s.h5") as results:
            return next(
                group["latents"]["sample"][:] for name, group in results["rollouts"].items() if "base" not in name
            )

    between = latents("lorenz-1:lorenz-3:0.5")
    np.testing.assert_array_equal(latents("lorenz-1:lorenz-3:0"), latents("lorenz-1"))
    np.testing.assert_array_equal(latents("lorenz-1:lorenz-3:1"), latents("lorenz-3"))
    assert not np.array_equal(between, latents("lorenz-1"))
    assert not np.array_equal(between, latents("lorenz-3"))


@pytest.mark.parametrize("text", ["lorenz-1:lorenz-3", "lorenz-1:lorenz-3:half", "lorenz-1:lorenz-3:nan"])
def test_a_place_between_animals_needs_a_share(run: Path, tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="write ANIMAL, or A:B:SHARE"):
        simulate_run(run, [], tmp_path / "s.h5", SimulateOptions(interventions=Interventions(embedding_of=text)))


def test_a_file_that_exists_is_kept(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "individuals.json"
    out.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        compare_run(run, out, CompareOptions())
    assert out.read_text() == "mine"
