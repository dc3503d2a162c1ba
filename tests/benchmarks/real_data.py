"""Recordings that ncyber did not make, as they are: fit, infer and simulate run through and stay finite; prints JSON.

Four worms (plain HDF5, calcium, no trials) in one fit, and a human's neurons (NWB without a `trials` table). The
recordings are no part of the project: folder NCYBER_REAL_DATA, or ../shared/data beside the checkout. Where there is
none the report says why nothing ran. How well worms are forecast is `worms`' affair.

    python tests/benchmarks/real_data.py [--worm-epochs 200] [--human-epochs 60] [--work DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from timed_command import ROOT, ncyber

from ncyber_cli.outputs.metrics_log import read_metrics
from ncyber_cli.outputs.read_results import read_results, session_groups
from ncyber_cli.outputs.results_layout import GROUPS

DATA = Path(os.environ.get("NCYBER_REAL_DATA", ROOT.parent / "shared" / "data"))
WORM_SPEC = ROOT / "example_configs" / "worm.yaml"
LOSSES = ("elbo_nats", "validation_elbo_nats", "kl_nats", "neural_nats")
HUMAN_SPEC = """\
version: 1
data:
  bin_s: 0.05
  trials: {table: encoding_table, align: boundary1_time, window_s: [-1.0, 1.5]}
  neural:
    - {source: units, kind: spikes, area: from_electrodes}
  inputs:
    category: {kind: context, column: stimCategory}
  units: {min_rate_hz: 0.5}
  held_out: {fraction: 0.2}
model:
  brain: {kind: residual_mlp, latents: {hippocampus_right: 4, amygdala_right: 2}}
training: {batch: 32}
"""


def run_through(work: Path, spec: Path, recordings: list[Path], epochs: int | None, seed: int) -> dict[str, Any]:
    """Fit, infer, simulate; what they cost, what they scored, and whether everything they wrote is finite."""
    run, results, rollout = work / "run", work / "results.h5", work / "rollout.h5"
    shorter = [] if epochs is None else ["--set", f"training.epochs={epochs}"]
    fit = ncyber("fit", spec, *recordings, "--out", run, "--seed", str(seed), *shorter)
    infer = ncyber("infer", run, *recordings, "--out", results)
    simulate = ncyber("simulate", run, *recordings, "--out", rollout)
    losses = read_metrics(run / "metrics.jsonl")
    animals = json.loads((run / "summary.json").read_text())["animals"]
    return {
        "epochs": len(losses),
        "validation_elbo_nats": [losses[0]["validation_elbo_nats"], max(_values(losses, "validation_elbo_nats"))],
        "losses_finite": all(len(_values(losses, name)) == len(losses) for name in LOSSES),
        "results_finite": written_finite(results),
        "rollouts_finite": written_finite(rollout),
        "animals": [{key: value for key, value in animal.items() if key != "constants"} for animal in animals],
        "cost": {"fit": asdict(fit), "infer": asdict(infer), "simulate": asdict(simulate)},
    }


def _values(lines: list[dict[str, Any]], name: str) -> list[float]:
    """What the log holds of one score; a value that was not finite is null there."""
    return [line[name] for line in lines if line[name] is not None]


def written_finite(path: Path) -> bool:
    """Whether a results file holds something, and nothing that is not finite inside the masks.

    The body is the recorded one where it is recorded, with a sd of 0; nothing is left out.
    """
    with read_results(path) as file:
        found = [_finite(parent) for parent in _parents(file)]
    return bool(found) and all(found)


def _parents(file: h5py.File) -> Iterator[h5py.Group]:
    yield from session_groups(file)
    yield from file.get("rollouts", {}).values()


def _finite(parent: h5py.Group) -> bool:
    mask = parent["mask"][()]
    written = [
        parent[group][name][()]
        for group in GROUPS
        for name in ("mean", "sd", "sample")
        if group in parent and name in parent[group]
    ]
    return bool(written) and all(np.isfinite(values[..., mask, :]).all() for values in written)


def worms(work: Path, epochs: int | None, seed: int) -> dict[str, Any]:
    """All worms in one fit."""
    return run_through(work, WORM_SPEC, sorted((DATA / "worm_whole_brain").glob("*.h5")), epochs, seed)


def human(work: Path, epochs: int, seed: int) -> dict[str, Any]:
    """Spikes of two areas, cut at an interval table that is not called trials."""
    recordings = sorted((DATA / "human_mtl_nwb").glob("*.nwb"))
    spec = work / "human.yaml"
    spec.write_text(HUMAN_SPEC)
    return run_through(work, spec, recordings, epochs, seed)


def benchmark(work: Path, options: argparse.Namespace) -> dict[str, Any]:
    absent = [name for name in ("worm_whole_brain", "human_mtl_nwb") if not (DATA / name).is_dir()]
    if absent:
        return {"skipped": f"no {' and no '.join(absent)} in {DATA}: set NCYBER_REAL_DATA to a folder that holds them"}
    for name in ("worms", "human"):
        (work / name).mkdir(parents=True)
    reports = {
        "worms": worms(work / "worms", options.worm_epochs, options.seed),
        "human": human(work / "human", options.human_epochs, options.seed),
    }
    checks = ("losses_finite", "results_finite", "rollouts_finite")
    return {**reports, "passed": all(report[check] for report in reports.values() for check in checks)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worm-epochs", type=int, help="default the example's")
    parser.add_argument("--human-epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="an empty folder for the files; default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        report = benchmark(options.work or Path(temporary), options)
    print(json.dumps(report, indent=2))
    return 0 if report.get("passed", True) else 8


if __name__ == "__main__":
    sys.exit(main())
