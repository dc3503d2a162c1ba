"""The bar of closed loops: taken over 300 ms after go, does the fitted animal go on as the simulated one did?

Fits one run to reaching animals (jumps and pushes among their trials) and rolls out trials that it never saw: calm
ones, the same with a push that comes later and is given as a force, and the same with twice the mass. From 0.3 s
after go on nothing recorded enters but that force, and the objective stays what was inferred by then. One JSON object
goes to stdout, talk to stderr; exit 8 below a bar.

    PYTHONPATH=. python tests/benchmarks/closed_loop.py --seed 501 --work /tmp/closed_loop

The bars, all fixed beforehand: the rollouts' median end point within the inferred goal's own error and 10 % of the
reach; median correlation of speed profiles 0.9; in 90 % of the pushed trials the correction (mean change of the
command in 0.3 s from the push on, against the same rollouts without it) within 45 degrees of the animal's own; with
twice the mass in the world and in --body, landing within 10 % of the reach and the goal's error of where the
heavier animal itself has come to by then. Any controller that pulls towards something corrects a push, and any reach
slows down: the usual speed of a reach stands beside.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from closed_loop_scores import corrections, landing, median_end_distance
from kept_steps import fitted, parser, run, synthesised
from numpy.typing import NDArray
from reach_animal import ReachAnimal, read_animals
from timed_command import ROOT, ncyber

from ncyber_cli.data.recording import TRAIN
from ncyber_cli.outputs.read_results import read_results

SPEC = ROOT / "example_configs" / "quickstart.yaml"
FROM_S = 0.3  # after go
CORRECTION_S = 0.3  # after the push
WORLDS: dict[str, list[str]] = {
    "calm": ["--jumps", "0", "--pulses", "0"],
    "pushed": ["--jumps", "0", "--pulses", "1"],
    "heavy": ["--jumps", "0", "--pulses", "0", "--mass-scale", "2"],
}
Floats = NDArray[np.float64]
Rollouts = dict[str, dict[str, Floats]]  # by animal and group


def parse() -> argparse.Namespace:
    options = parser(__doc__, seed=501)
    options.add_argument("--animals", type=int, default=1)
    options.add_argument("--trials", type=int, default=230, help="an animal, for the fit; 160 of 230 are for training")
    options.add_argument("--unseen", type=int, default=60, help="trials an animal to roll out, of each kind")
    options.add_argument("--goals", choices=["eight", "disc"], default="eight")
    options.add_argument("--samples", type=int, default=8)
    return options.parse_args()


def main() -> int:
    return run(benchmark, parse(), lambda report: all(all(row["passed"].values()) for row in report["animals"]))


def benchmark(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Make, fit, roll out and score; what `work` holds already is not made again."""
    train = made(work / "train", options, options.trials, [])
    unseen = {name: made(work / name, options, options.unseen, words) for name, words in WORLDS.items()}
    unseen["spared"] = [without_force(path, work / "spared") for path in unseen["pushed"]]
    cost = fitted(work / "run", SPEC, train, options.overrides, options.seed)
    no_objective = ",".join(
        f"{value:g}" for value in read_animals(work / "run", train)[0].session.body[:, 0, :2].mean(0)
    )
    held = ["--objective", "inferred"]
    done = {
        "calm": ("calm", held),
        "aimless": ("calm", ["--objective", no_objective]),
        "pushed": ("pushed", held),
        "spared": ("spared", held),
        "told": ("heavy", [*held, "--body", "mass=x2"]),
        "untold": ("heavy", held),
    }
    rollouts = {
        name: rolled_out(work, name, unseen[world], words, options.samples) for name, (world, words) in done.items()
    }
    animals = {name: read_animals(work / "run", files) for name, files in unseen.items()}
    fitted_to = read_animals(work / "run", train)
    rows = []
    for i, animal in enumerate(fitted_to):
        worlds = {name: found[i] for name, found in animals.items()}
        rows.append(score(worlds, rollouts, usual_speed(animal)))
    world = {name: getattr(options, name) for name in ("seed", "animals", "trials", "unseen", "goals", "samples")}
    return {"world": world, "settings": options.overrides, "fit": cost, "animals": rows}


def made(folder: Path, options: argparse.Namespace, trials: int, words: Sequence[str]) -> list[Path]:
    """The files of simulated animals; the same seed is the same animals, whatever they do."""
    sizes = ["--animals", str(options.animals), "--trials", str(trials), "--seed", str(options.seed)]
    return synthesised(folder, "reach", *sizes, "--goals", options.goals, *words)


def without_force(path: Path, folder: Path) -> Path:
    """The same recording, its force said to be none: what a rollout does from there on is not pushed."""
    folder.mkdir(exist_ok=True)
    copy = folder / path.name
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        names: list[str] = []
        file.visit(lambda name: names.append(name) if name.endswith("external_force/data") else None)
        [name] = names
        file[name][...] = 0
    return copy


