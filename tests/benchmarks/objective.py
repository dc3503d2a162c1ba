"""The bars of the objective: raw and causal, beside supervised decoders; calibrated; jumps detected; no noise chased.

Simulates reaching animals, fits the quickstart spec on the command line and scores test trials, pooled over animals
for regions and jumps. The decoders (GRU and ridge) are told the true targets of training trials. One JSON object
goes to stdout, talk to stderr; exit 8 below a bar.

    python tests/benchmarks/objective.py --seed 401 --work /tmp/objective
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from gru_decoder import CausalGru
from jump_detection import detect, movement, threshold
from kept_steps import fitted, inferred, parser, run
from numpy.typing import NDArray
from reach import SPEC, animals_of
from reach_animal import Inferred, ReachAnimal, read_animals, read_inferred
from reach_scores import chased_noise, reach_bins
from scipy.stats import binomtest

from ncyber_cli.data.recording import TEST
from ncyber_cli.outputs.metrics import bin_at, r2, region_coverage
from ncyber_cli.outputs.metrics.nulls import BehaviorAlone, HandPosition, SmoothedSpikes

FROM_GO_S = (-0.1, -0.04, 0.0, 0.04, 0.1, 0.2, 0.3)
BARS = {
    "share_of_decoder": 0.95,  # at go - 40 ms and go + 100 ms, of the better decoder
    "go - 40 ms": 0.75,
    "go + 100 ms": 0.90,
    "smoothed": 0.97,
    "control": 0.92,
    "latency_s": 0.15,
    "false_alarms": 0.02,
    "chased_noise": 0.1,
}
INFERENCES: dict[str, list[str]] = {
    "smoothed": [],
    "causal": ["--causal"],
    "behavior": ["--from", "behavior", "--causal"],
    "neural": ["--from", "neural", "--causal"],
}


def parse() -> argparse.Namespace:
    options = parser(__doc__, seed=401)
    options.add_argument("--animals", type=int, default=3)
    options.add_argument("--trials", type=int, default=440, help="an animal; half of them are for testing")
    options.add_argument("--goals", choices=["eight", "disc"], default="disc")
    options.add_argument("--jumps", type=float, default=0.3, help="share of trials whose target jumps")
    return options.parse_args()


def main() -> int:
    return run(benchmark, parse())


def benchmark(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Make, fit, infer and score; what `work` holds already is not made again."""
    files = animals_of(options, work / "data")
    settings = ["data.split.test=0.5", *options.overrides]
    cost = fitted(work / "run", SPEC, files, settings, options.seed)
    read = {
        name: read_inferred(inferred(work / f"{name}.h5", work / "run", files, words))
        for name, words in INFERENCES.items()
    }
    animals = read_animals(work / "run", files)
    courses = {animal.name: _causal(animal, {name: found[animal.name] for name, found in read.items()})
               for animal in animals}  # fmt: skip
    report = {
        "world": {name: getattr(options, name) for name in ("seed", "animals", "trials", "goals", "jumps")},
        "fit": cost,
        "causal": courses,
        "smoothed": {animal.name: _smoothed(animal, read["smoothed"][animal.name]) for animal in animals},
        "regions": _regions(animals, read["smoothed"], read["causal"]),
        "jumps": _jumps(animals, read["causal"]),
    }
    return report | {"bars": BARS, "passed": _passed(report)}


def _causal(animal: ReachAnimal, found: dict[str, Inferred]) -> dict[str, Any]:
    """R2 at each time from go, raw for the model, of whatever else was fitted to the truth."""
    target = animal.true["objective"]
    estimates = {
        "model": found["causal"].mean["objectives"],
        "model from neurons alone": found["neural"].mean["objectives"],
        "model from behaviour alone": found["behavior"].mean["objectives"],
        "GRU, told the targets": animal.null(CausalGru(), target),
        "ridge from spikes, told the targets": animal.null(SmoothedSpikes(causal=True), target),
        "ridge from behaviour, told the targets": animal.null(BehaviorAlone(causal=True), target),
        "hand position": animal.null(HandPosition(), target),
    }
    test = animal.rows(TEST)
    rows: dict[str, Any] = {"at_s": list(FROM_GO_S)}
    for name, estimate in estimates.items():
        rows[name] = [_r2_at(target[test], estimate[test], bins) for bins in _bins(animal)]
    return rows


def _bins(animal: ReachAnimal) -> list[NDArray[np.int64]]:
    """Of every test trial, the bin of each time from go."""
    session, test = animal.session, animal.rows(TEST)
    event_s, mask = animal.events_s["go_time"][test], session.mask[test]
    return [bin_at(session.time_s[test], event_s, at, bin_s=session.bin_s, mask=mask) for at in FROM_GO_S]


def _r2_at(target: NDArray[Any], estimate: NDArray[Any], bins: NDArray[np.int64]) -> float:
    rows = np.arange(len(bins))
    return round(r2(target[rows, bins][:, None], estimate[rows, bins][:, None]), 4)


def _smoothed(animal: ReachAnimal, found: Inferred) -> dict[str, Any]:
    test, late = animal.rows(TEST), reach_bins(animal)
    target, mask = animal.true["objective"][test], animal.session.mask[test]
    mean = found.mean["objectives"][test]
    return {
        "objective": {kind: round(r2(target, mean, bins[test]), 4) for kind, bins in late.items()},
        "control": round(r2(animal.true["control"][test], found.mean["controls"][test], mask), 4),
        "chased_noise": chased_noise(animal, found),
    }


