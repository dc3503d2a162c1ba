"""Animals that share a kind of dynamics: few-shot forecasts of new ones, and what the embeddings mean; prints JSON.

Continuous activity: `example_configs/oscillators.yaml` is fitted to 30 oscillators, half limit cycles and half
Duffing, and adapted to three new ones with 1, 8 and 16 of their trials. Forecasts see the first 70 bins of test trials
and are scored on the next 30 against what was recorded: R2 around each channel's training mean, with persistence, a
model fitted to the same trials from scratch, and the true equations (nothing but their noise is left) beside it.

Spikes: 300 neurons at 0.05 spikes a bin, limit cycles, one number an animal. R2 of the inferred rates of test trials,
and the rank correlation of that number with the true frequency, both of animals that were fitted.

Contexts: six animals whose trials have a speed, a context of the spec; two of five speeds are in no training trial.
Forecasts of test trials of seen and unseen speeds, by a model that is told of them and by one that is not.

    python tests/benchmarks/oscillators.py [--seed 401] [--animals 30] [--bins 100] [--parts continuous spikes contexts]

Long trials are trained on in windows: --bins 1200 --set training.window_s=2 --set inference.samples=8, and for the
continuous part --trials 24 --set training.epochs=24, for spikes --trials 8 --set training.epochs=70.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import h5py
import kept_steps
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from timed_command import ROOT, ncyber

from ncyber_cli.outputs.read_results import read_results, session_groups, texts
from ncyber_cli.worlds.oscillators import BIN_S, TRIAL_BINS, UNSEEN, flow
from ncyber_cli.worlds.to_nwb import GAP_S
from ncyber_cli.worlds.truth import Truth, read_truth

PARTS = ("continuous", "spikes", "contexts")
SPEC = ROOT / "example_configs" / "oscillators.yaml"
SPIKES = [
    "data.neural=[{source: units, kind: spikes}]",
    "model.emission={kind: poisson}",
    "model.animals={embedding: 1, rank: 6}",
    "inference.dropout.share=0.5",  # 140 spikes a neuron are soon known by heart
]
NEW, SHOTS, SEEN, AHEAD = 3, (1, 8, 16), 70, 30
FORECAST_BARS = {1: 0.72, 8: 0.85, 16: 0.90}
RATE_BAR, RANK_BAR = 0.87, 0.97
_EULER = 100  # steps a bin
Floats = NDArray[np.float64]


def benchmark(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    report: dict[str, Any] = {"seed": options.seed, "animals": options.animals, "bins": options.bins, "passed": {}}
    if "continuous" in options.parts:
        report["continuous"] = continuous(options, work / "continuous")
        for shots, found in report["continuous"]["new"].items():
            bar = FORECAST_BARS[int(shots)]
            report["passed"][f"forecast_r2 with {shots} >= {bar}"] = found["forecast_r2"] >= bar
    if "spikes" in options.parts:
        report["spikes"] = spikes(options, work / "spikes")
        report["passed"][f"rate_r2 >= {RATE_BAR}"] = report["spikes"]["rate_r2"] >= RATE_BAR
        report["passed"][f"rank >= {RANK_BAR}"] = abs(report["spikes"]["rank_correlation"]) >= RANK_BAR
    if "contexts" in options.parts:
        report["contexts"] = found = contexts(options, work / "contexts")
        told, ignorant = found["told"]["unseen"], found["not_told"]["unseen"]
        report["passed"]["unseen contexts: told better than not"] = told > ignorant
    return report


def continuous(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    files = animals(options, work, "both", "continuous")
    old, new = files[:-NEW], files[-NEW:]
    cost = kept_steps.fitted(work / "run", SPEC, old, options.overrides, options.seed)
    found: dict[str, Any] = {"fit_cpu_s": cost["cpu_s"], "trained": forecast(options, work / "run", old), "new": {}}
    for shots in SHOTS:
        adapted = []
        for file in new:
            run = work / f"{file.stem}-{shots}"
            kept_steps.once(run, ["adapt", work / "run", file, "--out", run, "--trials", str(shots), "--quiet"])
            adapted.append(forecast(options, run, [file], shots))
        found["new"][str(shots)] = together(adapted) | {"animals": adapted}
    return found


def spikes(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    files = animals(options, work, "limit_cycle", "spikes")[:-NEW]
    cost = kept_steps.fitted(work / "run", SPEC, files, [*SPIKES, *options.overrides], options.seed)
    results = kept_steps.inferred(work / "rates.h5", work / "run", files, [])
    individuals = work / "individuals.json"
    if not individuals.exists():
        ncyber("compare", work / "run", "--out", individuals, "--draws", "0")
    number = {each["animal"]: each["embedding"]["mean"][0] for each in json.loads(individuals.read_text())["animals"]}
    scores, frequency, place = [], [], []
    with read_results(results) as file:
        for group, path in of_files(file, files):
            truth = read_truth(path)
            test, train = (np.array(texts(group["split"])) == part for part in ("test", "train"))
            rate = in_trials(truth.series["rate"].values, len(test), options.bins)
            scores.append(r2(group["rates/mean"][()][test], rate[test], rate[train].mean((0, 1))))
            frequency.append(truth.constants["frequency_hz"])
            place.append(number[truth.animal])
    rank = float(spearmanr(place, frequency).statistic)
    return {"fit_cpu_s": cost["cpu_s"], "rate_r2": float(np.mean(scores)), "rate_r2_lowest": min(scores)} | {
        "rank_correlation": rank
    }


def contexts(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    work.mkdir(parents=True, exist_ok=True)
    words = ["--contexts", "--animals", "6", "--trials", "60", "--seed", str(options.seed)]
    files = kept_steps.synthesised(work / "data", "oscillators", *words)
    told = ["data.inputs={speed: {column: speed, kind: context}}"]
    found: dict[str, Any] = {}
    for name, settings in (("told", told), ("not_told", [])):
        run = work / name
        kept_steps.fitted(run, SPEC, files, ["data.split.column=split", *settings, *options.overrides], options.seed)
        results = kept_steps.inferred(run.with_suffix(".h5"), run, files, ["--until-s", f"{SEEN * BIN_S:g}"])
        scores: dict[str, list[float]] = {"seen": [], "unseen": []}
        with read_results(results) as file:
            for group, path in of_files(file, files):
                split, speed = np.array(texts(group["split"])), read_truth(path).trials["speed"]
                recorded = in_trials(recorded_activity(path), len(split), TRIAL_BINS)[:, : SEEN + AHEAD]
                mean, guess = recorded[split == "train"].mean((0, 1)), group["rates/mean"][()]
                for part, rows in (("seen", ~np.isin(speed, UNSEEN)), ("unseen", np.isin(speed, UNSEEN))):
                    rows = rows & (split == "test")
                    scores[part].append(r2(guess[rows, SEEN : SEEN + AHEAD], recorded[rows, SEEN:], mean))
        found[name] = {part: float(np.mean(each)) for part, each in scores.items()}
    return found


def animals(options: argparse.Namespace, work: Path, family: str, activity: str) -> list[Path]:
    words = ["--family", family, "--activity", activity, "--trials", str(options.trials), "--bins", str(options.bins)]
    total = ["--animals", str(options.animals + NEW), "--seed", str(options.seed)]
    work.mkdir(parents=True, exist_ok=True)
    files = kept_steps.synthesised(work / "data", "oscillators", *words, *total)
    return sorted(files, key=lambda path: int(path.stem.rpartition("-")[2]))


def forecast(options: argparse.Namespace, run: Path, files: list[Path], shots: int | None = None) -> dict[str, Any]:
    """Means over animals of the scores of forecasts of test trials; the linear null sees what the run saw."""
    results = kept_steps.inferred(run.with_suffix(".h5"), run, files, ["--until-s", f"{SEEN * BIN_S:g}"])
    scores = []
    with read_results(results) as file:
        for group, path in of_files(file, files):
            truth, split = read_truth(path), np.array(texts(group["split"]))
            recorded = in_trials(recorded_activity(path), len(split), options.bins)
            train, test = np.flatnonzero(split == "train")[:shots], split == "test"
            mean, future = recorded[train].mean((0, 1)), recorded[test, SEEN : SEEN + AHEAD]
            guesses = {
                "forecast_r2": group["rates/mean"][()][test, SEEN : SEEN + AHEAD],
                "persistence_r2": np.repeat(recorded[test, SEEN - 1 : SEEN], AHEAD, axis=1),
                "linear_r2": linear_forecast(recorded[train], recorded[test, :SEEN]),
                "equations_r2": by_equations(truth, test, options.bins),
            }
            scores.append({name: r2(guess, future, mean) for name, guess in guesses.items()})
    return together(scores) | {"lowest": min(score["forecast_r2"] for score in scores)}


def linear_forecast(train: Floats, seen: Floats) -> Floats:
    """Three principal components of the training trials, one step linear in the two before, and so on ahead."""
    mean = train.mean((0, 1))
    basis = np.linalg.svd((train - mean).reshape(-1, train.shape[2]), full_matrices=False)[2][:3].T
    path = (train - mean) @ basis
    past = np.concatenate([path[:, 1:-1], path[:, :-2]], axis=2).reshape(-1, 6)
    step = np.linalg.lstsq(past, path[:, 2:].reshape(-1, 3), rcond=None)[0]
    state = ((seen - mean) @ basis)[:, -2:]
    ahead = [state[:, 1], state[:, 0]]  # the latest first
    guesses = []
    for _ in range(AHEAD):
        ahead = [np.concatenate(ahead, axis=1) @ step, ahead[0]]
        guesses.append(ahead[0])
    return np.stack(guesses, axis=1) @ basis.T + mean


def by_equations(truth: Truth, test: NDArray[np.bool_], bins: int) -> Floats:
    """The true flow without its noise from the true state of the last bin that is seen, and the true readout."""
    latent, rate = (in_trials(truth.series[name].values, len(test), bins) for name in ("latent", "rate"))
    design = np.concatenate([latent, np.ones((*latent.shape[:2], 1))], axis=2).reshape(-1, 3)
    readout = np.linalg.lstsq(design, rate.reshape(len(design), -1), rcond=None)[0]
    kind = "duffing" if truth.constants["is_duffing"] else "limit_cycle"
    omega, damping = 2 * np.pi * truth.constants["frequency_hz"], truth.constants["damping_per_s"]
    state, path = latent[test, SEEN - 1], []
    for _ in range(AHEAD):
        for _ in range(_EULER):
            state = state + BIN_S / _EULER * flow(kind, state, omega, damping)
        path.append(state)
    return np.stack(path, axis=1) @ readout[:2] + readout[2]


def of_files(file: h5py.File, paths: list[Path]) -> list[tuple[h5py.Group, Path]]:
    """Each session of a results file and its recording."""
    number = {path.stem.rpartition("-")[2]: path for path in paths}
    return [(group, number[group.parent.name.rpartition("-")[2]]) for group in session_groups(file)]


def recorded_activity(path: Path) -> Floats:
    with h5py.File(path) as file:
        values: Floats = file["processing/behavior/activity/data"][()].astype(np.float64)
    return values


def in_trials(values: Floats, n_trial: int, bins: int) -> Floats:
    """(trial, time, feature) of a series over the whole session, whose gaps are dropped."""
    length = bins + round(GAP_S / BIN_S)
    whole = np.full((n_trial * length, values.shape[1]), np.nan)
    whole[: len(values)] = values
    return whole.reshape(n_trial, length, -1)[:, :bins]


def r2(guess: Floats, truth: Floats, mean: Floats) -> float:
    """Over all entries, around the training mean."""
    return float(1 - np.square(guess - truth).sum() / np.square(truth - mean).sum())


def together(scores: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}


def main() -> int:
    parser = kept_steps.parser(__doc__, seed=401)
    parser.add_argument("--animals", type=int, default=30, help="that are fitted; three more are new")
    parser.add_argument("--trials", type=int, default=40, help="an animal; a fifth is scored")
    parser.add_argument("--bins", type=int, default=100, help="of 20 ms in a trial")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    return kept_steps.run(benchmark, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
