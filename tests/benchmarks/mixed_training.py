"""Does training on the model's own body make its closed loop better? Matched budgets, fresh animals, several seeds.

For every seed an animal is simulated and fitted twice, for the same number of epochs: with the recorded body fed back
in every training trial (teacher forcing), and with `inference.masking.closed_loop`. Then test trials are taken over
0.2 s after go: nothing recorded later enters, the objective is what had been found by then, and the loop runs on its
own body for a second. Trials whose target jumps after that are left out: no model can know. Beside the error stand
what mixed training might cost: objective, command, held-out neurons; and the objective from neurons alone, where the
model's own body is all there is. One JSON object goes to stdout; exit 8 where the error does not improve.

    python tests/benchmarks/mixed_training.py --seeds 401 402 403 [--closed-loop 0.3] [--work DIR]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from reach import SPEC
from reach_animal import Floats, Inferred, Mask, ReachAnimal, read_animals, read_inferred
from reach_scores import reach_bins
from timed_command import ncyber

from ncyber_cli.data.recording import TEST, TRAIN
from ncyber_cli.outputs.metrics import co_bps, control_r2, mean_counts, paired_bootstrap, r2
from ncyber_cli.outputs.read_results import read_results

FROM_S = 0.2  # after go
AHEAD_S = (0.2, 0.5, 1.0)
WINDOW_S = (-0.4, 1.2)  # every trial of the world lasts as long
SAMPLES = 16
INFERENCES = {
    "both": [],
    "neural": ["--from", "neural"],
    "causal": ["--causal"],
    "neural_causal": ["--from", "neural", "--causal"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[401, 402, 403])
    parser.add_argument("--closed-loop", type=float, default=0.3, help="share of trials at the end of training")
    parser.add_argument("--trials", type=int, default=230, help="an animal; 160 of 230 are for training")
    parser.add_argument("--epochs", type=int, default=110)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="both arms")
    parser.add_argument("--work", type=Path, help="keep files here, and go on from those that are there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        report = benchmark(options.work or Path(temporary), options)
    print(json.dumps(report, indent=2))
    return 0 if report["passed"] else 8


def benchmark(work: Path, options: argparse.Namespace) -> dict[str, Any]:
    rows, errors = [], []
    for seed in options.seeds:
        folder = work / str(seed)
        if not (folder / "data").exists():
            sizes = ["--animals", "1", "--trials", str(options.trials), "--seed", str(seed)]
            ncyber("synth", "reach", "--out", folder / "data", *sizes)
        files = sorted((folder / "data").glob("*.nwb"))
        arms = {"teacher": 0.0, "mixed": options.closed_loop}
        cost = {
            arm: fit_and_roll(folder / arm, files, share, options.epochs, seed, options.overrides)
            for arm, share in arms.items()
        }
        [animal] = read_animals(folder / "teacher", files)
        found = {arm: closed_loop_error(animal, folder / arm / "rollout.h5") for arm in arms}
        errors.append(found)
        for arm, error in found.items():
            row: dict[str, Any] = {"seed": seed, "arm": arm, "fit_cpu_s": cost[arm], "trials": len(error["goal"])}
            row["error_mm"] = {name: _millimetres(values) for name, values in error.items()}
            rows.append(row | other_scores(animal, folder / arm))
    difference = differences(errors)
    improved = difference[f"{AHEAD_S[-1]:g} s"]["interval"][1] < 0
    settings = {name: getattr(options, name) for name in ("seeds", "closed_loop", "trials", "epochs", "overrides")}
    return {"settings": settings, "fits": rows, "mixed_less_teacher_mm": difference, "passed": improved}


def fit_and_roll(
    run: Path, files: Sequence[Path], share: float, epochs: int, seed: int, overrides: Sequence[str]
) -> float | None:
    """Fit, roll out, infer; what is there already is not made again. CPU seconds of the fit."""
    cost = None
    if not (run / "best.pt").exists():
        settings = [*overrides, f"inference.masking.closed_loop={share}", f"training.epochs={epochs}"]
        settings += [f"training.patience={epochs}", f"data.trials.window_s=[{WINDOW_S[0]}, {WINDOW_S[1]}]"]
        words = [word for setting in settings for word in ("--set", setting)]
        cost = ncyber("fit", SPEC, *files, "--out", run, "--seed", str(seed), "--quiet", *words).cpu_s
    if not (run / "rollout.h5").exists():
        how = ["--from-s", str(FROM_S), "--objective", "inferred", "--samples", str(SAMPLES), "--no-noise"]
        ncyber("simulate", run, *files, "--out", run / "rollout.h5", *how)
    for name, arguments in INFERENCES.items():
        if not (run / f"{name}.h5").exists():
            ncyber("infer", run, *files, "--out", run / f"{name}.h5", *arguments)
    return cost


def closed_loop_error(animal: ReachAnimal, path: Path) -> dict[str, Floats]:
    """Distance of the mean rollout from the recorded hand, m, (trial,), by time after the takeover.

    Beside it that of the goal it pursues from the true one: no loop lands better than its goal.
    """
    session, test = animal.session, animal.rows(TEST)
    jump_s = animal.events_s["jump_time"][test] - session.event_s[test]
    known = np.isnan(jump_s) | (jump_s < FROM_S)
    with read_results(path) as file:
        rollout = file["rollouts"][
            f"rollout_{animal.name}_{session.session}"
        ]  # the baseline beside it may change its mind
        trials = [session.trial_id.index(trial) for trial in rollout["trial_id"].asstr()[:]]
        assert trials == test.tolist(), "some test trials were not taken over"
        position = rollout["body/sample"][:, :, :, :2].astype(np.float64).mean(0)
        goal = rollout["objectives/sample"][()].astype(np.float64).mean(0)
    distance = np.linalg.norm(position - session.body[test][..., :2], axis=-1)
    seen = round((FROM_S - WINDOW_S[0]) / session.bin_s)
    error = {f"{ahead:g} s": distance[known, seen - 1 + round(ahead / session.bin_s)] for ahead in AHEAD_S}
    return error | {"goal": np.linalg.norm(goal - animal.true["objective"][test], axis=-1)[known, seen]}


def other_scores(animal: ReachAnimal, run: Path) -> dict[str, float]:
    """What mixed training might cost, and what it might bring to inference from neurons alone; R2 raw."""
    found = {name: read_inferred(run / f"{name}.h5")[animal.name] for name in INFERENCES}
    session, test = animal.session, animal.rows(TEST)
    late, target = reach_bins(animal)["all"], animal.true["objective"]
    counts = session.observation.astype(np.float64)
    mean = mean_counts(counts[animal.rows(TRAIN)], session.mask[animal.rows(TRAIN)])
    rates = found["both"].mean["rates"][test]
    scores = {f"objective_r2, {name}": _objective_r2(target, each, late, test) for name, each in found.items()}
    scores["control_r2"] = control_r2(
        animal.true["control"][test], found["both"].mean["controls"][test], session.mask[test]
    )
    scores["co_bps"] = co_bps(counts[test], rates, session.held_out, training_mean=mean, mask=session.mask[test]).bits
    return {name: round(float(score), 4) for name, score in scores.items()}


def _objective_r2(target: Floats, found: Inferred, mask: Mask, rows: Any) -> float:
    return r2(target[rows], found.mean["objectives"][rows], mask[rows])


def differences(errors: Sequence[dict[str, dict[str, Floats]]]) -> dict[str, Any]:
    """Mixed less teacher, mm, by what is measured: mean over seeds and trials, and its bootstrap interval.

    Every seed has trials of its own: as many as the smallest has enter the bootstrap.
    """
    number = min(len(each["mixed"]["goal"]) for each in errors)
    found = {}
    for name in errors[0]["mixed"]:
        gain = [1e3 * (each["mixed"][name] - each["teacher"][name]) for each in errors]
        interval = paired_bootstrap(np.stack([one[:number] for one in gain]), np.random.default_rng(0))
        found[name] = {
            "mean": round(interval.mean, 2),
            "interval": [round(interval.low, 2), round(interval.high, 2)],
            "by_seed": [round(float(one.mean()), 2) for one in gain],
        }
    return found


def _millimetres(values: Floats) -> dict[str, float]:
    return {"mean": round(1e3 * float(values.mean()), 2), "median": round(1e3 * float(np.median(values)), 2)}


if __name__ == "__main__":
    sys.exit(main())
