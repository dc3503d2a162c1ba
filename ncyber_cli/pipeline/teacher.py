"""From what a spec calls a teacher to what a fit learns: runs make up trials, rates are read from files."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.open_hdf5 import file_sha256
from ncyber_cli.data.recording import Session
from ncyber_cli.errors import DataError, UsageError
from ncyber_cli.pipeline.fresh_trials import fresh_trials, tutor_of
from ncyber_cli.pipeline.open_run import open_run
from ncyber_cli.pipeline.taught_rates import read_rates
from ncyber_cli.reporting import Progress
from ncyber_cli.spec import Spec
from ncyber_cli.spec import Teacher as TeacherSpec
from ncyber_cli.training.checkpoint import Checkpoint
from ncyber_cli.training.teacher import Teacher


def with_teachers(spec: Spec, spec_path: Path, given: Sequence[str], out: Path) -> Spec:
    """The spec with its teachers by their full names: those `given` (relative to here), else its own.

    Raises UsageError if none is named, for a name that matches nothing, and where the run `out` would teach itself.
    """
    known = spec.training.teacher or (TeacherSpec() if given else None)
    if known is None:
        return spec
    folder, names = (Path(), given) if given else (spec_path.parent, known.rates)
    rates = list(dict.fromkeys(path for name in names for path in _matches(folder, name)))
    if not rates:
        remedy = "write training.teacher.rates, or give --teacher RUN"
        raise UsageError("names no teacher", where="training.teacher", remedy=remedy)
    if str(out.resolve()) in rates:
        raise UsageError("a run cannot teach itself", where=str(out), remedy="choose another --out")
    teacher = known.model_copy(update={"rates": rates})
    return spec.model_copy(update={"training": spec.training.model_copy(update={"teacher": teacher})})


def taught_by(spec: Spec, cohort: Cohort, device: str, progress: Progress) -> Teacher | None:
    """The teacher of a fit: files say something of its training trials, runs make up fresh ones.

    The same files and runs teach the same at any time. Raises CheckpointError or DataError for what cannot be read,
    does not fit the recordings, or has learned from trials that are held out here.
    """
    known = spec.training.teacher
    if known is None:
        return None
    paths = [Path(path) for path in known.rates]
    files, folders = ([path for path in paths if path.is_dir() == of_run] for of_run in (False, True))
    counts = all(source.kind == "spikes" for source in spec.data.neural)
    rates = _mean(files, cohort.sessions, counts=counts, progress=progress)
    tutors = [tutor_of(open_run(folder, "best", device), cohort.sessions) for folder in folders]
    fresh: list[Session] = []
    if tutors:
        progress.say(f"drawing fresh trials from {len(tutors)} {'run' if len(tutors) == 1 else 'runs'}")
        fresh = fresh_trials(tutors, cohort.sessions)
    for index, session in enumerate(cohort.sessions):
        if np.isnan(rates[index]).all() and not any(index in tutor.knows for tutor in tutors):
            progress.say(f"nothing is taught of session {session.session} of animal {session.animal}")
    hashes = {str(path): file_sha256(path) for path in files}
    hashes |= {str(tutor.run.path): tutor.run.sha256 for tutor in tutors}
    return Teacher(cohort, rates, known.weight, hashes, fresh, known.fresh)


def check_same_teacher(teacher: Teacher | None, saved: Checkpoint) -> None:
    """Raise DataError if the teachers are not those that an interrupted fit was begun with."""
    begun = (saved.training or {}).get("taught")
    if begun != (None if teacher is None else list(teacher.sha256.values())):
        what, remedy = "was begun with other teachers", "give the same, unchanged, or begin again with --overwrite"
        raise DataError(what, where=str(saved.path), remedy=remedy)


def _matches(folder: Path, name: str) -> list[str]:
    literal = folder / Path(name).expanduser()
    found = [literal] if literal.exists() else [Path(match) for match in sorted(glob.glob(str(literal)))]
    if not found:
        remedy = "name a folder that ncyber fit wrote, or an HDF5 file of rates as ncyber infer writes it"
        raise UsageError("there is no such teacher", where=name, remedy=remedy)
    return [str(path.resolve()) for path in found]


def _mean(
    files: Sequence[Path], sessions: Sequence[Session], *, counts: bool, progress: Progress
) -> list[NDArray[np.float32]]:
    """Of each session the mean over the teachers that know it, NaN where none says anything."""
    total = [np.zeros(session.observation.shape, np.float32) for session in sessions]
    known = [np.zeros(session.observation.shape, np.uint16) for session in sessions]
    for path in files:
        for index, rates in read_rates(path, sessions, counts=counts, remark=progress.say).items():
            told = np.isfinite(rates)
            total[index] += np.where(told, rates, 0)
            known[index] += told
    return [np.where(n > 0, t / np.maximum(n, 1), np.float32(np.nan)) for t, n in zip(total, known, strict=True)]
