"""Does pooling pay? Four reaching animals fitted together and each alone, at 20 and at 160 training trials an animal;
and a fifth animal, by `ncyber adapt` with 8 trials and from scratch with 8 and 40, beside what an observer makes of 8
trials who is told the true latents of all trials and the law that tuning is drawn from.

Every arm is scored on the same test trials of an animal: bits per spike of held-out neurons, the same with the true
expected counts in place of spikes, and R2 of behaviour (ridge from rates), objective (raw, m) and command. A single
fit takes as many optimiser steps as the pooled one, on as many trials of its animal a step; fits with few trials get
more epochs. Bars: at 20 the pooled fit scores higher in every animal; at 160 no animal's difference is below zero
with its 95 % bootstrap interval over test trials; the adapted animal reaches the fit from scratch with 40.
One JSON object goes to stdout, talk to stderr; exit 8 below a bar. What --work holds is not made again.

    python tests/benchmarks/pooling.py 701 702 --work /tmp/pooling
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from kept_steps import fitted, inferred, once, parser, run
from reach_animal import Floats, ReachAnimal, read_animals, read_inferred
from reach_scores import reach_bins
from scipy.special import xlogy
from timed_command import ROOT
from told_latents import rates_told_latents

from ncyber_cli.data.recording import TEST
from ncyber_cli.data.write_nwb import write_nwb
from ncyber_cli.outputs.metrics import (
    control_r2,
    expected_bits_per_spike,
    interval_coverage,
    paired_bootstrap,
    poisson_bits_per_spike,
    r2,
)
from ncyber_cli.worlds import reach
from ncyber_cli.worlds.to_nwb import to_contents

SPEC = ROOT / "example_configs" / "quickstart.yaml"
POOLED, TRIALS, TESTED = 4, 280, 100  # animals; trials of each; the last of them are only ever scored
BATCH = 16  # trials of an animal in a step
EPOCHS = {160: 60, 40: 150, 20: 220, 8: 330}  # by training trials: few trials are few steps an epoch
ADAPTED, SCRATCH = 8, (8, 40)


def main() -> int:
    options = parser(__doc__, seed=0)
    options.add_argument("seeds", type=int, nargs="+", help="of the animals and the fits")
    options.add_argument("--arms", nargs="+", default=["20", "160", "adapt"], choices=["20", "160", "adapt"])
    return run(benchmark, options.parse_args())


def benchmark(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    found = [one_seed(options, work / str(seed), seed) for seed in options.seeds]
    passed = {bar: all(one["passed"][bar] for one in found) for bar in found[0]["passed"]}
    return {"settings": options.overrides, "seeds": found, "passed": passed}


def one_seed(options: argparse.Namespace, work: Path, seed: int) -> dict[str, Any]:
    """Every arm of one seed's animals, and which bars they meet."""
    files = [animal_file(work / "data", seed, animal) for animal in range(POOLED + 1)]
    report: dict[str, Any] = {"seed": seed, "passed": {}, "cost": {}}
    for trials in (20, 160):
        if str(trials) in options.arms:
            pooling(options, work, files[:POOLED], seed, trials, report)
    if "adapt" in options.arms:
        fifth(options, work, files, seed, report)
    return report


def pooling(
    options: argparse.Namespace, work: Path, files: Sequence[Path], seed: int, trials: int, report: dict[str, Any]
) -> None:
    """Add the pooled fit, the single fits and their difference at so many training trials an animal."""
    together = work / f"pooled-{trials}"
    report["cost"][together.name] = fit(options, together, files, seed, trials)
    pooled, rows = scored(together, files), []
    for file in files:
        alone = work / f"single-{trials}-{file.stem}"
        report["cost"][alone.name] = fit(options, alone, [file], seed, trials)
        [(animal, single)] = scored(alone, [file]).items()
        rows.append({"animal": animal, **compared(pooled[animal], single, "pooled", "single")})
    report[f"{trials} trials"] = rows
    gains = [row["gain"] for row in rows]
    better = all(gain["co_bps"] > 0 for gain in gains) if trials == 20 else all(gain["high"] >= 0 for gain in gains)
    report["passed"]["better at 20" if trials == 20 else "not worse at 160"] = better


def fifth(options: argparse.Namespace, work: Path, files: Sequence[Path], seed: int, report: dict[str, Any]) -> None:
    """Add the animal that the pooled fit has not seen."""
    fit(options, work / "pooled-160", files[:POOLED], seed, 160)
    new, arms = files[POOLED], {}
    target = work / "adapted"
    words = ["--trials", str(ADAPTED), "--seed", str(seed), "--quiet", "--overwrite"]
    report["cost"]["adapted"] = once(target, ["adapt", work / "pooled-160", new, "--out", target, *words])
    [arms[f"adapted {ADAPTED}"]] = scored(target, [new]).values()
    for trials in SCRATCH:
        alone = work / f"scratch-{trials}"
        report["cost"][alone.name] = fit(options, alone, [new], seed, trials)
        [arms[f"scratch {trials}"]] = scored(alone, [new]).values()
    most = f"scratch {SCRATCH[-1]}"
    difference = compared(arms[f"adapted {ADAPTED}"], arms[most], f"adapted {ADAPTED}", most)
    [animal] = read_animals(target, [new])
    arms[f"told latents {ADAPTED}"] = scores_of(animal, rates_told_latents(animal, ADAPTED), {})
    limit = compared(arms[f"told latents {ADAPTED}"], arms[most], f"told latents {ADAPTED}", most)
    report["fifth animal"] = {**{name: arm["scores"] for name, arm in arms.items()}, "gain": difference["gain"]}
    report["fifth animal"]["gain of who is told the latents"] = limit["gain"]
    report["passed"]["adapted 8 reaches scratch 40"] = difference["gain"]["co_bps"] >= 0


