"""The bar of distillation: how much of what an ensemble gains over a single fit one student keeps.

Fits on the command line, in each part all of one size and with as many epochs; scores are of held-out neurons on test
trials, of which there are many, so that they are sharp. Of every seed

    ensemble    a Lorenz attractor (example_configs/lorenz.yaml, bins of 20 ms, 75 trials to learn from): five single
                fits, whose mean rates are the ensemble, and three students of them from other seeds
                (ncyber fit --teacher)
    privileged  an animal that reaches (privileged.yaml, 40 trials to learn from): two fits that see behaviour too, and
                of two seeds each a fit to neurons alone and a pupil of the two that sees neurons alone

The bar: (mean student - mean single) >= .6 (ensemble - mean single), pooled over seeds. Pupils have no bar: their bits
per spike and the R2 of behaviour from neurons alone stand beside those of the fits without a teacher. One JSON object
goes to stdout, talk to stderr; exit 8 below the bar.

    python tests/benchmarks/distillation.py 501 502 --part ensemble --part privileged --work /tmp/distillation
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from kept_steps import fitted, inferred, once, parser, run, synthesised
from numpy.typing import NDArray
from timed_command import ROOT

from ncyber_cli.data.recording import TEST
from ncyber_cli.outputs.metrics import poisson_bits_per_spike
from ncyber_cli.outputs.read_results import read_results, session_groups
from ncyber_cli.pipeline.sessions import read_sessions
from ncyber_cli.spec_file import load_spec

LORENZ = ROOT / "example_configs" / "lorenz.yaml"
FEW_TRIALS = ("data.bin_s=0.02", "data.split.test=0.75", "training.batch=25")
REACH = Path(__file__).with_name("privileged.yaml")
SINGLES, STUDENTS, PUPILS = 5, 3, 2
SAMPLES = "64"
BAR = 0.6


def benchmark(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Every seed's fits; what `work` holds already is not made again."""
    report: dict[str, Any] = {"bar": BAR, "passed": {}}
    if "ensemble" in options.parts:
        rows = [ensemble(seed, options.overrides, work / f"ensemble-{seed}") for seed in options.seeds]
        gain = {name: float(np.mean([row["gain"][name] for row in rows])) for name in ("ensemble", "student")}
        share = gain["student"] / gain["ensemble"]
        report |= {"ensemble": rows, "share_of_ensemble_gain": round(share, 3)}
        report["passed"]["share_of_ensemble_gain"] = share >= BAR
    if "privileged" in options.parts:
        report["privileged"] = [
            privileged(seed, options.overrides, work / f"privileged-{seed}") for seed in options.seeds
        ]
    return report


def ensemble(seed: int, overrides: Sequence[str], work: Path) -> dict[str, Any]:
    files = synthesised(work / "data", "lorenz", "--seed", str(seed), "--trials", "500")
    settings = [*FEW_TRIALS, *overrides]
    singles, students = (
        [work / f"{name}-{i}" for i in range(n)] for name, n in (("single", SINGLES), ("student", STUDENTS))
    )
    cost = {run.name: fitted(run, LORENZ, files, settings, seed + i)["cpu_s"] for i, run in enumerate(singles)}
    for index, student in enumerate(students):
        cost[student.name] = taught(student, LORENZ, files, settings, seed + 100 + index, singles)
    found = Scores(LORENZ, files, settings)
    single, student_bits = ([found.co_bps([run]) for run in runs] for runs in (singles, students))
    together, alone = found.co_bps(singles), float(np.mean(single))
    return {
        "seed": seed,
        "co_bps": {"single": single, "ensemble": together, "student": student_bits},
        "gain": {"ensemble": together - alone, "student": float(np.mean(student_bits)) - alone},
        "fits_cpu_s": cost,
    }


def privileged(seed: int, overrides: Sequence[str], work: Path) -> dict[str, Any]:
    files = synthesised(work / "data", "reach", "--animals", "1", "--seed", str(seed), "--trials", "400")
    names = ("teacher", "alone", "pupil")
    teachers, alone, pupils = ([work / f"{name}-{i}" for i in range(PUPILS)] for name in names)
    both = [*overrides, "inference.inputs=[neural, behavior]"]
    for index in range(PUPILS):
        fitted(teachers[index], REACH, files, both, seed + 200 + index)
        fitted(alone[index], REACH, files, overrides, seed + index)
    for index, pupil in enumerate(pupils):
        taught(pupil, REACH, files, overrides, seed + index, teachers)
    scores = {
        name: [reported(run) for run in runs] for name, runs in zip(names, (teachers, alone, pupils), strict=True)
    }
    return {"seed": seed, **scores}


def taught(
    run: Path, spec: Path, files: Sequence[Path], settings: Sequence[str], seed: int, teachers: Sequence[Path]
) -> float:
    """Fit a student; what that cost, in CPU seconds."""
    words = [word for setting in settings for word in ("--set", setting)]
    words += [word for teacher in teachers for word in ("--teacher", str(teacher))]
    return once(run, ["fit", spec, *files, "--out", run, "--seed", str(seed), "--quiet", "--overwrite", *words])[
        "cpu_s"
    ]


def reported(run: Path) -> Mapping[str, float]:
    """What the fit says of its test trials; behaviour is read from rates that neurons alone have given."""
    (animal,) = json.loads((run / "summary.json").read_text())["animals"]
    return {name: round(animal[name], 4) for name in ("co_bps", "behavior_r2")}


class Scores:
    """Bits per spike of held-out neurons on test trials, of the mean rates of runs."""

    def __init__(self, spec: Path, files: Sequence[Path], settings: Sequence[str]) -> None:
        (self.session,) = read_sessions(load_spec(spec, settings), files)
        self.files = files

    def co_bps(self, runs: Sequence[Path]) -> float:
        rates = np.mean([self._rates(run) for run in runs], axis=0)
        test, units = self.session.split == TEST, self.session.held_out
        counts = self.session.observation[test][..., units].astype(np.float64)
        return round(poisson_bits_per_spike(counts, rates[test][..., units]), 4)

    def _rates(self, run: Path) -> NDArray[np.float64]:
        path = inferred(run.with_suffix(".h5"), run, self.files, ["--samples", SAMPLES])
        with read_results(path) as file:
            (group,) = session_groups(file)
            rates: NDArray[np.float64] = group["rates/mean"][()].astype(np.float64)
        return rates


def parse() -> argparse.Namespace:
    options = parser(__doc__, seed=None)
    options.add_argument("seeds", type=int, nargs="+", help="of the animals, and of their fits")
    options.add_argument("--part", dest="parts", action="append", choices=("ensemble", "privileged"), required=True)
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(run(benchmark, parse()))
