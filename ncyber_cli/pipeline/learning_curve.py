"""The learning curve of `ncyber adapt`: with so many trials, what is an adapted model worth, and a fit from scratch?

Both are scored on the same test trials. Fits from scratch are helped: they choose their epoch on the recordings'
validation trials, which adapted models do without.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ncyber_cli.atomic import write_text
from ncyber_cli.data.recording import TRAIN, Session
from ncyber_cli.data.training_windows import examples_an_epoch, steps_an_epoch
from ncyber_cli.errors import UsageError
from ncyber_cli.outputs.provenance import plain
from ncyber_cli.outputs.summary import AnimalSummary
from ncyber_cli.pipeline.adapt import AdaptRequest, adapt_sessions, opened
from ncyber_cli.pipeline.device import chosen_device
from ncyber_cli.pipeline.fit import print_rows, train_and_score, with_files
from ncyber_cli.pipeline.run_folder import RunFolder
from ncyber_cli.pipeline.sessions import cohort_of
from ncyber_cli.reporting import Progress, table
from ncyber_cli.spec import Spec
from ncyber_cli.training.checkpoint import Checkpoint
from ncyber_cli.training.measure import measure
from ncyber_cli.training.starts import Job

CURVE, _FOLDER = "learning_curve.json", "curve"
_SCRATCH_STEPS = 600  # at least: with few trials the spec's epochs would be few steps
_SCORES = ("co_bps", "co_r2", "behavior_r2")


@dataclass(frozen=True)
class Point:
    """One animal of one model on the curve."""

    trials: int  # training trials of each session
    model: str  # adapted or from scratch
    row: AnimalSummary

    def as_dict(self) -> dict[str, Any]:
        found = self.row.as_dict()
        scores = {name: found[name] for name in _SCORES if found.get(name) is not None}
        null = {"co_bps_null": found["co_bps_null"]} if "co_bps" in scores else {}
        return {"trials": self.trials, "model": self.model, "animal": self.row.animal, **scores, **null}


def read_numbers(text: str) -> list[int]:
    """Numbers of trials, in order. Raises UsageError for anything else."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise UsageError("are no numbers of trials", where=f"--curve {text}", remedy="write numbers above 0: 1,2,4,8")
    return sorted({int(word) for word in words})


def curve_run(request: AdaptRequest, numbers: Sequence[int]) -> None:
    """As `adapt_run`, and the curve: its table, learning_curve.json, and a run of each model under curve/.

    Raises UsageError for more trials than some session has for training, and what `adapt_run` raises.
    """
    folder = RunFolder(request.out)
    with Progress(quiet=request.quiet) as progress:
        parent, sessions = opened(request, progress)
        most = min(int((session.split == TRAIN).sum()) for session in sessions)
        if numbers[-1] > most:
            remedy = f"name numbers up to {most}"
            raise UsageError(f"a session has {most} training trials", where=f"--curve {numbers[-1]}", remedy=remedy)
        rows = adapt_sessions(request, parent, sessions, progress)
        points = [point for number in numbers for point in _at(number, request, parent, sessions, progress)]
    written = [point.as_dict() for point in points]
    write_text(folder.path / CURVE, json.dumps(plain(written), indent=2) + "\n")
    if not request.as_json:
        print_rows(folder, rows, request.data, as_json=False)
    table(written, list(dict.fromkeys(key for point in written for key in point)), as_json=request.as_json)


def _at(
    number: int, request: AdaptRequest, parent: Checkpoint, sessions: Sequence[Session], progress: Progress
) -> list[Point]:
    """Both models with so many trials of each session."""
    folder = request.out / _FOLDER
    progress.say(f"{number} {'trial' if number == 1 else 'trials'}: adapting")
    command = request.resume_command()
    asked = replace(
        request, out=folder / f"adapted-{number}", trials=number, resume=False, overwrite=True, command=command
    )
    adapted = adapt_sessions(asked, parent, sessions, progress)
    progress.say(f"{number} {'trial' if number == 1 else 'trials'}: fitting from scratch")
    scratch = _from_scratch(folder / f"scratch-{number}", number, request, parent.spec, sessions, progress)
    rows = [("adapted", row) for row in adapted] + [("from scratch", row) for row in scratch]
    return [Point(number, model, row) for model, row in rows]


def _from_scratch(
    out: Path, number: int, request: AdaptRequest, spec: Spec, sessions: Sequence[Session], progress: Progress
) -> list[AnimalSummary]:
    """A fit of the run's spec to the first `number` training trials of each session, beside its validation trials."""
    few = [session.take(_kept(session, number)) for session in sessions]
    cohort = cohort_of(few, torch.float64 if spec.training.dtype == "float64" else torch.float32)
    training = spec.training
    epochs = max(training.epochs, -(-_SCRATCH_STEPS // steps_an_epoch(cohort, spec)))
    batch = training.batch_of(examples_an_epoch(cohort, spec))
    chosen = training.model_copy(update={"batch": batch, "epochs": epochs})
    spec = with_files(spec.model_copy(update={"training": chosen}), [session.path for session in sessions])
    folder, device = RunFolder(out), chosen_device(request.device)
    with folder.locked(resume=False, overwrite=True, remark=progress.say):
        folder.clear()
        job = Job(cohort, spec, measure(spec, cohort), out, request.seed, device, request.resume_command())
        return train_and_score(job, None, progress)


def _kept(session: Session, number: int) -> Any:
    """Rows of all trials but the training trials after the first `number`."""
    return np.setdiff1d(np.arange(len(session.split)), np.flatnonzero(session.split == TRAIN)[number:])
