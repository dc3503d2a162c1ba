"""One NWB session: what the spec names, as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py

from ncyber_cli.data.about import read_about
from ncyber_cli.data.absent import read_behavior, read_streams
from ncyber_cli.data.animal_name import animal_name, is_nameless
from ncyber_cli.data.columns import text
from ncyber_cli.data.nwb_objects import NwbObjects
from ncyber_cli.data.nwb_series import read_neural_series, read_sampled
from ncyber_cli.data.nwb_tables import interval_table, read_units
from ncyber_cli.data.recording import IntervalTable, NeuralStream, Recording, Sampled
from ncyber_cli.data.unit_names import group_name, unique_over_sources
from ncyber_cli.spec import Data, NeuralSource


def read_nwb(file: h5py.File, path: Path, data: Data, sha256: str) -> Recording:
    """Read the neural sources, behaviour, inputs and interval table that `data` names.

    A source is an object's name, searched everywhere, or its full path. The animal is named by
    `data.animal_of`, else by the NWB subject_id, the session id or the file's name; the session is the session id, else
    the file's name. A neural source that is not there has no units if another one is. Raises DataError for an
    unreadable file, a missing object (naming what there is) and unusable values.
    """
    objects = NwbObjects(file, path.name)
    absent: dict[str, str] = {}
    streams = read_streams(data.neural, lambda source: _neural(objects, source), absent)
    session = _written(file, "general/session_id") or path.stem
    subject = _written(file, "general/subject/subject_id")
    return Recording(
        animal=animal_name(path, data, subject or session),
        session=group_name(session),
        path=path,
        sha256=sha256,
        neural=unique_over_sources(streams, [source.name for source in data.neural], where=path.name),
        behavior=read_behavior(
            data.behavior, lambda source: _sampled(objects, source.source, source.axes, source.columns), absent
        ),
        inputs={
            name: _sampled(objects, given.source, given.axes, given.columns)
            for name, given in data.inputs.items()
            if given.source is not None
        },
        trials=None if data.trials is None else _intervals(objects, data.trials.table),
        absent=absent,
        nameless=is_nameless(path, data, subject),
        about=read_about(file),
    )


def _written(file: h5py.File, path: str) -> str:
    """A text of the file's notes, or nothing."""
    item = file.get(path)
    return text(item[()]) if isinstance(item, h5py.Dataset) and item.shape == () else ""


def _neural(objects: NwbObjects, source: NeuralSource) -> NeuralStream:
    units = objects.units(source.source)
    if units is not None:
        path, table = units
        return read_units(table, source, objects.where(path))
    return read_neural_series(objects, source)


def _sampled(objects: NwbObjects, source: str, axes: Sequence[str] | None, columns: Sequence[int] | None) -> Sampled:
    path, series = objects.one_series(source)
    return read_sampled(series, objects.where(path), axes, columns)


def _intervals(objects: NwbObjects, name: str) -> IntervalTable:
    path, table = objects.intervals(name)
    return interval_table(table, objects.where(path))
