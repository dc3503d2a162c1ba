"""NWB tables as plain arrays, read straight from the datasets behind them, never row by row."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.areas import DEFAULT_AREA, NO_AREA, filled
from ncyber_cli.data.check_times import check_spike_times
from ncyber_cli.data.columns import plain_column, texts
from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.numeric import dataset, read_ends, read_numbers, read_row_numbers
from ncyber_cli.data.nwb_objects import is_events, is_intervals, neurodata_type
from ncyber_cli.data.recording import IntervalTable, NeuralStream, SpikeTrains
from ncyber_cli.data.unit_names import named_by
from ncyber_cli.errors import DataError
from ncyber_cli.spec import NeuralSource


def column_names(table: h5py.Group) -> list[str]:
    return texts(np.atleast_1d(table.attrs["colnames"])) if "colnames" in table.attrs else []


def table_columns(table: h5py.Group, where: str, rows: NDArray[np.int64] | None = None) -> dict[str, NDArray[Any]]:
    """The plain 1-D columns of a table by name, optionally at `rows`; ragged columns and references are left out.

    Raises DataError for a column that has not one value a row.
    """
    columns, n_row = {}, row_count(table, where)
    for name in column_names(table):
        column = dataset(table, name)
        if column is None or column.shape is None or column.ndim != 1 or f"{name}_index" in table:
            continue
        if neurodata_type(column) == "DynamicTableRegion" or h5py.check_ref_dtype(column.dtype) is not None:
            continue
        values = plain_column(column[()])
        if values is None:
            continue
        if len(values) != n_row:
            what = f"has {len(values)} values, the table has {n_row} rows"
            raise DataError(what, where=f"{where}/{name}", remedy="write one value a row, or remove the column")
        if neurodata_type(column) == "EnumData":
            values = np.array(texts(column.file[column.attrs["elements"]][()]))[values]
        columns[name] = values if rows is None else values[rows]
    return columns


def interval_table(table: h5py.Group, where: str) -> IntervalTable:
    """An interval table; or events as one: each begins a row, which ends with its duration, else with the next event.

    A table of events keeps its columns; those of a series are start_time, stop_time and `code`, its values (numbers or
    text). Raises DataError for events without times.
    """
    if is_intervals(table):
        return IntervalTable(id=row_ids(table, where), columns=table_columns(table, where))
    if is_events(table):
        columns = table_columns(table, where)
        start_s = _event_times_s(columns["timestamp"], where)
        lasts_s = columns.get("duration")
        stop_s = np.append(start_s[1:], np.inf) if lasts_s is None else start_s + lasts_s
        return IntervalTable(row_ids(table, where), {**columns, "start_time": start_s, "stop_time": stop_s})
    codes, stamps = plain_column(table["data"][()]), dataset(table, "timestamps")
    if codes is None or stamps is None or stamps.shape != codes.shape:
        raise DataError(
            "is no series of events: one code and one timestamp each", where=where, remedy="name an interval table"
        )
    start_s = _event_times_s(stamps[()], where)
    columns = {"start_time": start_s, "stop_time": np.append(start_s[1:], np.inf), "code": codes}
    return IntervalTable(id=[str(row) for row in range(len(codes))], columns=columns)


def _event_times_s(stamps: NDArray[Any], where: str) -> NDArray[np.float64]:
    times_s = np.asarray(stamps, np.float64)
    if not (np.isfinite(times_s).all() and np.all(np.diff(times_s) >= 0)):  # two events may share a moment
        raise DataError("event times must be finite and ascend", where=where, remedy="sort the events")
    return times_s


def row_ids(table: h5py.Group, where: str) -> list[str]:
    """What the rows of a table are called. Raises DataError for a table without ids, one a row."""
    row_count(table, where)
    return texts(table["id"][()])


def row_count(table: h5py.Group, where: str) -> int:
    """How many rows a table has; none of them is read. Raises as `row_ids` does."""
    ids = dataset(table, "id")
    if ids is None or ids.ndim != 1 or not (ids.dtype.kind in "biuf" or h5py.check_string_dtype(ids.dtype)):
        what = "has no column id of one number a row"
        raise DataError(what, where=where, remedy="the file is damaged, or was not written whole")
    return len(ids)


def read_units(table: h5py.Group, source: NeuralSource, where: str) -> NeuralStream:
    """All units of a table: one bulk read of spike_times and its index. Raises DataError for bad spike times."""
    if source.kind != "spikes":
        raise DataError(f"is a table of spike times, not {source.kind}", where=where, remedy="write kind: spikes")
    if "spike_times" not in table:
        known = [name for name in column_names(table) if name in table]
        raise DataError("has no spike_times", where=where, remedy=f"its columns are: {', '.join(known)}")
    if "spike_times_index" not in table:
        raise DataError("spike_times has no index", where=where, remedy="write the units with pynwb's add_unit")
    times_s = read_numbers(table, "spike_times", where).astype(np.float64, copy=False)
    ends = read_ends(table, "spike_times_index", where, len(times_s))
    check_spike_times(times_s, ends, where=f"{where}/spike_times")
    columns = table_columns(table, where)
    ids = row_ids(table, where)
    if len(ids) != len(ends):
        raise DataError(f"has {len(ids)} ids and {len(ends)} spike trains", where=where, remedy="write the units anew")
    if source.labels is not None:
        ids = named_by(texts(needed(columns, source.labels, where, "labels")), ids)
    trains = SpikeTrains(times_s, ends, _observed_s(table, len(ids), where))
    return NeuralStream(trains, ids, _unit_areas(table, source, columns, where), columns)


def needed(columns: dict[str, NDArray[Any]], name: str, where: str, key: str) -> NDArray[Any]:
    """A column that the spec's `key` names. Raises DataError with the near misses if it is not there."""
    if name not in columns:
        raise DataError(f"there is no column {name!r} ({key})", where=where, remedy=did_you_mean(name, columns))
    return columns[name]


