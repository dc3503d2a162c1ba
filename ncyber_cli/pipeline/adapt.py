"""`ncyber adapt`: new animals in a fitted model, of which all that is shared stays as it is; a run of its own."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ncyber_cli.atomic import write_text
from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.open_hdf5 import file_sha256
from ncyber_cli.data.prepare import labels_in
from ncyber_cli.data.recording import TRAIN, VALIDATION, Session
from ncyber_cli.data.training_windows import examples_an_epoch, steps_an_epoch
from ncyber_cli.errors import CheckpointError, DataError, UsageError
from ncyber_cli.model.layout import Layout
from ncyber_cli.outputs.summary import AnimalSummary
from ncyber_cli.pipeline.device import chosen_device
from ncyber_cli.pipeline.fit import print_rows, same_fit, train_and_score, with_files
from ncyber_cli.pipeline.run_folder import RunFolder
from ncyber_cli.pipeline.sessions import check_columns, cohort_of, read_sessions
from ncyber_cli.reporting import Progress
from ncyber_cli.spec import Spec
from ncyber_cli.spec_file import resolve_sessions, spec_text
from ncyber_cli.training.adapt import adapted_layout
from ncyber_cli.training.checkpoint import Checkpoint, load
from ncyber_cli.training.measure import measure
from ncyber_cli.training.starts import Job

_STEPS = 120  # of the optimiser: it begins near the end, and on 8 trials of a reach nothing is gained after 75


@dataclass(frozen=True)
class AdaptRequest:
    """The command line of an adaptation."""

    run: Path
    data: tuple[str, ...]
    out: Path
    trials: int | None = None  # the first so many training trials of each session
    epochs: int | None = None
    curve: str | None = None  # numbers of trials
    device: str = "auto"
    seed: int = 0
    resume: bool = False
    overwrite: bool = False
    as_json: bool = False
    quiet: bool = False
    command: str | None = None  # that goes on with it, where it is part of something larger

    def resume_command(self) -> str:
        """What to type so that this adaptation goes on."""
        if self.command is not None:
            return self.command
        words = ["ncyber", "adapt", str(self.run), *self.data, "--out", str(self.out)]
        for name in ("trials", "epochs", "curve"):
            if getattr(self, name) is not None:
                words += [f"--{name}", str(getattr(self, name))]
        return shlex.join([*words, "--device", self.device, "--seed", str(self.seed), "--resume"])


def adapt_run(request: AdaptRequest) -> None:
    """Learn what belongs to the new animals, score their test trials, write the run's folder and print the table.

    Raises UsageError for a folder that holds another run, CheckpointError for a run that is not finished, DataError for
    recordings that the run cannot read or that say too little, and what a fit raises.
    """
    with Progress(quiet=request.quiet) as progress:
        parent, sessions = opened(request, progress)
        rows = adapt_sessions(request, parent, sessions, progress)
    print_rows(RunFolder(request.out), rows, request.data, as_json=request.as_json)


def opened(request: AdaptRequest, progress: Progress) -> tuple[Checkpoint, list[Session]]:
    """The run and the new sessions of a request, once its folder may be written."""
    if Path(request.out).resolve() == Path(request.run).resolve():
        raise UsageError("is the run itself", where=f"--out {request.out}", remedy="choose another folder")
    RunFolder(request.out).check(resume=request.resume, overwrite=request.overwrite)
    parent = _finished(request.run)
    paths = resolve_sessions(parent.spec, request.run, request.data)
    progress.say(f"reading {len(paths)} {'file' if len(paths) == 1 else 'files'}")
    sessions = _new_sessions(parent, paths)
    _say_what_is_learned(parent.layout, progress)
    return parent, sessions


def adapt_sessions(
    request: AdaptRequest, parent: Checkpoint, sessions: Sequence[Session], progress: Progress
) -> list[AnimalSummary]:
    """Train into the request's folder and score test trials."""
    folder = RunFolder(request.out)
    job = _job(parent, sessions, request, chosen_device(request.device))
    with folder.locked(resume=request.resume, overwrite=request.overwrite, remark=progress.say):
        return _adapt_locked(request, folder, job, progress)


def _finished(run: Path) -> Checkpoint:
    """The run's best checkpoint, once its fit is over."""
    parent = load(run)
    if not parent.layout.latent_basis:
        what = "says nothing of the basis of its latents: its fit was not finished, or it is itself adapted or older"
        remedy = "finish it with ncyber fit ... --resume, or adapt the run that was fitted"
        raise CheckpointError(what, where=str(parent.path), remedy=remedy)
    return parent


