"""Does a controller that was tuned in the model do better in the world?

Simulates reaching animals, fits them, tunes their controllers for a precise and for an effortless reach with
`ncyber design`, and lets the brains act, with the fitted and with the tuned controllers, in the animals' true plant:
ncyber/Reach-v0 with each animal's own mass, muscle, motor noise and pulses. The same seeds, so every trial is a
pair. One JSON object goes to stdout, talk to stderr; exit 8 where the cost does not fall, in the model or the world.

    python tests/benchmarks/design.py --seed 311 --work /tmp/design
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from kept_steps import fitted, once, parser, run, synthesised
from numpy.typing import NDArray
from timed_command import ROOT, ncyber

from ncyber_cli.outputs.metrics.evidence import paired_bootstrap
from ncyber_cli.outputs.read_results import read_results
from ncyber_cli.worlds.reach_animal import draw_animal
from ncyber_cli.worlds.reach_task import REACH_M

SPEC = ROOT / "example_configs" / "quickstart.yaml"
# Weights by task; what may move is the feedback law: the gate, which waits for the go cue, stays the animal's.
TASKS = {"precise": {"end": 1.0, "path": 1.0}, "effortless": {"end": 1.0, "effort": 3e-4}}
TUNED = "stiffness,damping,factor,bound"
ENDLESS = 1e9  # the episode goes on when the target is reached, so that costs are those of whole reaches
Floats = NDArray[np.float64]


def parse() -> argparse.Namespace:
    options = parser(__doc__, seed=311, seeds="of the animals, the fit, the noise and the worlds")
    options.add_argument("--animals", type=int, default=2)
    options.add_argument("--trials", type=int, default=140, help="an animal, for the fit")
    options.add_argument("--epochs", type=int, default=60)
    options.add_argument("--updates", type=int, default=60, help="of each design")
    options.add_argument("--reaches", type=int, default=64, help="an animal, in the true plant")
    return options.parse_args()


def main() -> int:
    return run(benchmark, parse())


def benchmark(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Make, fit, tune and act; what `work` holds already is not made again."""
    sizes = ["--animals", str(options.animals), "--trials", str(options.trials), "--seed", str(options.seed)]
    files = synthesised(work / "data", "reach", *sizes, "--goals", "disc")
    settings = [f"training.epochs={options.epochs}", *options.overrides]
    costs = {"fit": fitted(work / "fit", SPEC, files, settings, options.seed)}
    costs |= {task: designed(options, work, task) for task in TASKS}
    tasks = {}
    for task, weights in TASKS.items():
        summary = json.loads((work / task / "summary.json").read_text())
        animals = [
            {
                "animal": row["animal"],
                "in the model": {name: row[name] for name in ("cost_before", "cost_after", "change", "low", "high")},
                "in the world": in_the_world(options, work, task, weights, index),
                "terms in the model": {"before": row["terms_before"], "after": row["terms_after"]},
                "constants after": {name: found["value"] for name, found in row["constants"].items()},
            }
            for index, row in enumerate(summary["animals"])
        ]
        tasks[task] = {"cost": weights, "tuned": TUNED, "animals": animals}
    return {
        "options": {name: value for name, value in vars(options).items() if name != "work"},
        "commands": costs,
        "tasks": tasks,
        "passed": {
            f"{task} {place}": all(row[place]["high"] < 0 for row in found["animals"])
            for task, found in tasks.items()
            for place in ("in the model", "in the world")
        },
    }


def designed(options: argparse.Namespace, work: Path, task: str) -> dict[str, float]:
    """Tune for eight goals on the rim of the disc."""
    angles = np.arange(8) * np.pi / 4
    goals = [f"--objective={REACH_M * np.cos(a):.4f},{REACH_M * np.sin(a):.4f}" for a in angles]
    cost = ",".join(f"{name}={weight:g}" for name, weight in TASKS[task].items())
    words = ["--cost", cost, "--tune", TUNED, "--updates", str(options.updates), "--seed", str(options.seed)]
    target = work / task
    return once(target, ["design", work / "fit", *goals, *words, "--out", target, "--quiet", "--overwrite"])


def in_the_world(
    options: argparse.Namespace, work: Path, task: str, weights: dict[str, float], index: int
) -> dict[str, Any]:
    """Cost of the same reaches of one animal with the fitted and with the tuned controller, in its true plant.

    Beside it, as a null, what they cost with the controller that was tuned for the other task.
    """
    terms = {run: acted(options, work, run, index) for run in ("fit", *TASKS)}
    costs = {run: sum(weights[name] * found[name] for name in weights) for run, found in terms.items()}
    (other,) = set(TASKS) - {task}
    interval = paired_bootstrap((costs[task] - costs["fit"])[None], np.random.default_rng(options.seed))
    return {
        "cost_before": float(costs["fit"].mean()),
        "cost_after": float(costs[task].mean()),
        "cost_of_the_other_controller": float(costs[other].mean()),
        "change": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "terms": {run: {name: float(terms[run][name].mean()) for name in weights} for run in ("fit", task)},
        "median end error (m)": {run: float(np.median(np.sqrt(terms[run]["end"]))) for run in ("fit", task)},
    }


def acted(options: argparse.Namespace, work: Path, run: str, index: int) -> dict[str, Floats]:
    """Terms of the cost of each reach, (reach,), from the recorded bodies, commands and the environment's targets."""
    out, world = work / f"{run}-{index + 1}.h5", work / f"world-{index + 1}.yaml"
    world.write_text(json.dumps({"gym": true_plant(options.seed, index)}))
    if not out.exists() or out.stat().st_mtime < (work / run / "best.pt").stat().st_mtime:
        words = ["--trials", str(options.reaches), "--seed", str(options.seed), "--animal", f"reach-{index + 1}"]
        place = ["--env", "ncyber/Reach-v0", "--env-map", world, "--objective", "env"]
        ncyber("simulate", work / run, "--out", out, "--overwrite", *words, *place)
    with read_results(out) as results:
        (group,) = results["rollouts"].values()
        assert group["mask"][()].all(), "a reach was cut short"
        body, goal, command = (
            group[name]["sample"][0].astype(np.float64) for name in ("body", "objectives", "controls")
        )
    distance = np.square(body[:, :, :2] - goal).sum(2)
    effort = np.square(command[:, 1:]).sum(2).mean(1)
    return {"end": distance[:, -1], "path": distance.mean(1), "effort": effort}


def true_plant(seed: int, index: int) -> dict[str, Any]:
    """The animal's own mass, muscle and noise; it is sent commands, since it has a muscle of its own."""
    body = draw_animal(index, seed).body
    return {
        "observation": {"position": {"entries": [0, 1]}, "velocity": {"entries": [2, 3]}},
        "action": {"entries": [0, 1], "send": "control"},
        "objective": {"entries": [4, 5]},
        "make": {
            "goals": "eight",
            "mass_kg": body.mass_kg,
            "muscle_lag_s": body.muscle_lag_s,
            "motor_noise": body.motor_noise,
            "process_noise_m_s2": body.process_noise_m_s2,
            "noise_time_s": body.noise_time_s,
            "pulse_probability": 0.3,
            "landed_s": ENDLESS,
        },
    }


if __name__ == "__main__":
    sys.exit(main())