def _observed_s(table: h5py.Group, n_unit: int, where: str) -> list[NDArray[np.float64]] | None:
    """When each unit was recorded, (interval, 2) a unit, where the table says so."""
    if "obs_intervals" not in table or "obs_intervals_index" not in table:
        return None
    intervals_s = read_numbers(table, "obs_intervals", where, axes=2).astype(np.float64, copy=False)
    ends = read_numbers(table, "obs_intervals_index", where).astype(np.int64)
    ends = np.minimum(ends, len(intervals_s))
    proper = intervals_s.shape[1] == 2 and len(ends) == n_unit
    if not proper or np.any(np.diff(ends, prepend=0) < 0) or not np.all(intervals_s[:, 0] <= intervals_s[:, 1]):
        raise DataError(
            "are not [start, stop] in s, ascending", where=f"{where}/obs_intervals", remedy="mend or remove the column"
        )
    return np.split(intervals_s, ends[:-1]) if n_unit else []


def _unit_areas(table: h5py.Group, source: NeuralSource, columns: dict[str, NDArray[Any]], where: str) -> list[str]:
    n_unit = row_count(table, where)
    if source.area_column is not None:
        return filled(texts(needed(columns, source.area_column, where, "area_column")))
    if source.area != "from_electrodes":
        return [source.area or DEFAULT_AREA] * n_unit
    if "electrodes" not in table:
        raise DataError(
            "units name no electrodes, so they have no area from them",
            where=where,
            remedy=f"write area: NAME, or area_column: one of {', '.join(columns) or '(there is none)'}",
        )
    return _first_electrode_locations(table, n_unit, where)


def _first_electrode_locations(units: h5py.Group, n_unit: int, where: str) -> list[str]:
    """Location of each unit's first electrode; the column is ragged, or one electrode a unit."""
    electrodes = region_table(units["electrodes"], f"{where}/electrodes")
    n_row = row_count(electrodes, f"{where}/electrodes")
    rows = read_row_numbers(units, "electrodes", where, n_row)
    ends = np.arange(1, len(rows) + 1)
    if "electrodes_index" in units:
        ends = read_ends(units, "electrodes_index", where, len(rows))
    if len(ends) != n_unit:
        what = f"has electrodes of {len(ends)} units, the table has {n_unit}"
        raise DataError(what, where=where, remedy="write area: NAME or area_column: COLUMN, or mend the file")
    located = table_columns(electrodes, f"{where}/electrodes").get("location")
    if located is None:
        return [NO_AREA] * n_unit
    locations, starts = texts(located), np.concatenate([[0], ends])[:-1]
    return filled([locations[rows[start]] if end > start else "" for start, end in zip(starts, ends, strict=True)])


def region_table(region: h5py.Dataset, where: str) -> h5py.Group:
    """The table whose rows a DynamicTableRegion names. Raises DataError for a reference that leads to none."""
    try:
        table = region.file[region.attrs["table"]]
    except (KeyError, ValueError, TypeError, AttributeError):
        table = None
    if not isinstance(table, h5py.Group):
        what = "refers to no table (attribute `table`)"
        raise DataError(what, where=where, remedy="write area: NAME or area_column: COLUMN, or mend the file")
    return table
