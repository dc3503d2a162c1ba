"""Sources that the spec names and a file lacks: missing there, if another file of the run has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ncyber_cli.data.recording import TRAIN, NeuralStream, Recording, Sampled, Session, absent_stream
from ncyber_cli.errors import DataError
from ncyber_cli.spec import BehaviorSource, NeuralSource, Spec


class NotThere(DataError):
    """A file lacks the object that a source names."""


def read_streams(
    sources: Sequence[NeuralSource], read: Callable[[NeuralSource], NeuralStream], absent: dict[str, str]
) -> list[NeuralStream]:
    """One stream a source, without units where the file lacks it (`absent` is told why). Raises NotThere for none."""
    streams, lacking = [], []
    for source in sources:
        try:
            streams.append(read(source))
        except NotThere as error:
            lacking.append(error)
            absent[source.name] = str(error)
            streams.append(absent_stream())
    if sources and len(lacking) == len(sources):
        raise lacking[0]
    return streams


def read_behavior(
    sources: Mapping[str, BehaviorSource], read: Callable[[BehaviorSource], Sampled], absent: dict[str, str]
) -> dict[str, Sampled]:
    """The signals that the file has; `absent` is told why the others are not there."""
    signals = {}
    for name, source in sources.items():
        try:
            signals[name] = read(source)
        except NotThere as error:
            absent[_behavior(name)] = str(error)
    return signals


def absent_sources(recording: Recording, spec: Spec) -> dict[str, str]:
    """Why each source of the spec that gives this recording nothing does not."""
    empty = [source.name for source, s in zip(spec.data.neural, recording.neural, strict=True) if not s.unit_id]
    return {**{name: f"{recording.path.name}: {name} holds no units" for name in empty}, **recording.absent}


def nowhere(sessions: Sequence[Session]) -> dict[str, str]:
    """What every session lacks, and why the first does."""
    if not sessions:
        return {}
    return {
        name: why for name, why in sessions[0].absent.items() if all(name in session.absent for session in sessions)
    }


def never_recorded(sessions: Sequence[Session]) -> list[str]:
    """Columns of behaviour, shared by all sessions, that have no value in any training trial."""
    inside = [session.body[session.mask & (session.split == TRAIN)[:, None]] for session in sessions]
    missing = np.isnan(np.concatenate(inside)).all(axis=0)
    return [name for name, nothing in zip(sessions[0].body_names, missing, strict=True) if nothing]


def with_shared_body(sessions: Sequence[Session]) -> list[Session]:
    """Sessions that lack a signal get its columns, all missing, from those that have it."""
    fullest = max(sessions, key=lambda session: len(session.body_names), default=None)
    if fullest is None:
        return []
    return [with_body(session, fullest.body_names, fullest.body_units) for session in sessions]


def with_body(session: Session, names: list[str], units: list[str]) -> Session:
    """The session with the named columns, those of signals it lacks missing; itself where it lacks none."""
    lacks = any(_behavior(name) in session.absent for name in _signals_of(names))
    if session.body_names == names or not lacks or not set(session.body_names) < set(names):
        return session
    body = np.zeros((*session.mask.shape, len(names)), np.float32)
    body[session.mask] = np.nan
    body[..., [names.index(name) for name in session.body_names]] = session.body
    return replace(session, body=body, body_names=list(names), body_units=list(units))


def _signals_of(names: Sequence[str]) -> set[str]:
    """position_0, position_1 -> position."""
    return {name.rsplit("_", 1)[0] for name in names}


def _behavior(name: str) -> str:
    return f"behavior.{name}"
