"""The bars of the three areas: which edges are there, and what silencing an area does that never was silenced.

Of every seed: an animal whose edges are known; the area that speaks to most others is never silenced in its trials, the
others are. One fit of example_configs/areas.yaml with the price of messages and one without, on the command line.

Edges: area under the ROC of `edges` in summary.json against the true edges, pooled over seeds. Silencing: test trials
are taken over at 0.6 s and rolled on with and without the area, by `ncyber simulate`; the mean change of the rates of
all units of the other areas is correlated, over units, bins and trials, with the change in the world under the same
noise. Nulls: the fit without a price, and lagged regression between principal components (area_nulls). One JSON object
goes to stdout, talk to stderr; exit 8 below a bar.

    python tests/benchmarks/areas.py 301 302 303 --work /tmp/areas
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from area_nulls import granger, linear_change
from kept_steps import fitted, parser, run, synthesised
from numpy.typing import NDArray
from timed_command import ROOT, ncyber

from ncyber_cli.data.recording import TEST, Session
from ncyber_cli.outputs.read_results import read_results
from ncyber_cli.pipeline.sessions import sessions_of_run
from ncyber_cli.training.checkpoint import load
from ncyber_cli.worlds.area_network import AREAS, BIN_S, STEP_S, TRIAL_S, Network, draw_network, run_network
from ncyber_cli.worlds.areas import bin_means, draw_disturbed, draw_events

SPEC = ROOT / "example_configs" / "areas.yaml"
EDGE_BAR, CHANGE_BAR = 0.9, 0.8
FROM_S, SAMPLES, CONTINUATIONS = 0.6, 16, 16
TRIALS, UNITS = 240, 72
ARMS = {"priced": [], "free": ["model.brain.price=null"]}
Floats = NDArray[np.float64]
Strengths = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Animal:
    """An animal of the world, and the area that is never silenced in its recording."""

    seed: int
    network: Network
    spared: str

    @property
    def silenced(self) -> list[str]:
        return [area for area in AREAS if area != self.spared]

    def has(self, edge: tuple[str, str]) -> bool:
        source, target = (AREAS.index(area) for area in edge)
        return bool(self.network.edge[target, source])


def draw_animal(seed: int) -> Animal:
    network = draw_network(np.random.default_rng([seed, 0, 11]), UNITS)
    return Animal(seed, network, AREAS[int(network.edge.sum(0).argmax())])


def true_change(animal: Animal) -> Floats:
    """Expected counts per bin of the world with the spared area silenced from FROM_S on, less those without.

    Trials go on from where they truly were at FROM_S; the mean over CONTINUATIONS of the noise from there on, which
    nobody can know at FROM_S.
    """
    off, on = draw_disturbed(TRIALS, animal.silenced, AREAS, np.random.default_rng([animal.seed, 0, 12]))
    events = draw_events(TRIALS, off, on, np.random.default_rng([animal.seed, 0, 13]))
    silenced = events.silenced.copy()
    first = round(FROM_S / STEP_S)
    silenced[:, first:, AREAS.index(animal.spared)] = True
    total = np.zeros((TRIALS, round(TRIAL_S / BIN_S), UNITS))
    for continuation in range(CONTINUATIONS):
        rates = []
        for each in (events, replace(events, silenced=silenced)):
            noise = np.random.default_rng([animal.seed, 0, 14])
            later = np.random.default_rng([animal.seed, 0, 16, continuation])
            rates.append(run_network(animal.network, each, noise, (first, later)).rate_hz)
        total += BIN_S * bin_means(rates[1] - rates[0])
    return total / CONTINUATIONS


def benchmark(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Every seed's animal, fits and scores; what `work` holds already is not made again."""
    rows = [one_animal(draw_animal(seed), options, work / str(seed)) for seed in options.seeds]
    pooled = {arm: auc([edge for row in rows for edge in row["edges"]], arm) for arm in (*ARMS, "granger")}
    changes = {
        arm: [row["silencing"]["correlation"][arm] for row in rows if row["silencing"]] for arm in (*ARMS, "linear")
    }
    mean = {arm: round(float(np.mean(each)), 4) for arm, each in changes.items()}
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


