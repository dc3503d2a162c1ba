"""Two monkeys (M1, centre-out reaches): from neurons alone, where does the hand mean to go, 100 ms into the movement?

Converts the recordings to NWB (monkey_nwb.py says by which rules), fits the setpoint model and the unstructured `mlp`
in five folds, so that every trial is a test trial once, and compares the direction of the inferred objective, seen
from the trial's start, with the direction of the target. Nothing is fitted to targets for "setpoint"; the mlp's
objective has no units and goes through an affine map fitted on training trials, as does "setpoint, mapped"; ridge is
fitted to targets in the same bins. The direction of a target is that of the hand's displacement at the end of
training trials to it. The recordings are no part of the project (see real_data.py). One JSON object goes to stdout.

    python tests/benchmarks/monkey_center_out.py [--work DIR] [--animals chewie mihi] [--folds 5] [--set KEY=VALUE]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from directions import Angles, angle_of, as_vectors, direction_scores, mean_angle, paired_difference
from monkey_nwb import BINS_OF, FOLDS, convert
from numpy.typing import NDArray
from real_data import DATA
from timed_command import ncyber

from ncyber_cli.data.recording import TEST, TRAIN, VALIDATION, Session
from ncyber_cli.outputs.metrics import Examples, bin_at, fit_affine
from ncyber_cli.outputs.metrics.nulls import SmoothedSpikes, Trials
from ncyber_cli.outputs.read_results import read_results, session_groups
from ncyber_cli.pipeline.sessions import sessions_of_run
from ncyber_cli.training.checkpoint import load

AFTER_ONSET_S = 0.1
INFERENCES = {"causal": ["--causal"], "smoothed": []}
KINDS = ("setpoint", "mlp")
SPEC = """\
version: 1
data:
  bin_s: {bin_s}
  trials: {{table: trials, align: start_time}}
  neural:
    - {{source: units, kind: spikes, area: from_electrodes}}
  behavior:
    position: {{source: hand_pos, unit: m}}
    velocity: {{source: hand_vel, unit: m/s}}
  units: {{min_rate_hz: 0.5}}
  split: {{column: fold_0}}
model:
  brain: {{latents: 8, hidden: 32}}
  controller: {{kind: setpoint}}
  objective: {{prior: jump}}
  body: {{kind: point_mass}}
  environment: {{kind: feedback, delay_s: 0.1}}
training: {{epochs: 150, batch: 16, hold_controller: 0.2}}
"""


@dataclass(frozen=True)
class Scored:
    """Test trials of one fold of one session: where their targets are, and every estimate of it."""

    truth: Angles
    estimates: dict[str, Angles]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--animals", nargs="+", choices=list(BINS_OF), default=list(BINS_OF))
    parser.add_argument("--folds", type=int, default=FOLDS, help="run only the first so many")
    parser.add_argument("--seed", type=int, default=0, help="of the fits")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--work", type=Path, help="keep files here, and go on from those that are there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        report = benchmark(options.work or Path(temporary), options)
    print(json.dumps(report, indent=2))


def benchmark(work: Path, options: argparse.Namespace) -> dict[str, Any]:
    source = DATA / "monkey_center_out"
    if not source.is_dir():
        return {"skipped": f"no monkey_center_out in {DATA}: set NCYBER_REAL_DATA to a folder that holds it"}
    nwb = work / "nwb"
    files = convert(source, nwb) if not nwb.exists() else {a: sorted(nwb.glob(f"{a}*.nwb")) for a in BINS_OF}
    report: dict[str, Any] = {"settings": options.overrides, "seed": options.seed, "folds": options.folds}
    for animal in options.animals:
        scored, cpu_s = [], 0.0
        for fold in range(options.folds):
            folder = work / animal / f"fold_{fold}"
            cpu_s += fit_fold(folder, files[animal], animal, fold, options)
            scored += score_fold(folder, files[animal])
        report[animal] = {"fits_cpu_s": round(cpu_s, 1), **pooled(scored)}
    return report


def fit_fold(folder: Path, files: Sequence[Path], animal: str, fold: int, options: argparse.Namespace) -> float:
    """Fit both kinds of controller and infer from neurons alone; CPU seconds of the fits."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = folder / "spec.yaml"
    spec.write_text(SPEC.format(bin_s=BINS_OF[animal]))
    cpu_s = 0.0
    for kind in KINDS:
        run = folder / kind
        settings = [f"data.split.column=fold_{fold}", f"model.controller.kind={kind}", *options.overrides]
        overrides = [word for setting in settings for word in ("--set", setting)]
        if not run.exists():
            seed = str(options.seed)
            cpu_s += ncyber("fit", spec, *files, "--out", run, "--seed", seed, "--quiet", *overrides).cpu_s
        for name, arguments in INFERENCES.items():
            out = folder / f"{kind}_{name}.h5"
            if not out.exists():
                ncyber("infer", run, *files, "--out", out, "--from", "neural", *arguments)
    return cpu_s


