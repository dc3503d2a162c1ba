"""From recordings to sessions on the model's bins: align, split, choose units, bin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.absent import absent_sources, nowhere, with_shared_body
from ncyber_cli.data.band_power import with_band_power
from ncyber_cli.data.check_signals import check_signals
from ncyber_cli.data.columns import texts
from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.features import body_features, input_column, input_features
from ncyber_cli.data.grid import Grid, aligned_grid, recorded_span_s, trial_grid, window_grid
from ncyber_cli.data.observation import observe
from ncyber_cli.data.random_windows import with_random_windows
from ncyber_cli.data.recording import TRAIN, IntervalTable, NeuralStream, Recording, Session
from ncyber_cli.data.select import select
from ncyber_cli.data.silencing import silence
from ncyber_cli.data.split import session_generator, split_by_column, split_trials, with_validation
from ncyber_cli.data.units import check_areas, choose_units, held_out_units
from ncyber_cli.errors import DataError
from ncyber_cli.spec import Data, NeuralSource, Spec


def prepare_all(
    recordings: Sequence[Recording], spec: Spec, labels: Mapping[str, Sequence[str]] | None = None
) -> list[Session]:
    """Sessions with the same body and input columns, one per recording.

    `labels` are the context labels of an earlier run (see labels_in); by default they are gathered
    over the recordings. Sessions of one animal that share a name get their file's name added.
    Raises DataError for a file given twice, held-out ids that no session has, and sessions that
    disagree in body or inputs.
    """
    recordings = told_apart(recordings)
    labels = context_labels(recordings, spec) if labels is None else labels
    return brought_together([prepare(recording, spec, labels) for recording in recordings], spec)


def brought_together(sessions: Sequence[Session], spec: Spec) -> list[Session]:
    """The sessions of one run: behaviour that some lack is missing there.

    Raises DataError for sessions that disagree in body or inputs, and for sources and held-out ids that none has.
    """
    for why in nowhere(sessions).values():
        raise DataError(f"no file has it: {why}" if len(sessions) > 1 else why)
    together = with_shared_body(sessions)
    _check_same_columns(together)
    for name, remedy in unknown_held_out(sessions, spec).items():
        raise DataError(f"no session has unit {name!r}", where="data.held_out.units", remedy=remedy)
    return together


def unknown_held_out(sessions: Sequence[Session], spec: Spec) -> dict[str, str]:
    """Unit ids that the spec holds out and no session has, each with what may have been meant."""
    asked = spec.data.held_out.units if spec.data.held_out is not None else None
    known = {name for session in sessions for name in session.unit_id}
    return {name: did_you_mean(name, known) for name in asked or () if name not in known} if sessions else {}


def prepare(recording: Recording, spec: Spec, labels: Mapping[str, Sequence[str]] | None = None) -> Session:
    """One session on the bins of `spec.data.bin_s`.

    The split depends on seed, session name and number of trials alone; units are chosen on training
    trials alone. `labels` are the context labels of the whole run. Raises DataError for data that
    do not fit the spec.
    """
    data, where = spec.data, recording.path.name
    grid, split = _divided(recording, data, where)
    streams = [
        with_band_power(stream, source.band_hz, f"{where}: {source.source}")
        if source.band_hz and stream.unit_id
        else stream
        for stream, source in zip(recording.neural, data.neural, strict=True)
    ]
    check_signals(streams, spec, where)
    chosen = choose_units(streams, data.neural, data.units, grid.take(split == TRAIN), where)
    unit_id = [stream.unit_id[row] for stream, rows in zip(streams, chosen, strict=True) for row in rows]
    unit_area = [stream.area[row] for stream, rows in zip(streams, chosen, strict=True) for row in rows]
    unit_kind: list[str] = [source.kind for source, rows in zip(data.neural, chosen, strict=True) for _ in rows]
    held_out = held_out_units(
        data.held_out, unit_id, unit_kind, streams, chosen, data.split.seed, recording.session, where
    )
    if isinstance(spec.model.brain.latents, dict):
        check_areas(streams, unit_area, list(spec.model.brain.latents), where=where)
    body = body_features(recording, spec, grid)
    inputs, forces = input_features(recording, spec, grid, labels or {})
    session = Session(
        animal=recording.animal,
        session=recording.session,
        path=recording.path,
        sha256=recording.sha256,
        bin_s=data.bin_s,
        unit_id=unit_id,
        unit_area=unit_area,
        unit_kind=unit_kind,
        held_out=held_out,
        trial_id=_trial_ids(recording.trials, grid.rows, where),
        split=split,
        time_s=grid.centre_s(),
        event_s=grid.event_s,
        mask=grid.mask(),
        observation=observe(streams, data.neural, chosen, grid, where),
        body=body.values,
        body_names=body.names,
        body_units=body.units,
        input=inputs.values,
        input_names=inputs.names,
        force=forces.values,
        trials=_kept_rows(recording.trials, grid.rows),
        unit_label=[label for each in zip(data.neural, streams, chosen, strict=True) for label in _labels(*each)],
        absent=absent_sources(recording, spec),
        nameless=recording.nameless,
        about=recording.about,
    )
    return silence(session, spec)


def _labels(source: NeuralSource, stream: NeuralStream, rows: NDArray[np.int64]) -> list[str]:
    """What the spec's `labels` say of the kept units; empty where it names none."""
    if source.labels is None or source.labels not in stream.columns:
        return [""] * len(rows)
    return texts(stream.columns[source.labels][rows])