def one_animal(animal: Animal, options: argparse.Namespace, work: Path) -> dict[str, Any]:
    words = [word for area in animal.silenced for word in ("--silenced", area)]
    sizes = ["--trials", str(TRIALS), "--units", str(UNITS)]
    (file,) = synthesised(work / "data", "areas", "--seed", str(animal.seed), *sizes, *words)
    arms = {arm: [*settings, *options.overrides] for arm, settings in ARMS.items()}
    costs = {arm: fitted(work / arm, SPEC, [file], each, animal.seed)["cpu_s"] for arm, each in arms.items()}
    checkpoint = load(work / "priced" / "best.pt")
    (session,) = sessions_of_run(checkpoint.layout, checkpoint.spec, [file])
    strengths: dict[str, Strengths] = {arm: fitted_edges(work / arm) for arm in ARMS}
    strengths["granger"] = granger(session, AREAS)
    edges = [
        {
            "from": edge[0],
            "to": edge[1],
            "true": animal.has(edge),
            **{arm: each[edge] for arm, each in strengths.items()},
        }
        for edge in strengths["granger"]
    ]
    return {
        "seed": animal.seed,
        "spared": animal.spared,
        "fits_cpu_s": costs,
        "edges": edges,
        "edges_auc": {arm: auc(edges, arm) for arm in strengths},
        "silencing": silencing(animal, session, work, file),
    }


def fitted_edges(folder: Path) -> Strengths:
    rows = json.loads((folder / "summary.json").read_text())["edges"]
    return {(row["from"], row["to"]): row["nats_per_bin"] for row in rows}


def auc(edges: Sequence[Mapping[str, Any]], arm: str) -> float:
    """Share of pairs of a true and a missing edge that are told apart, ties half."""
    there = np.array([edge[arm] for edge in edges if edge["true"]])[:, None]
    missing = np.array([edge[arm] for edge in edges if not edge["true"]])[None]
    return round(float(np.mean((there > missing) + 0.5 * (there == missing))), 4)


def silencing(animal: Animal, session: Session, work: Path, file: Path) -> dict[str, Any]:
    """Predicted against true change of the other areas' rates, on test trials from FROM_S on."""
    first, test = round(FROM_S / BIN_S), session.split == TEST
    others = np.array(session.unit_area) != animal.spared
    predicted = {arm: simulated_change(work, arm, animal.spared, file) for arm in ARMS}
    predicted["linear"] = linear_change(session, AREAS, animal.spared, first)[test]

    def later(change: Floats) -> Floats:
        return change[:, first:, others]

    true = later(true_change(animal)[test])
    return {
        "correlation": {arm: correlation(later(each), true) for arm, each in predicted.items()},
        "by_area": {
            area: {
                arm: correlation(each[:, first:, here], true_change(animal)[test][:, first:, here])
                for arm, each in predicted.items()
            }
            for area in animal.silenced
            if (here := np.array(session.unit_area) == area).any()
        },
        "slope": {
            arm: round(float((later(each) * true).sum() / np.square(later(each)).sum()), 3)
            for arm, each in predicted.items()
        },
        "rms_true_change_hz": round(float(np.sqrt(np.square(true).mean())) / BIN_S, 3),
    }


def simulated_change(work: Path, arm: str, area: str, file: Path) -> Floats:
    """Mean over samples of the rates with the area silenced less those without, (trial, time, unit)."""
    path = work / f"{arm}_silenced.h5"
    if not path.exists():
        words = ["--from-s", str(FROM_S), "--silence", area, "--samples", str(SAMPLES)]
        ncyber("simulate", work / arm, file, "--out", path, *words)
    with read_results(path) as results:
        means = {name.split("_")[0]: group["rates/sample"][()].mean(0) for name, group in results["rollouts"].items()}
    change: Floats = (means["rollout"] - means["baseline"]).astype(np.float64)
    return change


def correlation(predicted: Floats, true: Floats) -> float | None:
    """Over everything at once; None where nothing truly changes."""
    if not np.any(true):
        return None
    return round(float(np.corrcoef(predicted.ravel(), true.ravel())[0, 1]), 4)


def parse() -> argparse.Namespace:
    options = parser(__doc__, seed=0)
    options.add_argument("seeds", type=int, nargs="+", help="of the animals, and of their fits")
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(run(benchmark, parse()))