def score_fold(folder: Path, files: Sequence[Path]) -> list[Scored]:
    """Every session's test trials."""
    checkpoint = load(folder / KINDS[0] / "best.pt")
    sessions = sessions_of_run(checkpoint.layout, checkpoint.spec, files)
    direction = target_directions(sessions)
    found = {(kind, name): objectives_of(folder / f"{kind}_{name}.h5") for kind in KINDS for name in INFERENCES}
    return [score_session(session, direction, {key: each[session.session] for key, each in found.items()})
            for session in sessions]  # fmt: skip


def objectives_of(path: Path) -> dict[str, NDArray[np.float64]]:
    """Mean objectives (trial, time, 2) by session."""
    with read_results(path) as file:
        return {
            str(group.attrs["session"]): group["objectives/mean"][()].astype(float) for group in session_groups(file)
        }


def target_directions(sessions: Sequence[Session]) -> dict[int, float]:
    """Mean direction of the hand's displacement at the end of training trials, by target."""
    ends: dict[int, list[float]] = {}
    for session in sessions:
        for trial in np.flatnonzero(session.split == TRAIN):
            last = session.body[trial][session.mask[trial]][-1, :2]
            ends.setdefault(int(_column(session, "target")[trial]), []).append(float(angle_of(last)))
    return {target: mean_angle(np.array(angles)) for target, angles in ends.items()}


def score_session(
    session: Session, direction: dict[int, float], found: dict[tuple[str, str], NDArray[np.float64]]
) -> Scored:
    onset_s = _column(session, "movement_time").astype(np.float64)
    at = bin_at(session.time_s, onset_s, AFTER_ONSET_S, bin_s=session.bin_s, mask=session.mask)
    truth = np.array([direction[int(target)] for target in _column(session, "target")])
    target = np.repeat(as_vectors(truth)[:, None], session.mask.shape[1], axis=1)
    since = session.time_s - onset_s[:, None]
    target[~(session.mask & (since > 0) & (since < AFTER_ONSET_S))] = np.nan  # the bins that every map is fitted to
    test = np.flatnonzero((session.split == TEST) & (at >= 0))

    def at_test(vectors: NDArray[np.floating]) -> Angles:
        return angle_of(vectors[test, at[test]])

    train = truth[session.split == TRAIN]
    estimates = {"training mean": np.full(len(test), mean_angle(train)), "hand so far": at_test(session.body[..., :2])}
    for causal in (True, False):
        estimates[f"ridge, {'causal' if causal else 'smoothed'}"] = at_test(ridge(session, target, causal))
    for (kind, name), objective in found.items():
        if kind == "setpoint":
            estimates[f"setpoint, {name}"] = at_test(objective)
        estimates[f"{kind}, {name}, mapped"] = at_test(mapped(session, objective, target))
    return Scored(truth[test], estimates)


def ridge(session: Session, target: NDArray[np.float64], causal: bool) -> NDArray[np.float64]:
    """Ridge from smoothed spikes to the target's direction, for every trial."""
    counts = session.observation.astype(np.float64)

    def some(part: int) -> Trials:
        rows = session.split == part
        return Trials(counts[rows], session.body[rows], target[rows], session.mask[rows])

    predict = SmoothedSpikes(causal=causal).fit(some(TRAIN), some(VALIDATION))
    return predict(Trials(counts, session.body, target, session.mask))


def mapped(session: Session, objective: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = session.split == TRAIN
    known = session.mask & np.isfinite(objective).all(-1)
    return fit_affine(Examples(objective[rows], target[rows], known[rows]))(objective)


def pooled(scored: Sequence[Scored]) -> dict[str, Any]:
    """Scores over all test trials of all folds."""
    generator = np.random.default_rng(0)
    truth = np.concatenate([each.truth for each in scored])
    estimates = {name: np.concatenate([each.estimates[name] for each in scored]) for name in scored[0].estimates}
    model = estimates["setpoint, causal"]
    return {
        "test_trials": len(truth),
        "scores": {name: direction_scores(truth, estimate, generator) for name, estimate in estimates.items()},
        "setpoint, causal, less": {
            name: paired_difference(truth, model, estimates[name], generator)
            for name in ("ridge, causal", "mlp, causal, mapped", "training mean")
        },
    }


def _column(session: Session, name: str) -> NDArray[Any]:
    assert session.trials is not None
    return session.trials.columns[name]


if __name__ == "__main__":
    sys.exit(main())