def _new_sessions(parent: Checkpoint, paths: Sequence[Path]) -> list[Session]:
    """The recordings as the run reads them, with a split of their own. Raises DataError where they do not fit it."""
    spec, layout = parent.spec, parent.layout
    sessions = read_sessions(spec, paths, labels_in(layout.input_names, spec))
    known = {each.sha256 for each in layout.sessions}
    for session in sessions:
        check_columns(layout, session)
        if session.sha256 in known:
            what = f"is session {session.session} of animal {session.animal}, which the run was fitted to"
            raise DataError(what, where=str(session.path), remedy="give sessions that it has not seen")
    return sessions


def _job(parent: Checkpoint, sessions: Sequence[Session], request: AdaptRequest, device: torch.device) -> Job:
    """What is to be trained. Raises DataError where there is too little to learn from."""
    dtype = torch.float64 if parent.spec.training.dtype == "float64" else torch.float32
    cohort = cohort_of([_first_trials(session, request.trials) for session in sessions], dtype)
    check_enough(cohort, sum(parent.layout.area_latents))
    spec = _adapting_spec(parent.spec, cohort, request.epochs)
    layout = adapted_layout(parent.layout, measure(spec, cohort))
    command = request.resume_command()
    return Job(cohort, spec, layout, request.out, request.seed, device, command, parent=parent)


def _adapt_locked(request: AdaptRequest, folder: RunFolder, job: Job, progress: Progress) -> list[AnimalSummary]:
    assert job.parent is not None
    state: Mapping[str, Any] | None = None
    if request.resume:
        state = same_fit(load(folder.last), job.spec, job.layout, request.seed)
    else:
        folder.clear()
    write_text(folder.spec, spec_text(job.spec))
    digest = file_sha256(job.parent.path)
    origin = {"run": str(job.parent.path), "sha256": digest, "animals": job.parent.layout.animals}
    return train_and_score(job, state, progress, {"adapted_from": origin})


def _say_what_is_learned(layout: Layout, progress: Progress) -> None:
    if not layout.animal_embedding:
        why = "was fitted to one animal" if len(layout.animals) == 1 else "has model.animals.embedding 0"
        progress.say(f"the run {why}: the new animals' brains are the run's own, only readouts and gains are learned")


def _first_trials(session: Session, number: int | None) -> Session:
    """The session with its first `number` training trials; the others count as validation, so that none is scored."""
    if number is None:
        return session
    split = session.split.copy()
    split[np.flatnonzero(split == TRAIN)[number:]] = VALIDATION
    return replace(session, split=split)


def _adapting_spec(spec: Spec, cohort: Cohort, epochs: int | None) -> Spec:
    """The run's spec with the new files, and a schedule that needs no validation trials."""
    training = spec.training
    epochs = -(-_STEPS // steps_an_epoch(cohort, spec)) if epochs is None else epochs
    batch = training.batch_of(examples_an_epoch(cohort, spec))
    chosen = {"batch": batch, "epochs": epochs, "patience": epochs, "starts": 1, "hold_controller": 0.0}
    adapted = spec.model_copy(update={"training": training.model_copy(update=chosen)})
    return with_files(adapted, [session.path for session in cohort.sessions])


def check_enough(cohort: Cohort, n_latent: int) -> None:
    """Raise DataError for a session whose training trials cannot tell how its neurons read the latents.

    A readout has a number for each latent and one of its own: with fewer bins than that the neurons' activity does not
    span the latents. With less than a spike a neuron most of them have said nothing at all.
    """
    for session in cohort.sessions:
        rows = session.split == TRAIN
        inside = session.mask[rows]
        bins = int(inside.sum())
        if bins <= n_latent:
            _refuse(session, f"{bins} bins of training trials for {n_latent + 1} numbers a neuron")
        counted = [unit for unit, kind in enumerate(session.unit_kind) if kind == "spikes"]
        spikes = float(np.nansum(session.observation[rows][inside][:, counted])) if counted else np.inf
        if spikes < len(counted):
            _refuse(session, f"{spikes:.0f} spikes of {len(counted)} neurons in training trials")


def _refuse(session: Session, found: str) -> None:
    what = f"too little to adapt to: {found}"
    raise DataError(what, where=str(session.path), remedy="give more trials, longer ones, or a larger --trials")
