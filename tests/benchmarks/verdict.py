"""The bar of the verdict: yes for animals that reach, no for animals that pursue nothing, and whose evidence it is.

Worlds: `reach`; `limit_cycle` and `random_walk`, whose body moves by itself; `shuffled`, reaches whose neurons were
exchanged between trials before anything was fitted. One animal a seed, the quickstart's model with fewer epochs, and
`ncyber evaluate` with its mlp refit. Each verdict is kept in WORK; what is there is not made again, so that seeds can
be added in pieces. One JSON object goes to stdout, talk to stderr; exit 8 below a bar.

    python tests/benchmarks/verdict.py --worlds reach limit_cycle --seeds 101 102 103 --work /tmp/verdict
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from timed_command import ROOT, ncyber

from ncyber_cli.worlds import reach
from ncyber_cli.worlds.to_nwb import save_animal

SPEC = ROOT / "example_configs" / "quickstart.yaml"
WANTED = {"reach": "yes", "limit_cycle": "no", "random_walk": "no", "shuffled": "by behavior"}
BAR = 0.95  # share of each group of worlds with the verdict that is wanted
GROUPS = {"reach": ["reach"], "no goal": ["limit_cycle", "random_walk"], "shuffled": ["shuffled"]}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="+", choices=list(WANTED), default=list(WANTED))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(101, 111)), help="of animals and fits")
    parser.add_argument("--trials", type=int, default=160, help="an animal; 112 of 160 are for training, 32 are scored")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--work", type=Path, required=True, help="keep files here, and go on from those that are there")
    return parser.parse_args()


def main() -> int:
    options = parse()
    for world in options.worlds:
        for seed in options.seeds:
            verdict_of(options, world, seed)
    report = summary([json.loads(path.read_text()) for path in sorted(options.work.glob("*/verdict.json"))])
    print(json.dumps(report, indent=2))
    return 0 if all(group["passed"] for group in report["groups"].values()) else 8


def verdict_of(options: argparse.Namespace, world: str, seed: int) -> None:
    """Make, fit and evaluate one animal, and keep what was found."""
    folder = options.work / f"{world}-{seed}"
    kept = folder / "verdict.json"
    if kept.exists():
        return
    file = animal_of(folder / "data", world, seed, options.trials)
    settings = [f"training.epochs={options.epochs}", *options.overrides]
    overrides = [word for setting in settings for word in ("--set", setting)]
    cost = 0.0
    if not (folder / "run" / "summary.json").exists():
        words = ["--seed", str(seed), "--quiet", "--overwrite", *overrides]
        cost += ncyber("fit", SPEC, file, "--out", folder / "run", *words).cpu_s
    cost += ncyber("evaluate", folder / "run", file, "--out", folder / "evaluation", "--quiet", "--overwrite").cpu_s
    metrics = json.loads((folder / "evaluation" / "metrics.json").read_text())
    verdict = metrics["verdict"]["all"]
    found = {
        "world": world,
        "seed": seed,
        "supported": verdict["supported"],
        "failed": verdict["failed"],
        "gains": metrics["gains"]["all"]["over"],
        "trials": metrics["gains"]["all"]["trials"],
        "cpu_s": round(cost, 1),
        "settings": settings,
    }
    kept.write_text(json.dumps(found, indent=2))


def animal_of(folder: Path, world: str, seed: int, trials: int) -> Path:
    """The recording of one animal."""
    file = folder / f"{'reach' if world == 'shuffled' else world}-1.nwb"
    if not file.exists():
        if world == "shuffled":
            save_animal(with_neurons_shuffled(seed, trials), file)
        else:
            ncyber("synth", world, "--out", folder, "--seed", str(seed), "--trials", str(trials))
    return file


def with_neurons_shuffled(seed: int, trials: int) -> Any:
    """A reaching animal whose neurons, all together, are those of another trial."""
    animal = reach.simulate(trials=trials, seed=seed)
    order = np.random.default_rng([seed, 7]).permutation(trials)
    return replace(animal, counts=animal.counts[order])


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts of each verdict by world, and the bars."""
    counts: dict[str, dict[str, int]] = {}
    for one in found:
        words = counts.setdefault(one["world"], {})
        words[one["supported"]] = words.get(one["supported"], 0) + 1
    groups = {}
    for name, worlds in GROUPS.items():
        own = [one for one in found if one["world"] in worlds]
        right = sum(one["supported"] == WANTED[one["world"]] for one in own)
        groups[name] = {"right": right, "of": len(own), "passed": not own or right >= BAR * len(own)}
    return {"counts": counts, "groups": groups, "verdicts": found}


if __name__ == "__main__":
    sys.exit(main())