def rolled_out(work: Path, name: str, files: Sequence[Path], words: Sequence[str], samples: int) -> Rollouts:
    out = work / f"{name}.h5"
    start = ["--from-s", str(FROM_S), "--samples", str(samples), "--split", "all", "--overwrite"]
    ncyber("simulate", work / "run", *files, "--out", out, *start, *words)
    found: Rollouts = {}
    with read_results(out) as file:
        for group in file["rollouts"].values():
            if group.attrs["rollout"] == "rollout":
                parts = ("body", "objectives", "controls")
                found[str(group.attrs["animal"])] = {part: group[part]["sample"][()].astype(float) for part in parts}
    return found


def usual_speed(animal: ReachAnimal) -> Floats:
    """(time,) mean speed of the training trials."""
    speed = np.linalg.norm(animal.session.body[animal.rows(TRAIN), :, 2:], axis=2)
    return np.asarray(np.nanmean(speed, axis=0), np.float64)


def score(worlds: dict[str, ReachAnimal], rollouts: dict[str, Rollouts], speed: Floats) -> dict[str, Any]:
    """Every figure of one animal, and which bars it meets."""
    name = worlds["calm"].name
    calm = landed(worlds["calm"], rollouts["calm"][name], speed)
    aimless = landed(worlds["calm"], rollouts["aimless"][name], speed)
    calm["end_point_m"]["no objective"] = aimless["end_point_m"]["rollout"]
    calm["velocity_profile"]["no objective"] = aimless["velocity_profile"]["rollout"]
    heavy = landed(worlds["heavy"], rollouts["told"][name], speed)
    untold = landed(worlds["heavy"], rollouts["untold"][name], speed)
    push = pushes(worlds, rollouts["pushed"][name], rollouts["spared"][name])
    end, miss = calm["end_point_m"], heavy["end_point_m"]
    passed = {
        "end_point": end["rollout"] <= end["inferred goal"] + 0.1 * calm["reach_m"],
        "velocity_profile": calm["velocity_profile"]["rollout"] >= 0.9,
        "correction": push["within_45_degrees"] >= 0.9,
        "heavy": miss["rollout"] <= miss["inferred goal"] + miss["recorded"] + 0.1 * heavy["reach_m"],
    }
    figures = {"calm": calm, "pushed": push, "heavy, told": heavy, "heavy, untold": untold}
    return {"animal": name, **figures, "passed": passed}


def own_bins(animal: ReachAnimal) -> NDArray[np.bool_]:
    """The bins (trial, time) that end later than the start of the rollouts."""
    session = animal.session
    end_s = session.time_s - session.event_s[:, None] + session.bin_s / 2
    return session.mask & (end_s > FROM_S + 1e-6)


def landed(animal: ReachAnimal, found: dict[str, Floats], speed: Floats) -> dict[str, Any]:
    target = np.stack([animal.events_s["final_target_x"], animal.events_s["final_target_y"]], axis=1)
    recorded = animal.session.body.astype(np.float64)
    figures = landing(found["body"], found["objectives"], recorded, target, own_bins(animal), speed)
    return figures | {"reach_m": float(np.median(np.linalg.norm(target - recorded[:, 0, :2], axis=1)))}


def pushes(worlds: dict[str, ReachAnimal], pushed: dict[str, Floats], spared: dict[str, Floats]) -> dict[str, Any]:
    """Trials whose push begins after the rollouts do and leaves time to answer it."""
    animal = worlds["pushed"]
    session, onset_s = animal.session, animal.events_s["pulse_time"]
    since = session.time_s - onset_s[:, None]
    window = session.mask & (since > 0) & (since < CORRECTION_S)
    own = own_bins(animal)
    later = (onset_s - session.event_s > FROM_S) & (window.sum(1) >= round(CORRECTION_S / session.bin_s) - 1)
    true = [worlds[name].true["control"][later] for name in ("pushed", "calm")]
    found = [each["controls"][:, later] for each in (pushed, spared)]
    figures: dict[str, Any] = corrections(*found, *true, window[later])
    moved = [each["body"][:, later][:, :, :, :2].mean(0) for each in (pushed, spared)]
    truly = [worlds[name].session.body[later, :, :2] for name in ("pushed", "calm")]
    for name, pair in (("peak_moved_m", moved), ("true_peak_moved_m", truly)):
        apart = np.where(own[later], np.linalg.norm(pair[0] - pair[1], axis=2), 0.0)
        figures[name] = float(np.median(apart.max(1)))
    target = np.stack([animal.events_s["final_target_x"], animal.events_s["final_target_y"]], axis=1)
    figures["end_point_m"] = median_end_distance(pushed["body"][:, later], target[later], own[later])
    return figures | {"chance_within_45_degrees": 0.25}


if __name__ == "__main__":
    sys.exit(main())