def _regions(
    animals: list[ReachAnimal], smoothed: dict[str, Inferred], causal: dict[str, Inferred]
) -> dict[str, dict[str, Any]]:
    """Share of the true objectives inside the 2-D regions, over all animals' test trials."""
    places = {f"causal, go {1000 * at:+.0f} ms": (causal, index) for index, at in enumerate(FROM_GO_S)}
    places |= {f"smoothed, go {1000 * at:+.0f} ms": (smoothed, index) for index, at in enumerate(FROM_GO_S)}
    found = {}
    for name, (read, index) in places.items():
        parts = [_at(animal, read[animal.name], _bins(animal)[index]) for animal in animals]
        found[name] = _coverage(*(np.concatenate(part)[:, None] for part in zip(*parts, strict=True)))
    for name, read in (("causal, from go + 4 bins", causal), ("smoothed, from go + 4 bins", smoothed)):
        parts = [_late(animal, read[animal.name]) for animal in animals]
        shares = region_coverage(*(np.concatenate(part)[:, None] for part in zip(*parts, strict=True)))
        found[name] = {f"{level:.0%}": round(share, 3) for level, share in shares.items()}
    return found


def _at(animal: ReachAnimal, found: Inferred, bins: NDArray[np.int64]) -> list[NDArray[np.float64]]:
    test = animal.rows(TEST)
    values = (animal.true["objective"], found.mean["objectives"], found.sd["objectives"])
    return [each[test, bins] for each in values]


def _late(animal: ReachAnimal, found: Inferred) -> list[NDArray[np.float64]]:
    test = animal.rows(TEST)
    late = reach_bins(animal)["all"][test]
    values = (animal.true["objective"], found.mean["objectives"], found.sd["objectives"])
    return [each[test][late] for each in values]


def _coverage(truth: NDArray[Any], mean: NDArray[Any], sd: NDArray[Any]) -> dict[str, Any]:
    """Both levels, and whether the larger is what a fair coin of .9 could have given (two-sided, 5 %)."""
    shares = region_coverage(truth, mean, sd)
    inside = round(shares[0.9] * len(truth))
    return {
        "trials": len(truth),
        "50%": round(shares[0.5], 3),
        "90%": round(shares[0.9], 3),
        "compatible": bool(binomtest(inside, len(truth), 0.9).pvalue > 0.05),
    }


def _jumps(animals: list[ReachAnimal], causal: dict[str, Inferred]) -> dict[str, Any]:
    latencies, alarms = [], []
    for animal in animals:
        found, session, test = causal[animal.name], animal.session, animal.rows(TEST)
        after_go = animal.after(animal.events_s["go_time"], 0)
        moved = movement(found.mean["objectives"], found.sd["objectives"], after_go)
        arrival = animal.events_s["jump_arrival_time"]
        known = np.setdiff1d(np.arange(len(arrival)), test)
        limit = threshold(moved[known], ~np.isnan(arrival[known]))
        end_s = session.time_s[test] + session.bin_s / 2
        seen = detect(moved[test], limit, end_s, arrival[test])
        latencies.append(seen.latency_s)
        alarms.append(seen.false_alarms)
    latency, alarm = np.concatenate(latencies), np.concatenate(alarms)
    early = int((latency < 0).sum())
    return {
        "jump_trials": len(latency),
        "median_latency_s": round(float(np.median(latency)), 3),
        "quartiles_s": [round(float(np.quantile(latency, q)), 3) for q in (0.25, 0.75)],
        "missed": int(np.isinf(latency).sum()),
        "too_early": early,
        "jump_free_trials": len(alarm),
        "false_alarms": round((int(alarm.sum()) + early) / (len(alarm) + len(latency)), 4),
        "false_alarms_of_jump_free_trials": round(float(alarm.mean()), 4),
    }


def _passed(report: dict[str, Any]) -> dict[str, bool]:
    """Whether every animal, time and pooled figure meets its bar."""
    causal, smoothed, jumps = report["causal"].values(), report["smoothed"].values(), report["jumps"]
    early, late = FROM_GO_S.index(-0.04), FROM_GO_S.index(0.1)

    def share(row: dict[str, Any], at: int) -> float:
        decoders = (row["GRU, told the targets"][at], row["ridge from spikes, told the targets"][at])
        return float(row["model"][at] / max(decoders))

    noise = [abs(value) for row in smoothed for value in row["chased_noise"].values()]
    places = ("causal, go -40 ms", "causal, go +100 ms", "smoothed, go -40 ms", "smoothed, go +100 ms")
    return {
        "share_of_decoder": all(share(row, at) >= BARS["share_of_decoder"] for row in causal for at in (early, late)),
        "go - 40 ms": all(row["model"][early] >= BARS["go - 40 ms"] for row in causal),
        "go + 100 ms": all(row["model"][late] >= BARS["go + 100 ms"] for row in causal),
        "smoothed": all(row["objective"]["all"] >= BARS["smoothed"] for row in smoothed),
        "control": all(row["control"] >= BARS["control"] for row in smoothed),
        "regions": all(report["regions"][place]["compatible"] for place in places),
        "latency": jumps["median_latency_s"] <= BARS["latency_s"],
        "false_alarms": jumps["false_alarms"] <= BARS["false_alarms"],
        "chased_noise": all(value < BARS["chased_noise"] for value in noise),
    }


if __name__ == "__main__":
    sys.exit(main())
