"""The bar of reaching animals: is the objective found, in metres, and the command, in m/s^2?

Simulates animals with a seed of its own, fits the quickstart spec and the `mlp` ablation on the command line,
and scores test trials against the truth. One JSON object goes to stdout, talk to stderr; exit 8 below a bar.

    python tests/benchmarks/reach.py --seed 101 --goals disc --jumps 0.3 --work /tmp/reach
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kept_steps import fitted, inferred, parser, run, synthesised
from reach_animal import read_animals, read_inferred
from reach_scores import Runs, score
from timed_command import ROOT

SPEC = ROOT / "example_configs" / "quickstart.yaml"
BARS = {"objective": 0.95, "control": 0.80, "rates": 0.95}
INFERENCES: dict[str, list[str]] = {
    "smoothed": [],
    "causal": ["--causal"],
    "behavior_causal": ["--from", "behavior", "--causal"],
}


def parse() -> argparse.Namespace:
    options = parser(__doc__, seed=101)
    options.add_argument("--animals", type=int, default=3)
    options.add_argument("--trials", type=int, default=230, help="an animal; 160 of 230 are for training")
    options.add_argument("--goals", choices=["eight", "disc"], default="eight")
    options.add_argument("--jumps", type=float, help="share of trials whose target jumps; default the world's")
    options.add_argument("--epochs", type=int, help="default the spec's")
    options.add_argument("--no-mlp", dest="mlp", action="store_false", help="leave the ablation out")
    return options.parse_args()


def main() -> int:
    return run(benchmark, parse())


def benchmark(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Make, fit, infer and score; what `work` holds already is not made again."""
    files = animals_of(options, work / "data")
    settings = list(options.overrides) + ([] if options.epochs is None else [f"training.epochs={options.epochs}"])
    costs = {"setpoint": fitted(work / "setpoint", SPEC, files, settings, options.seed)}
    if options.mlp:
        costs["mlp"] = fitted(work / "mlp", SPEC, files, [*settings, "model.controller.kind=mlp"], options.seed)
    summary = json.loads((work / "setpoint" / "summary.json").read_text())
    constants = {row["animal"]: row["constants"] for row in summary["animals"]}
    found = {name: read_inferred(path) for name, path in inferences(work, files, options.mlp).items()}
    rows = []
    for animal in read_animals(work / "setpoint", files):
        runs = Runs(**{name: None if each is None else each[animal.name] for name, each in _all(found).items()})
        rows.append(score(animal, runs, constants[animal.name]))
    return {
        "world": {name: getattr(options, name) for name in ("seed", "animals", "trials", "goals", "jumps")},
        "settings": settings,
        "fits": costs,
        "signs": summary["starts"][summary["kept_start"]]["signs"],
        "animals": rows,
        "bars": BARS,
        "passed": passed(rows),
    }


def animals_of(options: argparse.Namespace, folder: Path) -> list[Path]:
    """The files of the simulated animals."""
    jumps = [] if options.jumps is None else ["--jumps", str(options.jumps)]
    sizes = ["--animals", str(options.animals), "--trials", str(options.trials), "--seed", str(options.seed)]
    return synthesised(folder, "reach", *sizes, "--goals", options.goals, *jumps)


def inferences(work: Path, files: Sequence[Path], mlp: bool) -> dict[str, Path]:
    """Results files by name, made where they are missing or older than the run."""
    wanted = {name: (work / "setpoint", arguments) for name, arguments in INFERENCES.items()}
    if mlp:
        wanted |= {"mlp": (work / "mlp", []), "mlp_causal": (work / "mlp", ["--causal"])}
    return {name: inferred(work / f"{name}.h5", folder, files, words) for name, (folder, words) in wanted.items()}


def _all(found: dict[str, Any]) -> dict[str, Any]:
    return {"mlp": None, "mlp_causal": None, **found}


def passed(rows: Sequence[dict[str, Any]]) -> dict[str, bool]:
    """Whether every animal meets each bar."""
    scores = {
        "objective": [row["objective"]["all"]["model"] for row in rows],
        "control": [row["control"]["control"]["model"] for row in rows],
        "rates": [row["rates"]["share_of_expected_bits"]["model"]["all"] for row in rows],
    }
    return {name: all(value >= BARS[name] for value in values) for name, values in scores.items()}


if __name__ == "__main__":
    sys.exit(main())
