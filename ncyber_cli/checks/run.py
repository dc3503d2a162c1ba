"""Run every check over every file, and go on after each failure, so that all problems are told at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

# Importing a file of checks registers them.
from ncyber_cli.checks import areas as areas
from ncyber_cli.checks import behavior as behavior
from ncyber_cli.checks import cohort as cohort
from ncyber_cli.checks import neural as neural
from ncyber_cli.checks import spikes as spikes
from ncyber_cli.checks import trials as trials
from ncyber_cli.checks.registry import Finding, check_cohort, check_recording, check_session
from ncyber_cli.data.prepare import prepare
from ncyber_cli.data.read import read_recording
from ncyber_cli.data.recording import Session
from ncyber_cli.errors import DataError, NcyberError, SpecError
from ncyber_cli.spec import Data, Spec


def check_files(paths: Sequence[Path], spec: Spec, *, quality: bool = False) -> Iterator[Finding]:
    """Yield what is wrong with each file for this spec (and with its quality), then with all of them together.

    A file is read once; only when that fails, its sources are read one by one to find every reason.
    """
    sessions: list[Session] = []
    for path in paths:
        try:
            recording = read_recording(path, spec.data)
        except DataError as error:
            yield from _every_reason(path, spec.data, error)
            continue
        yield from check_recording(recording, spec, quality=quality)
        try:
            session = prepare(recording, spec)
        except (DataError, SpecError) as error:
            yield _finding(path, error)
            continue
        yield from check_session(session, spec)
        sessions.append(session)
    yield from check_cohort(sessions, spec)


def _every_reason(path: Path, data: Data, first: DataError) -> Iterator[Finding]:
    found: dict[str, Finding] = {}
    for piece in _pieces(data):
        try:
            read_recording(path, piece)
        except DataError as error:
            found.setdefault(str(error), _finding(path, error))
    yield from found.values() or [_finding(path, first)]


def _pieces(data: Data) -> Iterator[Data]:
    """Split what is to be read into one source each; `model_copy` leaves out the spec's own rules on combinations."""
    bare = data.model_copy(update={"neural": [], "behavior": {}, "inputs": {}, "trials": None, "held_out": None})
    for source in data.neural:
        yield bare.model_copy(update={"neural": [source]})
    for key in ("behavior", "inputs"):
        for name, signal in getattr(data, key).items():
            yield bare.model_copy(update={key: {name: signal}})
    if data.trials is not None:
        yield bare.model_copy(update={"trials": data.trials})


def _finding(path: Path, error: NcyberError) -> Finding:
    where = error.where  # readers name the file without its folder, and two folders may hold one name
    if where.startswith(path.name):
        where = f"{path}{where.removeprefix(path.name)}"
    elif str(path) not in where:
        where = f"{path}:{where}".rstrip(":")
    return Finding(where, error.what, error.remedy, check="spec" if isinstance(error, SpecError) else "reading")
