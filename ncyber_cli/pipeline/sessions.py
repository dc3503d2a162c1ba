"""Files to sessions: those of a new run, and those that a finished run is asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ncyber_cli.data.absent import with_body
from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.prepare import brought_together, context_labels, labels_in, told_apart
from ncyber_cli.data.read_session import read_head, read_session
from ncyber_cli.data.recording import TEST, Recording, Session
from ncyber_cli.errors import DataError
from ncyber_cli.model.layout import Layout, SessionLayout
from ncyber_cli.spec import Spec, Split, UnitSelection

_ADAPT = "a new session needs a readout of its own: fit it with the others (`ncyber adapt` is not available yet)"


def read_sessions(
    spec: Spec, paths: Sequence[Path], labels: Mapping[str, Sequence[str]] | None = None
) -> list[Session]:
    """The sessions of `paths` on the spec's bins, as `data.prepare_all` makes them.

    No more than one file is held in its own sampling. Names and context labels depend on all files: who and which
    trials they hold is read before their signals. Raises DataError for what cannot be read or does not fit the spec.
    """
    heads = told_apart([read_head(path, spec.data) for path in paths])
    known = context_labels(heads, spec) if labels is None else labels
    return brought_together([read_session(head, spec, known) for head in heads], spec)


def cohort_of(sessions: Sequence[Session], dtype: torch.dtype = torch.float32) -> Cohort:
    """The sessions of a fit; animals are numbered in the order in which they appear."""
    return Cohort(sessions, list(dict.fromkeys(session.animal for session in sessions)), dtype=dtype)


def sessions_of_run(layout: Layout, spec: Spec, paths: Sequence[Path]) -> list[Session]:
    """The sessions of `paths` as a finished run knows them: its names, its units in its order, its split.

    A file is known by its hash. Another file is taken for a session of the run if it has that session's
    animal, name and units, and all its trials are test trials.

    Raises DataError for a session the run has no readout for, and for two files of one session.
    """
    labels = labels_in(layout.input_names, spec)
    sessions: list[Session] = []
    for path in paths:
        session = _session_of_run(layout, spec, path, labels)
        for other in sessions:
            if (other.animal, other.session) == (session.animal, session.session):
                what = f"is session {session.session} of animal {session.animal}, as is {other.path}"
                raise DataError(what, where=str(path), remedy="give one file of a session at a time")
        sessions.append(session)
    return sessions


def foreign_files(layout: Layout, sessions: Sequence[Session]) -> list[str]:
    """A remark for each file that is not, byte for byte, one that the run was fitted to."""
    known = {session.sha256 for session in layout.sessions}
    return [
        f"{session.path} is not the file that the run was fitted to: all its trials count as test trials"
        for session in sessions
        if session.sha256 not in known
    ]


def _session_of_run(layout: Layout, spec: Spec, path: Path, labels: Mapping[str, Sequence[str]]) -> Session:
    recording = read_head(path, spec.data)
    by_hash = [known for known in layout.sessions if known.sha256 == recording.sha256]
    known = by_hash[0] if by_hash else _by_name(layout, recording)
    head = replace(recording, session=known.session)
    session = read_session(head, spec if by_hash else _unselective(spec), labels)
    session = with_body(session, layout.body_names, layout.body_units)
    check_columns(layout, session)
    session = _with_units(session, known)
    splits = dict(zip(known.trial_id, known.split, strict=True)) if by_hash else {}
    split = np.array([splits.get(trial, TEST) for trial in session.trial_id], np.int8)
    return replace(session, split=split, held_out=np.array(known.held_out, np.bool_))


def _unselective(spec: Spec) -> Spec:
    """A spec that keeps every unit of every area: which of them the run uses was decided on its own files."""
    neural = [source.model_copy(update={"where": None}) for source in spec.data.neural]
    anything = {
        "neural": neural,
        "units": UnitSelection(),
        "held_out": None,
        "split": Split(validation=0.0, test=0.0),
    }
    brain = spec.model.brain.model_copy(update={"latents": 1})
    model = spec.model.model_copy(update={"brain": brain})
    return spec.model_copy(update={"data": spec.data.model_copy(update=anything), "model": model})


def _by_name(layout: Layout, recording: Recording) -> SessionLayout:
    names = (recording.session, f"{recording.session}_{recording.path.stem}")
    for known in layout.sessions:
        if known.animal == recording.animal and known.session in names:
            return known
    what = f"session {recording.session} of animal {recording.animal} is not one of the run's"
    raise DataError(what, where=str(recording.path), remedy=_ADAPT)


def _with_units(session: Session, known: SessionLayout) -> Session:
    """The run's units in the run's order; one that is held out may be missing, as in the test files of benchmarks.

    Raises DataError if another one is.
    """
    rows = {unit: row for row, unit in enumerate(session.unit_id)}
    held_out = dict(zip(known.unit_id, known.held_out, strict=True))
    for unit in known.unit_id:
        if unit not in rows and not held_out[unit]:
            what = f"unit {unit!r} of the run's session {known.session} is missing"
            raise DataError(what, where=str(session.path), remedy=f"{did_you_mean(unit, rows)}; {_ADAPT}")
    chosen = np.array([rows.get(unit, -1) for unit in known.unit_id])
    same = np.array_equal(chosen, np.arange(len(session.unit_id)))
    observation = session.observation if same else session.observation[:, :, chosen]
    if (missing := chosen < 0).any():
        observation = observation.astype(np.float32)
        observation[..., missing] = np.where(session.mask, np.nan, 0.0)[..., None]
    return replace(
        session,
        unit_id=known.unit_id,
        unit_area=known.unit_area,
        unit_kind=known.unit_kind,
        observation=observation,
    )


def check_columns(layout: Layout, session: Session) -> None:
    for what, here, there in (
        ("behavior", session.body_names, layout.body_names or session.body_names),
        ("inputs", session.input_names, layout.input_names),
        ("forces", session.force.shape[2], layout.n_force),
    ):
        if here != there:
            remedy = "a run reads files with the signals it was fitted to"
            raise DataError(f"has {what} {here}, the run {there}", where=str(session.path), remedy=remedy)