def animal_file(folder: Path, seed: int, animal: int) -> Path:
    """A recording whose trial table says, for each number of training trials, what every trial is for."""
    target = folder / f"reach-{animal + 1}.nwb"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    contents = to_contents(reach.simulate(seed=seed, animal=animal, trials=TRIALS))
    parts = {f"with_{trials}": uses(trials) for trials in EPOCHS}
    described = dict.fromkeys(parts, "train, validation, test or out")
    table = contents.trials
    table = replace(table, columns={**table.columns, **parts}, descriptions={**table.descriptions, **described})
    return write_nwb(replace(contents, trials=table), target)


def uses(trials: int) -> Any:
    """The first so many trials train, an eighth of them more chooses the epoch, the last ones are scored."""
    validation = max(1, trials // 8)
    words = np.full(TRIALS, "out", dtype="U10")
    words[:trials], words[trials : trials + validation], words[-TESTED:] = "train", "validation", "test"
    return words


def fit(options: argparse.Namespace, folder: Path, files: Sequence[Path], seed: int, trials: int) -> Any:
    settings = [
        f"data.split.column=with_{trials}",
        f"data.trials.where=with_{trials} != 'out'",
        f"training.batch={BATCH * len(files)}",
        f"training.epochs={EPOCHS[trials]}",
        *options.overrides,
    ]
    return fitted(folder, SPEC, files, settings, seed)


def scored(folder: Path, files: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Scores of every animal of a run, and the log likelihood of its held-out neurons by test trial."""
    found = read_inferred(inferred(folder.with_suffix(".h5"), folder, files, []))
    summary = json.loads((folder / "summary.json").read_text())
    behavior = {row["animal"]: row["behavior_r2"] for row in summary["animals"]}
    scores = {}
    for animal in read_animals(folder, files):
        test, held_out, mask = animal.rows(TEST), animal.session.held_out, animal.session.mask
        late, target = reach_bins(animal)["all"], animal.true["objective"]
        objective, control = found[animal.name].mean["objectives"], found[animal.name].mean["controls"]
        rates, sd = (part["rates"][test][..., held_out] for part in (found[animal.name].mean, found[animal.name].sd))
        true = animal.true["rate"][test][..., held_out]
        values = {
            "true_rates_in_90": interval_coverage(true, rates, sd, mask[test])[0.9],
            "behavior_r2": behavior[animal.name],
            "objective_r2": r2(target[test], objective[test], late[test]),
            "control_r2": control_r2(animal.true["control"][test], control[test], mask[test]),
        }
        scores[animal.name] = scores_of(animal, rates, values)
    return scores


def scores_of(animal: ReachAnimal, rates: Floats, more: Mapping[str, float | None]) -> dict[str, Any]:
    """How well `rates` of held-out neurons, (test trial, time, unit), foretell their counts, and `more` scores."""
    test, held_out, mask = animal.rows(TEST), animal.session.held_out, animal.session.mask
    counts = animal.session.observation[test][..., held_out].astype(np.float64)
    true = animal.true["rate"][test][..., held_out]
    values = {
        "co_bps": poisson_bits_per_spike(counts, rates, mask=mask[test]),
        "expected_bps": expected_bits_per_spike(true, rates, mask=mask[test]),
        "true_rates_expected_bps": expected_bits_per_spike(true, true, mask=mask[test]),
        **more,
    }
    return {
        "scores": {name: None if value is None else round(float(value), 4) for name, value in values.items()},
        "bits": by_trial(counts, rates),
        "spikes": counts.sum((1, 2)),
    }


def by_trial(counts: Floats, rates: Floats) -> Floats:
    """Log likelihood of each trial, in bits, less what does not depend on the rates; all bins are inside."""
    bits: Floats = (xlogy(counts, rates) - rates).sum((1, 2)) / np.log(2)
    return bits


def compared(one: dict[str, Any], other: dict[str, Any], name: str, other_name: str) -> dict[str, Any]:
    """Both arms' scores, and how many bits per spike of held-out neurons the first has more."""
    gain = (one["bits"] - other["bits"]) / one["spikes"].mean()
    interval = paired_bootstrap(gain[None], np.random.default_rng(0))
    told = {"co_bps": interval.mean, "low": interval.low, "high": interval.high}
    told["expected_bps"] = one["scores"]["expected_bps"] - other["scores"]["expected_bps"]
    gains = {key: round(value, 4) for key, value in told.items()}
    return {name: one["scores"], other_name: other["scores"], "gain": gains}


if __name__ == "__main__":
    sys.exit(main())
