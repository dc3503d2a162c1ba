"""What a connectome is worth where trials are few: predictions with the true edges, with all, and with others.

Of every seed an animal with three areas whose edges are known (ncyber synth areas), and of its trials a few. Fits of
example_configs/connectome.yaml on the command line, whose CSV is

    true      the animal's edges with their gains
    none      no connectome: all areas may speak to all
    shuffled  another graph with as many edges
    weak      the true edges, and all others a tenth as strong

Bits per spike of held-out neurons of test trials, those of forecasts of all neurons from the middle of each test trial
on, and the paired differences to `none`; of `weak` the comparison of learned with given edges that every fit with a
connectome ends with. There is no bar: what anatomy is worth depends on the data. One JSON object goes to stdout, talk
to stderr.

    python tests/benchmarks/connectome.py 414 415 416 --work /tmp/connectome
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from kept_steps import fitted, inferred, parser, run, synthesised
from timed_command import ROOT

from ncyber_cli.data.recording import TEST
from ncyber_cli.model.messages import Edge, all_edges
from ncyber_cli.outputs.metrics import poisson_bits_per_spike
from ncyber_cli.outputs.read_results import read_results, session_groups
from ncyber_cli.pipeline.sessions import sessions_of_run
from ncyber_cli.training.checkpoint import load
from ncyber_cli.worlds.area_network import AREAS
from ncyber_cli.worlds.truth import read_truth

SPEC = ROOT / "example_configs" / "connectome.yaml"
TRIALS, SPLIT = 100, ["data.split.validation=0.1", "data.split.test=0.6"]  # 30 trials to learn from
SEEN_S = 0.75  # of 1.5
EPOCHS = 400  # two steps each; fits end by patience, after 80 to 140


def benchmark(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Every seed's animal and fits; what `work` holds already is not made again."""
    rows = [one_animal(seed, options, work / str(seed)) for seed in options.seeds]
    return {
        "animals": rows,
        "gain_over_none": {score: gains([row[score] for row in rows]) for score in ("co_bps", "forecast_bps")},
        "settings": options.overrides,
        "passed": {},
    }


def gains(scores: list[dict[str, float]]) -> dict[str, Any]:
    """Of each arm over `none`, animal by animal."""
    found = {arm: [round(each[arm] - each["none"], 4) for each in scores] for arm in scores[0] if arm != "none"}
    return {arm: {"mean": round(float(np.mean(each)), 4), "each": each} for arm, each in found.items()}


def one_animal(seed: int, options: argparse.Namespace, work: Path) -> dict[str, Any]:
    files = synthesised(work / "data", "areas", "--seed", str(seed), "--trials", str(TRIALS))
    true = true_edges(files[0])
    tables = {"true": true, "shuffled": shuffled(true, seed), "weak": true}
    found: dict[str, dict[str, Any]] = {}
    forecasts, costs = {}, {}
    for arm in ("none", *tables):
        settings = ["model.brain.connectome=null"]
        if arm in tables:
            write_table(work / f"{arm}.csv", tables[arm])
            absent = "0.1" if arm == "weak" else "off"
            settings = [f"model.brain.connectome={{file: {work / arm}.csv, absent: {absent}}}"]
        settings += [*SPLIT, f"training.epochs={EPOCHS}", *options.overrides]
        costs[arm] = fitted(work / arm, SPEC, files, settings, seed)["cpu_s"]
        found[arm] = json.loads((work / arm / "summary.json").read_text())
        forecasts[arm] = forecast_bits(work / arm, files)
    return {
        "seed": seed,
        "edges": {arm: [":".join(edge) for edge in table] for arm, table in tables.items()},
        "co_bps": {arm: summary["animals"][0]["co_bps"] for arm, summary in found.items()},
        "forecast_bps": forecasts,
        "learned_against_given": found["weak"]["connectome"],
        "fits_cpu_s": costs,
    }


def forecast_bits(run: Path, files: list[Path]) -> float:
    """Bits per spike of all neurons of test trials after SEEN_S, over each neuron's mean there."""
    checkpoint = load(run / "best.pt")
    (session,) = sessions_of_run(checkpoint.layout, checkpoint.spec, files)
    with read_results(inferred(run.with_suffix(".h5"), run, files, ["--until-s", f"{SEEN_S:g}"])) as file:
        (group,) = session_groups(file)
        rates = group["rates/mean"][()]
    test, later = session.split == TEST, slice(round(SEEN_S / session.bin_s), None)
    return round(poisson_bits_per_spike(session.observation[test, later], rates[test, later]), 4)


def true_edges(file: Path) -> dict[Edge, float]:
    """The edges of a simulated animal, with the Frobenius norm of their weights."""
    known = read_truth(file).constants
    return {
        (source, target): float(known[f"gain_{source}_{target}"])
        for source, target in all_edges(AREAS)
        if known[f"edge_{source}_{target}"]
    }


def shuffled(edges: Mapping[Edge, float], seed: int) -> dict[Edge, float]:
    """As many other edges, with the same weights: the edges that are not there first."""
    rng = np.random.default_rng(seed)
    missing = [edge for edge in all_edges(AREAS) if edge not in edges]
    order = [missing[i] for i in rng.permutation(len(missing))] + [list(edges)[i] for i in rng.permutation(len(edges))]
    chosen = order[: len(edges)]
    return dict(zip(chosen, edges.values(), strict=True))


def write_table(path: Path, edges: Mapping[Edge, float]) -> None:
    rows = [f"{source},{target},{weight:g}" for (source, target), weight in edges.items()]
    path.write_text("\n".join(["source,target,weight", *rows]) + "\n")


def parse() -> argparse.Namespace:
    options = parser(__doc__, seed=None)
    options.add_argument("seeds", type=int, nargs="+", help="of the animals, and of their fits")
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(run(benchmark, parse()))
