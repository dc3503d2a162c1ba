"""From what a spec calls a teacher to the rates that a fit learns: runs are inferred first, files are read."""

from __future__ import annotations

import glob
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.open_hdf5 import file_sha256
from ncyber_cli.data.recording import TRAIN, Session
from ncyber_cli.errors import DataError, UsageError
from ncyber_cli.inference.posterior import posterior_moments
from ncyber_cli.outputs.provenance import record_provenance
from ncyber_cli.outputs.results_hdf5 import ResultsWriter
from ncyber_cli.pipeline.infer import to_session
from ncyber_cli.pipeline.open_run import OpenRun, header_of, open_run, trial_batches
from ncyber_cli.pipeline.run_folder import RunFolder
from ncyber_cli.pipeline.sessions import sessions_of_run
from ncyber_cli.pipeline.taught_rates import check_split, read_rates
from ncyber_cli.reporting import Progress
from ncyber_cli.spec import Spec
from ncyber_cli.spec import Teacher as TeacherSpec
from ncyber_cli.spec_file import spec_text
from ncyber_cli.training.checkpoint import Checkpoint
from ncyber_cli.training.teacher import Teacher

_SEED, _BATCH = 0, 64


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


def taught_by(spec: Spec, cohort: Cohort, folder: RunFolder, device: str, progress: Progress) -> Teacher | None:
    """The teacher of a fit; the rates of runs are written to its folder, and used again where they are there.

    Raises CheckpointError or DataError for what cannot be read, does not fit the recordings, or has learned from
    trials that are held out here.
    """
    known = spec.training.teacher
    if known is None:
        return None
    files = []
    for number, path in enumerate(map(Path, known.rates), 1):
        if path.is_dir():
            run, path = path, folder.taught(number)
            if not path.exists():
                progress.say(f"inferring what {run} has to teach")
                _write_rates(open_run(run, "best", device), cohort.sessions, path)
        files.append(path)
    counts = all(source.kind == "spikes" for source in spec.data.neural)
    rates = _mean(files, cohort.sessions, counts=counts, progress=progress)
    return Teacher(cohort, rates, known.weight, {str(path): file_sha256(path) for path in files})


def check_same_teacher(teacher: Teacher | None, saved: Checkpoint) -> None:
    """Raise DataError if the rates are not those that an interrupted fit was begun with."""
    begun = (saved.training or {}).get("taught")
    if begun != (None if teacher is None else list(teacher.sha256.values())):
        what = "was begun with other rates of a teacher"
        raise DataError(what, where=str(saved.path), remedy="give the same files, or begin again with --overwrite")


def _matches(folder: Path, name: str) -> list[str]:
    literal = folder / Path(name).expanduser()
    found = [literal] if literal.exists() else [Path(match) for match in sorted(glob.glob(str(literal)))]
    if not found:
        remedy = "name a folder that ncyber fit wrote, or an HDF5 file of rates as ncyber infer writes it"
        raise UsageError("there is no such teacher", where=name, remedy=remedy)
    return [str(path.resolve()) for path in found]


def _write_rates(run: OpenRun, students: Sequence[Session], out: Path) -> None:
    """Rates of the students' training trials, of sessions that the run knows, in the layout of `infer`."""
    known = {(each.animal, each.session) for each in run.layout.sessions}
    hashes = {each.sha256 for each in run.layout.sessions}
    chosen = [s for s in students if s.sha256 in hashes or (s.animal, s.session) in known]
    if not chosen:
        remedy = "a teacher is fitted to the same recordings, or to some of them"
        raise DataError("knows none of the sessions of this fit", where=str(run.path), remedy=remedy)
    provenance = record_provenance(
        ["ncyber", *sys.argv[1:]],
        seed=_SEED,
        spec=spec_text(run.spec),
        input_sha256={str(run.path): run.sha256} | {str(session.path): session.sha256 for session in chosen},
    )
    sessions = sessions_of_run(run.layout, run.spec, [session.path for session in chosen])
    with ResultsWriter(out, {**provenance.attributes(), "run": str(run.path)}) as writer:
        for student, session in zip(chosen, sessions, strict=True):
            check_split(dict(zip(session.trial_id, session.split.tolist(), strict=True)), student, str(run.path))
            _write_session(run, session, student, writer)


def _write_session(run: OpenRun, session: Session, student: Session, writer: ResultsWriter) -> None:
    """`session` is the student's as the run reads it."""
    wanted = {trial for trial, part in zip(student.trial_id, student.split, strict=True) if part == TRAIN}
    trials = np.array([row for row, trial in enumerate(session.trial_id) if trial in wanted], np.int64)
    header = header_of(run, session, trials)
    rates = {"rates": header.features["rates"]}
    writer.add_session(replace(header, animal=student.animal, session=student.session, features=rates))
    inference, done = run.spec.inference, 0
    for some in trial_batches(run, session, trials, _BATCH):
        moments = posterior_moments(run.model, some.batch, inference, some.keys, samples=inference.samples, seed=_SEED)
        mean, sd = (to_session(values, session, "rates") for values in (moments["rates"].mean, moments["rates"].sd))
        writer.write(student.animal, student.session, done + np.arange(len(mean)), "rates", mean, sd)
        done += len(mean)


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
    for session, number in zip(sessions, known, strict=True):
        if not number.any():
            progress.say(f"nothing is taught of session {session.session} of animal {session.animal}")
    return [np.where(n > 0, t / np.maximum(n, 1), np.float32(np.nan)) for t, n in zip(total, known, strict=True)]
