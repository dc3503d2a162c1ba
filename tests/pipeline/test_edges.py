"""A run of several areas says what passes along each edge, and an edge that is cut carries nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from finished_run import finished_run

from ncyber_cli.model.interventions import cut_edges
from ncyber_cli.pipeline.edges import edge_strengths
from ncyber_cli.pipeline.open_run import OpenRun, open_run
from ncyber_cli.pipeline.sessions import sessions_of_run
from ncyber_cli.worlds import areas
from ncyber_cli.worlds.to_nwb import save_animal

DATA = {
    "bin_s": 0.04,
    "trials": {"table": "trials", "align": "start_time"},
    "neural": [{"source": "units", "kind": "spikes", "area": "from_electrodes"}],
    "inputs": {"off": {"source": "silencing_M1", "kind": "silencing", "area": "M1"}},
    "split": {"by": "trial", "validation": 0.1, "test": 0.4},
}
MODEL = {"brain": {"latents": {"M1": 2, "PMd": 2, "PPC": 2}, "hidden": 8, "delay_s": {"M1:PMd": 0.02}}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[OpenRun, Path]:
    folder = tmp_path_factory.mktemp("areas")
    file = save_animal(areas.simulate(trials=12, units=30), folder / "areas-1.nwb")
    return open_run(finished_run(folder / "run", [file], DATA, MODEL), "best", "cpu"), file


def test_every_edge_has_a_strength_the_strongest_first(run: tuple[OpenRun, Path]) -> None:
    opened, file = run
    rows = edge_strengths(opened, sessions_of_run(opened.layout, opened.spec, [file]))
    assert {(row["from"], row["to"]) for row in rows} == set(opened.model.loop.brain.edges)
    strength = [row["nats_per_bin"] for row in rows]
    assert strength == sorted(strength, reverse=True)
    assert min(strength) > 0
    assert all(row["standard_error"] > 0 for row in rows)
    assert sorted(row["delay_s"] for row in rows) == pytest.approx([0.0] * 5 + [0.02])


def test_a_cut_edge_carries_nothing(run: tuple[OpenRun, Path]) -> None:
    opened, file = run
    model = opened.model
    whole = model.loop
    try:
        model.loop = cut_edges(whole, [("M1", "PPC")])
        rows = edge_strengths(replace(opened, model=model), sessions_of_run(opened.layout, opened.spec, [file]))
    finally:
        model.loop = whole
    assert [(row["from"], row["to"]) for row in rows if row["nats_per_bin"] == 0] == [("M1", "PPC")]
