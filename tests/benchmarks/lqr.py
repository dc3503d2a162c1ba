"""The bar of inverse optimal control: are the ratios of an animal's cost weights found within 20 %?

Simulates animals whose weights are known, fits example_configs/lqr.yaml on the command line and compares. Three ratios
an animal, of weights averaged (geometrically) over its axes: position to effort, velocity to effort, position to
velocity. The nulls are the weights that the fit starts from, and the animal's with those of another. One
JSON object goes to stdout, talk to stderr; exit 8 below the bar.

    python tests/benchmarks/lqr.py --seed 501 --work /tmp/lqr
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kept_steps import fitted, inferred, parser, run, synthesised
from reach_animal import ReachAnimal, read_animals, read_inferred
from reach_scores import control_scores, reach_bins
from timed_command import ROOT

from ncyber_cli.data.recording import TEST
from ncyber_cli.model.controller.setpoint import DAMPING, STIFFNESS
from ncyber_cli.outputs.metrics import r2
from ncyber_cli.outputs.metrics.nulls import EndPoint

SPEC = ROOT / "example_configs" / "lqr.yaml"
BAR = 0.20
START = {"position": STIFFNESS**2, "velocity": DAMPING**2 - 2 * STIFFNESS}
TRUTH = {"position": "position_weight_{}_per_s4", "velocity": "velocity_weight_{}_per_s2"}
AXES = (0, 1)


def parse() -> argparse.Namespace:
    options = parser(__doc__, seed=501)
    options.add_argument("--animals", type=int, default=3)
    options.add_argument("--trials", type=int, default=230, help="an animal; 160 of 230 are for training")
    return options.parse_args()


def main() -> int:
    return run(benchmark, parse(), lambda report: report["passed"])


def benchmark(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Make, fit, infer and compare; what `work` holds already is not made again."""
    sizes = ["--animals", str(options.animals), "--trials", str(options.trials), "--seed", str(options.seed)]
    files, folder = synthesised(work / "data", "lqr", *sizes), work / "run"
    cost = fitted(folder, SPEC, files, options.overrides, options.seed)
    results = read_inferred(inferred(work / "smoothed.h5", folder, files, []))
    summary = json.loads((folder / "summary.json").read_text())
    found = {row["animal"]: row for row in summary["animals"]}
    animals = read_animals(folder, files)
    truth = {animal.name: true_weights(animal) for animal in animals}
    rows = []
    for index, animal in enumerate(animals):
        other = truth[animals[(index + 1) % len(animals)].name]
        rows.append(
            {
                "animal": animal.name,
                "ratios": ratio_errors(truth[animal.name], found[animal.name]["constants"], other),
                "constants": constants(animal, found[animal.name]["constants"]),
                "not_told_apart": found[animal.name]["not_told_apart"],
                "objective": objective(animal, results[animal.name].mean["objectives"]),
                "control": control_scores(animal, results[animal.name]),
            }
        )
    worst = max(abs(ratio["error"]) for row in rows for ratio in row["ratios"].values())
    return {
        "world": {name: getattr(options, name) for name in ("seed", "animals", "trials")},
        "settings": options.overrides,
        "fit": cost,
        "signs": summary["starts"][summary["kept_start"]]["signs"],
        "animals": rows,
        "bar": BAR,
        "worst_error": worst,
        "passed": worst <= BAR,
    }


def true_weights(animal: ReachAnimal) -> dict[str, list[float]]:
    """Weights over that of effort, an axis each."""
    return {name: [animal.truth.constants[key.format(axis)] for axis in AXES] for name, key in TRUTH.items()}


def ratio_errors(
    true: Mapping[str, Sequence[float]], found: Mapping[str, Any], other: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, Any]]:
    """Found over true less one: the model's, each axis' own, and the nulls'."""
    model = {name: found[f"{name}_weight"]["value"] for name in TRUTH}
    start = {name: [value] * len(AXES) for name, value in START.items()}

    def error(estimate: Mapping[str, Sequence[float]], powers: Mapping[str, int], axes: Sequence[int] = AXES) -> float:
        logs = [
            powers[name] * (math.log(estimate[name][axis]) - math.log(true[name][axis]))
            for name in powers
            for axis in axes
        ]
        return round(math.exp(sum(logs) / len(axes)) - 1, 4)

    ratios = {
        "position to effort": {"position": 1},
        "velocity to effort": {"velocity": 1},
        "position to velocity": {"position": 1, "velocity": -1},
    }
    return {
        name: {
            "error": error(model, powers),
            "error_by_axis": [error(model, powers, [axis]) for axis in AXES],
            "null: starting weights": error(start, powers),
            "null: another animal's": error(other, powers),
        }
        for name, powers in ratios.items()
    }


def constants(animal: ReachAnimal, found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the fit says of the animal's physics beside the truth, with the sd that it claims for the logarithm."""
    names = {
        "bound": "bound_m_s2",
        "muscle_lag": "muscle_lag_s",
        "mass": "mass_kg",
        "feedback_delay": "delay_s",
    }
    rows: dict[str, dict[str, Any]] = {
        name: {"true": animal.truth.constants[key], "found": found[name]["value"], "log_sd": found[name]["log_sd"]}
        for name, key in names.items()
    }
    for name, values in true_weights(animal).items():
        weight = found[f"{name}_weight"]
        rows[f"{name}_weight"] = {"true": values, "found": weight["value"], "log_sd": weight["log_sd"]}
    return rows


def objective(animal: ReachAnimal, found: Any) -> dict[str, float]:
    """R2 from go + 4 bins on, on test trials, raw in metres, beside the end point's."""
    target, bins, test = animal.true["objective"], reach_bins(animal)["all"], animal.rows(TEST)
    estimates = {"model": found, "end point": animal.null(EndPoint(), target)}
    return {name: round(r2(target[test], each[test], bins[test]), 4) for name, each in estimates.items()}


if __name__ == "__main__":
    sys.exit(main())