def context_labels(recordings: Sequence[Recording], spec: Spec) -> dict[str, list[str]]:
    """Sorted labels of every text context over the rows that trials.where keeps, in all recordings."""
    labels: dict[str, list[str]] = {}
    for name, given in spec.data.inputs.items():
        if given.kind != "context" or given.column is None:
            continue
        found: set[str] = set()
        for recording in recordings:
            where = f"{recording.path.name}: inputs.{name}"
            column = input_column(recording.trials, given.column, where)
            if column.dtype.kind == "U":
                found.update(column[_selected(recording, spec.data)].tolist())
        if found:
            labels[name] = sorted(found)
    return labels


def labels_in(input_names: Sequence[str], spec: Spec) -> dict[str, list[str]]:
    """The context labels of an earlier run, from its sessions' input names (context=label)."""
    labels: dict[str, list[str]] = {}
    for name in input_names:
        context, found, label = name.partition("=")
        if found and context in spec.data.inputs:
            labels.setdefault(context, []).append(label)
    return labels


def _divided(recording: Recording, data: Data, where: str) -> tuple[Grid, NDArray[np.int8]]:
    """The bins of every trial, and which trials train."""
    grid, name = _grid(recording, data, where), recording.session
    if data.split.column is not None:
        split = split_by_column(data.split.column, recording.trials, grid.rows, where=where)
        return grid, with_validation(split, data.split, name)
    split = split_trials(data.split, name, grid.n_trial)
    if data.windows is None or not data.windows.random:
        return grid, split
    return with_random_windows(grid, split, data.windows.random, session_generator(data.split.seed, name, "windows"))


def _grid(recording: Recording, data: Data, where: str) -> Grid:
    if data.trials is not None and recording.trials is not None:
        span_s = recorded_span_s(recording.neural, data.bin_s, where=where)
        return trial_grid(recording.trials, data.trials, data.bin_s, span_s, where=where)
    if data.windows is not None:
        span_s = recorded_span_s(recording.neural, data.bin_s, where=where)
        return window_grid(data.windows, data.bin_s, span_s, where=where)
    return aligned_grid(recording.neural, data.bin_s, where=where)


def _selected(recording: Recording, data: Data) -> NDArray[np.bool_]:
    table = recording.trials
    if table is None:
        return np.zeros(0, dtype=np.bool_)
    if data.trials is None or data.trials.where is None:
        return np.ones(len(table.id), dtype=np.bool_)
    columns = {"id": np.array(table.id), **table.columns}
    return select(data.trials.where, columns, len(table.id), where=f"{recording.path.name}: trials.where")


def _trial_ids(table: IntervalTable | None, rows: NDArray[np.int64], where: str) -> list[str]:
    """Ids of the trials. Raises DataError where two of them share one: split and results go by it."""
    ids = [str(row) if table is None else table.id[row] for row in rows]
    name, times = Counter(ids).most_common(1)[0]
    if times > 1:
        remedy = "give each trial an id of its own"
        raise DataError(f"trial id {name!r} stands {times} times", where=where, remedy=remedy)
    return ids


def _kept_rows(table: IntervalTable | None, rows: NDArray[np.int64]) -> IntervalTable | None:
    if table is None:
        return None
    return IntervalTable(
        [table.id[row] for row in rows], {name: values[rows] for name, values in table.columns.items()}
    )


def told_apart(recordings: Sequence[Recording]) -> list[Recording]:
    """Recordings whose sessions have names of their own. Raises DataError for a file given twice."""
    files = Counter(recording.sha256 for recording in recordings)
    for recording in recordings:
        if files[recording.sha256] > 1:
            raise DataError("the same file is given twice", where=str(recording.path), remedy="name each file once")
    names = Counter((recording.animal, recording.session) for recording in recordings)
    return [
        recording
        if names[recording.animal, recording.session] == 1
        else replace(recording, session=f"{recording.session}_{recording.path.stem}")
        for recording in recordings
    ]


def _check_same_columns(sessions: Sequence[Session]) -> None:
    for session in sessions[1:]:
        first = sessions[0]
        for what, here, there in (
            ("behavior", session.body_names, first.body_names),
            ("inputs", session.input_names, first.input_names),
            ("forces", session.force.shape[-1], first.force.shape[-1]),
        ):
            if here != there:
                raise DataError(
                    f"has {what} {here}, {first.path.name} has {there}",
                    where=session.path.name,
                    remedy="all sessions of a run need the same; keep shared ones with `columns`",
                )
