"""A connectome from CSV: what its columns say, what is refused in one clear line, and a run that needs no CSV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from finished_run import REACH_DATA

from ncyber_cli.errors import DataError
from ncyber_cli.outputs.metrics.wiring import share_on_given, strength_agreement
from ncyber_cli.pipeline.connectome import read_connectome, with_connectome
from ncyber_cli.pipeline.given_edges import against_connectome, with_given
from ncyber_cli.spec import Connectome, Spec

AREAS = ["M1", "PMd", "PPC"]


def csv(folder: Path, text: str) -> Path:
    path = folder / "edges.csv"
    path.write_text(text)
    return path


def test_columns_in_any_order_and_cells_that_are_empty(tmp_path: Path) -> None:
    text = "target, synapses, source, sign, strength\nM1, 12, PMd, +, 2\nPMd,, PPC, Inhibitory,\n"
    first, second = read_connectome(csv(tmp_path, text), AREAS)
    assert (first.source, first.target, first.weight, first.sign, first.strength) == ("PMd", "M1", 12, "excitatory", 2)
    assert (second.weight, second.sign, second.strength) == (None, "inhibitory", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("source,target\nPMD,M1\n", r":2: no area of the brain is called 'PMD'; did you mean PMd\?"),
        ("source,target\nM1,PMd\nPMd,M1\nM1,PMd\n", ":4: names the edge M1 to PMd again, after line 2"),
        ("source,target,weight\nM1,PMd,many\n", ":2: weight 'many' is no number"),
        ("source,target,strength\nM1,PMd,-1\n", ":2: strength is -1; .*signs have a column of their own"),
        ("source,target,weight\nM1,PMd,nan\n", ":2: weight is nan"),
        ("source,weight\nM1,2\n", "has no column target"),
        ("source,target,wieght\nM1,PMd,2\n", r"has a column 'wieght'; did you mean weight\?"),
        ("source,target,weight,synapses\nM1,PMd,2,3\n", "has weight and synapses"),
        ("source,target\nM1,M1\n", ":2: is an edge from M1 to itself"),
        ("source,target,sign\nM1,PMd,both\n", ":2: sign 'both' is none"),
        ("source,target,sign\nM1,PMd\n", ":2: has not as many cells"),
        ("source,target\n", "holds no edge"),
        ("", "has no column source"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_connectome(csv(tmp_path, text), AREAS)


def test_a_spec_gets_the_rows_in_place_of_the_file_s_name(tmp_path: Path) -> None:
    csv(tmp_path, "source,target,weight\nPMd,M1,2\n")
    brain = {"latents": dict.fromkeys(AREAS, 2), "connectome": "edges.csv"}
    spec = Spec.model_validate({"version": 1, "data": REACH_DATA, "model": {"brain": brain}})
    found = with_connectome(spec, tmp_path / "spec.yaml").model.brain.connectome
    assert isinstance(found, Connectome)
    assert found.edges is not None
    assert found.file is None
    assert found.sha256 is not None
    assert [(edge.source, edge.target, edge.weight) for edge in found.edges] == [("PMd", "M1", 2)]
    with pytest.raises(DataError, match="No such file"):
        with_connectome(spec, tmp_path / "elsewhere" / "spec.yaml")


def test_learned_edges_are_compared_with_given_ones_and_with_shuffled_ones() -> None:
    edges = [
        {"source": a, "target": b, "weight": w} for a, b, w in (("M1", "PMd", 9), ("PMd", "M1", 3), ("PPC", "M1", 1))
    ]
    brain = {"latents": dict.fromkeys(AREAS, 2), "connectome": {"edges": edges, "absent": 0.1}}
    spec = Spec.model_validate({"version": 1, "data": REACH_DATA, "model": {"brain": brain}})
    learned = {("M1", "PMd"): 0.5, ("PMd", "M1"): 0.3, ("PPC", "M1"): 0.1, ("M1", "PPC"): 0.1}
    rows = with_given(spec, [{"from": a, "to": b, "nats_per_bin": nats} for (a, b), nats in learned.items()])
    assert [row["given"] for row in rows] == [9, 3, 1, 0]
    found = against_connectome(rows)
    assert found["rank_correlation"]["score"] == pytest.approx(1)
    assert found["share_on_given"]["score"] == pytest.approx(0.9)
    assert against_connectome([{"from": "M1", "to": "PMd", "nats_per_bin": 1.0}]) == {}


def test_shuffled_edges_are_the_null() -> None:
    rng = np.random.default_rng(0)
    learned, given = rng.uniform(size=30), rng.uniform(size=30)
    chance = strength_agreement(learned, given)
    sure = strength_agreement(given**3, given)
    assert chance is not None
    assert sure is not None
    assert chance.p > 0.05
    assert sure.p < 0.001
    assert abs(sure.shuffled) < 0.05
    share = share_on_given(learned, learned > 0.5)
    assert share is not None
    assert share.shuffled == pytest.approx((learned > 0.5).mean(), abs=0.02)
    assert share_on_given(learned, np.ones(30, bool)) is None
