"""One plain HDF5 session, by the dataset paths that the spec declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.absent import read_behavior, read_streams
from ncyber_cli.data.animal_name import animal_name
from ncyber_cli.data.areas import DEFAULT_AREA, filled
from ncyber_cli.data.check_times import check_counts
from ncyber_cli.data.columns import plain_column, text, texts
from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.hdf5_series import Hdf5Series
from ncyber_cli.data.recording import IntervalTable, NeuralStream, Recording
from ncyber_cli.data.unit_names import group_name, named_by, unique_over_sources
from ncyber_cli.errors import DataError
from ncyber_cli.spec import Data, NeuralSource, Trials


def read_hdf5(file: h5py.File, path: Path, data: Data, sha256: str) -> Recording:
    """Read what `data` names: signals (time, unit) or, with a trial axis, (trial, time, unit).

    Spikes are binned counts. See Hdf5Series for where times come from. The animal is `data.animal`
    (a dataset or a root attribute), else the file's name. A neural source that is not there has no units if another
    one is. Raises DataError for an unreadable file, a missing dataset (naming what there is) and unusable values.
    """
    series = Hdf5Series(file, data, path.name)
    absent: dict[str, str] = {}
    streams = read_streams(data.neural, lambda source: _neural(series, source, data), absent)
    return Recording(
        animal=animal_name(path, data, _animal(file, data.animal, path)),
        session=group_name(path.stem),
        path=path,
        sha256=sha256,
        neural=unique_over_sources(streams, [source.name for source in data.neural], where=path.name),
        behavior=read_behavior(
            data.behavior,
            lambda source: series.sampled(source.source, source.axes, source.time, source.rate_hz, source.columns),
            absent,
        ),
        inputs={
            name: series.sampled(given.source, given.axes, given.time, given.rate_hz, given.columns)
            for name, given in data.inputs.items()
            if given.source is not None
        },
        trials=None if data.trials is None else _interval_table(file, data.trials, path.name),
        absent=absent,
    )


def _neural(series: Hdf5Series, source: NeuralSource, data: Data) -> NeuralStream:
    where = series.where(source.source)
    activity = series.sampled(source.source, source.axes, source.time, source.rate_hz)
    if source.kind == "spikes":
        check_counts(activity.values, where=where)
    n_unit = activity.values.shape[-1]
    columns = _unit_columns(series, source, n_unit)
    held_out = data.held_out.column if data.held_out else None
    if held_out is not None and held_out not in columns and len(data.neural) > 1:
        of_another = len(series.column(held_out)) != n_unit
        held_out = None if of_another else held_out
    for name in (source.labels, source.area_column, held_out):
        if name is not None and name not in columns:
            columns[name] = series.column(name)
        if name is not None and len(columns[name]) != n_unit:
            what = f"has {len(columns[name])} rows for {n_unit} units"
            raise DataError(what, where=series.where(name), remedy="name one with an entry a unit")
    ids = [str(i) for i in range(n_unit)]
    if source.labels is not None:
        ids = named_by(texts(columns[source.labels]), ids)
    if source.area == "from_electrodes":
        raise DataError("plain HDF5 has no electrodes", where=where, remedy="write area: NAME or area_column: DATASET")
    area = [source.area or DEFAULT_AREA] * n_unit
    if source.area_column is not None:
        area = filled(texts(columns[source.area_column]))
    return NeuralStream(activity, ids, area, columns)


def _unit_columns(series: Hdf5Series, source: NeuralSource, n_unit: int) -> dict[str, NDArray[Any]]:
    """Columns for `where`: the 1-D datasets beside the source that have one value a unit."""
    return {
        name: values for name, values in _columns(series.dataset(source.source).parent).items() if len(values) == n_unit
    }


def _columns(group: h5py.Group) -> dict[str, NDArray[Any]]:
    columns = {}
    for name in group:
        item = group.get(name) if group.get(name, getclass=True) is h5py.Dataset else None
        values = plain_column(item[()]) if item is not None and item.ndim == 1 else None
        if values is not None:
            columns[str(name)] = values
    return columns


def _interval_table(file: h5py.File, trials: Trials, file_name: str) -> IntervalTable:
    """A group whose 1-D datasets are the columns. A missing start_time or stop_time follows from window_s."""
    group = file.get(trials.table)
    if not isinstance(group, h5py.Group):
        groups: list[str] = []
        file.visititems(lambda name, item: groups.append(name) if isinstance(item, h5py.Group) else None)
        raise DataError(
            f"there is no group {trials.table!r}", where=file_name, remedy=did_you_mean(trials.table, groups)
        )
    where = f"{file_name}:/{trials.table.strip('/')}"
    columns = _columns(group)
    if len({len(values) for values in columns.values()}) > 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
        raise DataError(
            f"columns differ in length ({lengths})", where=where, remedy="one value a trial in every column"
        )
    if trials.align not in columns:
        raise DataError(f"there is no column {trials.align!r}", where=where, remedy=did_you_mean(trials.align, columns))
    for name, edge in zip(("start_time", "stop_time"), trials.window_s or (), strict=False):
        columns.setdefault(name, np.asarray(columns[trials.align], dtype=np.float64) + edge)
    for name in ("start_time", "stop_time"):
        if name not in columns:
            raise DataError(
                f"there is no column {name!r}", where=where, remedy="write trials.window_s, or add the column"
            )
    ids = columns.pop("id", np.arange(len(columns["start_time"])))
    return IntervalTable(id=texts(ids), columns=columns)


def _animal(file: h5py.File, key: str | None, path: Path) -> str:
    if key is None:
        return path.stem
    item = file.get(key)
    if isinstance(item, h5py.Dataset) and item.size == 1:
        return text(np.asarray(item[()]).reshape(-1)[0])
    if key in file.attrs and np.size(file.attrs[key]) == 1:
        return text(np.asarray(file.attrs[key], dtype=object).reshape(-1)[0])
    raise DataError(
        f"data.animal {key!r} is neither a dataset nor an attribute of the file with one value",
        where=path.name,
        remedy=did_you_mean(key, file.attrs),
    )
