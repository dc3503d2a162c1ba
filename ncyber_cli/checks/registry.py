"""The list of checks: each looks at one file, one prepared session, or all sessions, and yields what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ncyber_cli.data.recording import Recording, Session
from ncyber_cli.spec import Spec


class Grade(StrEnum):
    """`error`: the fit would fail or mean nothing. `warning`: it runs, but the lab should know."""

    error = "error"
    warning = "warning"


@dataclass(frozen=True)
class Finding:
    """One problem: the object, what is wrong with which value, what to do."""

    where: str
    what: str
    remedy: str
    grade: Grade = Grade.error
    check: str = "reading"


Remark = tuple[str, str, str]  # where, what, remedy
RecordingCheck = Callable[[Recording, Spec], Iterator[Remark]]
SessionCheck = Callable[[Session, Spec], Iterator[Remark]]
CohortCheck = Callable[[Sequence[Session], Spec], Iterator[Remark]]

_RECORDING: list[tuple[Grade, RecordingCheck]] = []
_QUALITY: list[tuple[Grade, RecordingCheck]] = []
_SESSION: list[tuple[Grade, SessionCheck]] = []
_COHORT: list[tuple[Grade, CohortCheck]] = []


def recording_check(grade: Grade) -> Callable[[RecordingCheck], RecordingCheck]:
    """Register a check of what one file holds, before it is binned."""

    def register(check: RecordingCheck) -> RecordingCheck:
        _RECORDING.append((grade, check))
        return check

    return register


def quality_check(check: RecordingCheck) -> RecordingCheck:
    """Register a check of how good the data of one file are, which says nothing against fitting them."""
    _QUALITY.append((Grade.warning, check))
    return check


def session_check(grade: Grade) -> Callable[[SessionCheck], SessionCheck]:
    """Register a check of one session on the model's bins."""

    def register(check: SessionCheck) -> SessionCheck:
        _SESSION.append((grade, check))
        return check

    return register


def cohort_check(grade: Grade) -> Callable[[CohortCheck], CohortCheck]:
    """Register a check of all sessions together."""

    def register(check: CohortCheck) -> CohortCheck:
        _COHORT.append((grade, check))
        return check

    return register


def check_recording(recording: Recording, spec: Spec, *, quality: bool = False) -> Iterator[Finding]:
    """Run every check of one file, if asked of its quality too; `where` is the file and the place in it or the spec."""
    for grade, check in _RECORDING + _QUALITY * quality:
        for where, what, remedy in check(recording, spec):
            yield Finding(f"{recording.path}:{where}", what, remedy, grade, check.__name__)


def check_session(session: Session, spec: Spec) -> Iterator[Finding]:
    """Run every check of one session; `where` is its file and the place in the spec."""
    for grade, check in _SESSION:
        for where, what, remedy in check(session, spec):
            yield Finding(f"{session.path}:{where}", what, remedy, grade, check.__name__)


def check_cohort(sessions: Sequence[Session], spec: Spec) -> Iterator[Finding]:
    """Run every check over all sessions."""
    for grade, check in _COHORT:
        for where, what, remedy in check(sessions, spec):
            yield Finding(where, what, remedy, grade, check.__name__)
