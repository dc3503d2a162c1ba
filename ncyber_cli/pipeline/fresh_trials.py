"""Fresh trials for a student: training trials of which the runs that teach it have drawn the activity anew.

What a run infers of trials that it has learned from repeats their noise, and says little of what makes it good on
others: a student of such rates kept 18 % of what an ensemble gains. A path drawn from its posterior with new activity
on it is a trial whose truth is known, nobody's training trial, and there are as many as one likes: the sleep of
wake-sleep (Hinton et al. 1995), dreamt by the teachers. To ask all teachers what they see in such a trial, and to teach
their mean, brought students nearer to the ensemble's rates and made them no better (two students each of two animals:
.4275 and .497 bits/spike, without .4275 and .500; the ensembles .426 and .496).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.data.recording import TRAIN, Session
from ncyber_cli.errors import DataError
from ncyber_cli.inference.fresh_activity import fresh_activity
from ncyber_cli.pipeline.infer import to_session
from ncyber_cli.pipeline.open_run import OpenRun, trial_batches
from ncyber_cli.pipeline.sessions import sessions_of_run
from ncyber_cli.pipeline.taught_rates import check_split, check_times, rows_of

_POOL, _MOST_EACH = 800, 20  # fresh trials at least, but no more for each training trial than so many
_BATCH, _SEED = 64, 0


@dataclass(frozen=True)
class Pupils:
    """A session of the student, cut to its training trials, as one of its teachers knows it."""

    session: Session
    units: NDArray[np.int64]  # (student's unit,) where the teacher has it


@dataclass(frozen=True)
class Tutor:
    """A run that teaches, and the student's sessions that it knows by their index."""

    run: OpenRun
    knows: dict[int, Pupils]


def tutor_of(run: OpenRun, students: Sequence[Session]) -> Tutor:
    """Raises DataError if the run knows none of the sessions, or not as the student does, or has learned from trials
    that are held out here."""
    known = {(each.animal, each.session) for each in run.layout.sessions}
    hashes = {each.sha256 for each in run.layout.sessions}
    chosen = [i for i, s in enumerate(students) if s.sha256 in hashes or (s.animal, s.session) in known]
    if not chosen:
        remedy = "a teacher is fitted to the same recordings, or to some of them"
        raise DataError("knows none of the sessions of this fit", where=str(run.path), remedy=remedy)
    theirs = sessions_of_run(run.layout, run.spec, [students[index].path for index in chosen])
    return Tutor(run, {i: _as_known(each, students[i], run.path) for i, each in zip(chosen, theirs, strict=True)})


def fresh_trials(tutors: Sequence[Tutor], students: Sequence[Session]) -> list[Session]:
    """The students' sessions with fresh trials for their training trials, as many of each, by one run after the other.

    The same runs draw the same at any time. A session that no run knows has none.
    """
    n_training = sum(int((session.split == TRAIN).sum()) for session in students)
    each = min(_MOST_EACH, -(-_POOL // max(1, n_training)))
    generator = torch.Generator(tutors[0].run.device).manual_seed(_SEED)
    return [_of_session(tutors, index, session, each, generator) for index, session in enumerate(students)]


def _as_known(theirs: Session, student: Session, path: Path) -> Pupils:
    where = str(path)
    check_split(dict(zip(theirs.trial_id, theirs.split.tolist(), strict=True)), student, where)
    training = np.flatnonzero(student.split == TRAIN)
    rows = rows_of([student.trial_id[trial] for trial in training], theirs.trial_id, "trial", where)
    units = rows_of(student.unit_id, theirs.unit_id, "unit", where)
    taken = theirs.take(rows)
    check_times(taken.time_s, student, training, where)
    return Pupils(taken, units)


def _of_session(
    tutors: Sequence[Tutor], index: int, student: Session, each: int, generator: torch.Generator
) -> Session:
    knowing = [(tutor.run, tutor.knows[index]) for tutor in tutors if index in tutor.knows]
    training = student.take(np.flatnonzero(student.split == TRAIN))
    drawn = [_drawn(*knowing[number % len(knowing)], number, generator) for number in range(each if knowing else 0)]
    recorded = training.observation.astype(np.float32)
    there = training.mask[:, :, None] & ~np.isnan(recorded)
    activity = [np.where(there, values, np.where(np.isnan(recorded), np.nan, 0)) for values in drawn]
    fresh = training.take(np.tile(np.arange(len(training.trial_id)), len(drawn)))
    return replace(fresh, observation=np.concatenate([recorded[:0], *activity]).astype(np.float32))


def _drawn(run: OpenRun, pupils: Pupils, number: int, generator: torch.Generator) -> NDArray[np.float32]:
    """Activity of the student's units in its training trials, (trial, time, unit)."""
    # Under other names, what is drawn of the same trials is drawn anew.
    session = replace(pupils.session, trial_id=[f"{trial} drawn {number}" for trial in pupils.session.trial_id])
    found = []
    for some in trial_batches(run, session, np.arange(len(session.trial_id)), _BATCH):
        drawn = fresh_activity(run.model, some.batch, run.spec.inference, some.keys, generator)
        found.append(to_session(drawn, session, "rates"))
    return np.concatenate(found)[:, :, pupils.units]
