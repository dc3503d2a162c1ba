"""The bar of reaching animals: is the objective found, in metres, and the command, in m/s^2?

Simulates animals with a seed of its own, fits the quickstart spec and the `mlp` ablation on the command line,
and scores test trials against the truth. One JSON object goes to stdout, talk to stderr; exit 8 below a bar.

    python tests/benchmarks/reach.py --seed 101 --goals disc --jumps 0.3 --work /tmp/reach
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reach_animal import read_animals, read_inferred
from reach_scores import Runs, score
from timed_command import ROOT, ncyber

SPEC = ROOT / "example_configs" / "quickstart.yaml"
BARS = {"objective": 0.95, "control": 0.80, "rates": 0.95}
INFERENCES: dict[str, list[str]] = {
    "smoothed": [],
    "causal": ["--causal"],
    "behavior_causal": ["--from", "behavior", "--causal"],
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=101, help="of the animals and of the fit")
    parser.add_argument("--animals", type=int, default=3)
    parser.add_argument("--trials", type=int, default=230, help="an animal; 160 of 230 are for training")
    parser.add_argument("--goals", choices=["eight", "disc"], default="eight")
    parser.add_argument("--jumps", type=float, help="share of trials whose target jumps; default the world's")
    parser.add_argument("--epochs", type=int, help="default the spec's")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--work", type=Path, help="keep files here, and go on from those that are there")
    parser.add_argument("--no-mlp", dest="mlp", action="store_false", help="leave the ablation out")
    return parser.parse_args()


def main() -> int:
    options = parse()
    with tempfile.TemporaryDirectory() as scratch:
        report = benchmark(options, options.work or Path(scratch))
    print(json.dumps(report, indent=2))
    return 0 if all(report["passed"].values()) else 8


def benchmark(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Make, fit, infer and score; what `work` holds already is not made again."""
    files = animals_of(options, work / "data")
    settings = list(options.overrides) + ([] if options.epochs is None else [f"training.epochs={options.epochs}"])
    costs = {"setpoint": fitted(work / "setpoint", files, settings, options.seed)}
    if options.mlp:
        costs["mlp"] = fitted(work / "mlp", files, [*settings, "model.controller.kind=mlp"], options.seed)
    summary = json.loads((work / "setpoint" / "summary.json").read_text())
    constants = {row["animal"]: row["constants"] for row in summary["animals"]}
    inferred = {name: read_inferred(path) for name, path in inferences(work, files, options.mlp).items()}
    rows = []
    for animal in read_animals(work / "setpoint", files):
        runs = Runs(**{name: None if found is None else found[animal.name] for name, found in _all(inferred).items()})
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
    if not folder.exists():
        jumps = [] if options.jumps is None else ["--jumps", str(options.jumps)]
        sizes = ["--animals", str(options.animals), "--trials", str(options.trials), "--seed", str(options.seed)]
        ncyber("synth", "reach", "--out", folder, *sizes, "--goals", options.goals, *jumps)
    return sorted(folder.glob("*.nwb"))


def fitted(run: Path, files: Sequence[Path], settings: Sequence[str], seed: int) -> dict[str, float]:
    """Fit into `run`; what that cost."""
    kept = run.with_suffix(".cost.json")
    if not kept.exists():
        overrides = [word for setting in settings for word in ("--set", setting)]
        cost = ncyber("fit", SPEC, *files, "--out", run, "--seed", str(seed), "--quiet", "--overwrite", *overrides)
        kept.write_text(json.dumps(asdict(cost)))
    found: dict[str, float] = json.loads(kept.read_text())
    return found


def inferences(work: Path, files: Sequence[Path], mlp: bool) -> dict[str, Path]:
    """Results files by name, made where they are missing or older than the run."""
    wanted = {name: (work / "setpoint", arguments) for name, arguments in INFERENCES.items()}
    if mlp:
        wanted |= {"mlp": (work / "mlp", []), "mlp_causal": (work / "mlp", ["--causal"])}
    paths = {}
    for name, (run, arguments) in wanted.items():
        paths[name] = work / f"{name}.h5"
        if not paths[name].exists() or paths[name].stat().st_mtime < (run / "best.pt").stat().st_mtime:
            ncyber("infer", run, *files, "--out", paths[name], "--overwrite", *arguments)
    return paths


def _all(inferred: dict[str, Any]) -> dict[str, Any]:
    return {"mlp": None, "mlp_causal": None, **inferred}


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
