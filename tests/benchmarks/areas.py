"""The bars of the three areas: which edges are there, and what silencing an area does that never was silenced.

Of every seed an animal whose edges are known. The area that speaks to most others is never silenced in its trials; the
other two are, and all are stimulated. Fits of example_configs/areas.yaml on the command line:

    priced      as it stands
    free        without a price of messages
    stimulated  as it stands, of a recording in which no area is ever silenced: a whole kind of perturbation held out

Edges: area under the ROC of `edges` in summary.json against the true edges, pooled over seeds. Silencing: test trials
are taken over at 0.6 s and rolled on with and without the area by `ncyber simulate`; the change of the rates of all
units of the other areas, a mean of samples, is correlated over units, bins and trials with the expected change in the
world. Nulls: lagged regression between principal components (area_nulls), and no effect, whose correlation is 0. One
JSON object goes to stdout, talk to stderr; exit 8 below a bar.

    python tests/benchmarks/areas.py 301 302 303 --work /tmp/areas
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from area_animal import FROM_S, AreaAnimal, Floats, draw_area_animal
from area_nulls import granger, linear_change
from kept_steps import fitted, parser, run
from timed_command import ROOT, ncyber

from ncyber_cli.data.recording import TEST, Session
from ncyber_cli.outputs.read_results import read_results
from ncyber_cli.pipeline.sessions import sessions_of_run
from ncyber_cli.training.checkpoint import load
from ncyber_cli.worlds.area_network import AREAS, BIN_S

SPEC = ROOT / "example_configs" / "areas.yaml"
EDGE_BAR, CHANGE_BAR = 0.9, 0.8
SAMPLES = 16
NULL = "linear"
Edges = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Arm:
    settings: tuple[str, ...] = ()
    silenced: bool = True  # whether its recording has silenced areas


ARMS = {"priced": Arm(), "free": Arm(("model.brain.price=null",)), "stimulated": Arm(silenced=False)}


def benchmark(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Every seed's animal, fits and scores; what `work` holds already is not made again."""
    rows = [one_animal(draw_area_animal(seed), options, work / str(seed)) for seed in options.seeds]
    names = [*ARMS, NULL]
    pooled = {name: auc([edge for row in rows for edge in row["edges"]], name) for name in names}
    changes = {name: [row["silencing"]["correlation"][name] for row in rows] for name in names}
    mean = {name: round(float(np.mean(each)), 4) for name, each in changes.items()}
    return {
        "animals": rows,
        "settings": options.overrides,
        "edges_auc": pooled,
        "silencing_correlation": {"mean": mean, "each": changes, "no effect": 0.0},
        "bars": {"edges_auc": EDGE_BAR, "silencing_correlation": CHANGE_BAR},
        "passed": {
            "edges_auc": pooled["priced"] >= EDGE_BAR,
            "silencing_correlation": mean["priced"] >= CHANGE_BAR,
        },
    }


def one_animal(animal: AreaAnimal, options: argparse.Namespace, work: Path) -> dict[str, Any]:
    edges: dict[str, Edges] = {}
    scores: dict[str, dict[str, Any]] = {}
    costs: dict[str, float] = {}
    for name, arm in ARMS.items():
        silenced = animal.others if arm.silenced else []
        file = animal.recorded(work / f"data{'' if silenced else '_stimulated'}", silenced)
        costs[name] = fitted(work / name, SPEC, [file], [*arm.settings, *options.overrides], animal.seed)["cpu_s"]
        edges[name] = fitted_edges(work / name)
        checkpoint = load(work / name / "best.pt")
        (session,) = sessions_of_run(checkpoint.layout, checkpoint.spec, [file])
        change = animal.true_change(tuple(silenced))[session.split == TEST]
        true = of_others(animal, session, change)
        scores[name] = compared(of_others(animal, session, simulated_change(work, name, animal.spared, file)), true)
        if name == "priced":  # the null sees what it sees
            edges[NULL] = granger(session, AREAS)
            rolled = linear_change(session, AREAS, animal.spared, round(FROM_S / BIN_S))[session.split == TEST]
            scores[NULL] = compared(of_others(animal, session, rolled), true)
    found = [
        {"from": edge[0], "to": edge[1], "true": animal.has(edge), **{name: each[edge] for name, each in edges.items()}}
        for edge in edges[NULL]
    ]
    return {
        "seed": animal.seed,
        "spared": animal.spared,
        "fits_cpu_s": costs,
        "edges": found,
        "edges_auc": {name: auc(found, name) for name in edges},
        "silencing": {score: {name: each[score] for name, each in scores.items()} for score in scores[NULL]},
    }


def fitted_edges(folder: Path) -> Edges:
    rows = json.loads((folder / "summary.json").read_text())["edges"]
    return {(row["from"], row["to"]): row["nats_per_bin"] for row in rows}


def auc(edges: Sequence[Mapping[str, Any]], name: str) -> float:
    """Share of pairs of a true and a missing edge that are told apart, ties half."""
    there = np.array([edge[name] for edge in edges if edge["true"]])[:, None]
    missing = np.array([edge[name] for edge in edges if not edge["true"]])[None]
    return round(float(np.mean((there > missing) + 0.5 * (there == missing))), 4)


def simulated_change(work: Path, name: str, area: str, file: Path) -> Floats:
    """Rates with the area silenced less those without, a mean of samples, (trial, time, unit)."""
    path = work / f"{name}_silenced.h5"
    if not path.exists():
        words = ["--from-s", str(FROM_S), "--silence", area, "--samples", str(SAMPLES)]
        ncyber("simulate", work / name, file, "--out", path, *words)
    with read_results(path) as results:
        means = {
            rollout.split("_")[0]: group["rates/sample"][()].mean(0) for rollout, group in results["rollouts"].items()
        }
    change: Floats = (means["rollout"] - means["baseline"]).astype(np.float64)
    return change


def of_others(animal: AreaAnimal, session: Session, change: Floats) -> Floats:
    """From FROM_S on, of the units of the other areas."""
    return change[:, round(FROM_S / BIN_S) :, np.array(session.unit_area) != animal.spared]


def compared(predicted: Floats, true: Floats) -> dict[str, float]:
    """Over units, bins and trials at once; the slope is that of the truth on the prediction, 1 where sizes agree."""
    return {
        "correlation": round(float(np.corrcoef(predicted.ravel(), true.ravel())[0, 1]), 4),
        "slope": round(float((predicted * true).sum() / np.square(predicted).sum()), 3),
        "rms_true_change_hz": round(float(np.sqrt(np.square(true).mean())) / BIN_S, 3),
    }


def parse() -> argparse.Namespace:
    options = parser(__doc__, seed=None)
    options.add_argument("seeds", type=int, nargs="+", help="of the animals, and of their fits")
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(run(benchmark, parse()))
