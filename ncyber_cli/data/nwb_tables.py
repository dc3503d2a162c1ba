"""NWB tables as plain arrays, read straight from the datasets behind them, never row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from hdmf.common import DynamicTable, DynamicTableRegion, EnumData, VectorIndex
from numpy.typing import NDArray
from pynwb.epoch import TimeIntervals
from pynwb.misc import Units

from ncyber_cli.data.areas import DEFAULT_AREA, filled
from ncyber_cli.data.check_times import check_spike_times
from ncyber_cli.data.columns import plain_column, texts
from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.recording import IntervalTable, NeuralStream, SpikeTrains
from ncyber_cli.data.unit_names import named_by
from ncyber_cli.errors import DataError
from ncyber_cli.spec import NeuralSource


def table_columns(table: DynamicTable, rows: NDArray[np.int64] | None = None) -> dict[str, NDArray[Any]]:
    """The plain 1-D columns of a table by name, optionally at `rows`; ragged columns and references are left out."""
    columns = {}
    for name in table.colnames:
        column = table[name]
        if isinstance(column, VectorIndex | DynamicTableRegion) or len(np.shape(column.data)) != 1:
            continue
        values = plain_column(column.data[:])
        if values is None:
            continue
        if isinstance(column, EnumData):
            values = np.array(texts(np.asarray(column.elements.data[:])))[values]
        columns[name] = values if rows is None else values[rows]
    return columns


def interval_table(table: TimeIntervals) -> IntervalTable:
    return IntervalTable(id=texts(np.asarray(table.id.data[:])), columns=table_columns(table))


def read_units(table: Units, source: NeuralSource, where: str) -> NeuralStream:
    """All units of a table: one bulk read of spike_times and its index. Raises DataError for bad spike times."""
    if source.kind != "spikes":
        raise DataError(f"is a table of spike times, not {source.kind}", where=where, remedy="write kind: spikes")
    if "spike_times" not in table.colnames:
        raise DataError("has no spike_times", where=where, remedy=f"its columns are: {', '.join(table.colnames)}")
    index = table["spike_times"]
    if not isinstance(index, VectorIndex):
        raise DataError("spike_times has no index", where=where, remedy="write the units with pynwb's add_unit")
    ends = np.asarray(index.data[:], dtype=np.int64)
    times_s = np.asarray(index.target.data[:], dtype=np.float64)
    check_spike_times(times_s, ends, where=f"{where}/spike_times")
    columns = table_columns(table)
    ids = texts(np.asarray(table.id.data[:]))
    if source.labels is not None:
        ids = named_by(texts(needed(columns, source.labels, where, "labels")), ids)
    return NeuralStream(SpikeTrains(times_s, ends), ids, _unit_areas(table, source, columns, where), columns)


def needed(columns: dict[str, NDArray[Any]], name: str, where: str, key: str) -> NDArray[Any]:
    """A column that the spec's `key` names. Raises DataError with the near misses if it is not there."""
    if name not in columns:
        raise DataError(f"there is no column {name!r} ({key})", where=where, remedy=did_you_mean(name, columns))
    return columns[name]


def _unit_areas(table: Units, source: NeuralSource, columns: dict[str, NDArray[Any]], where: str) -> list[str]:
    if source.area_column is not None:
        return filled(texts(needed(columns, source.area_column, where, "area_column")))
    if source.area != "from_electrodes":
        return [source.area or DEFAULT_AREA] * len(table.id)
    if "electrodes" not in table.colnames:
        raise DataError(
            "units name no electrodes, so they have no area from them",
            where=where,
            remedy=f"write area: NAME, or area_column: one of {', '.join(columns) or '(there is none)'}",
        )
    return _first_electrode_locations(table["electrodes"], where)


def _first_electrode_locations(electrodes: Any, where: str) -> list[str]:
    """Location of each unit's first electrode; the column is ragged, or one electrode a unit."""
    ragged = isinstance(electrodes, VectorIndex)
    region: DynamicTableRegion = electrodes.target if ragged else electrodes
    rows = np.asarray(region.data[:], dtype=np.int64)
    if ragged:
        ends = np.asarray(electrodes.data[:], dtype=np.int64)
        starts = np.concatenate([[0], ends[:-1]])
    else:
        starts, ends = np.arange(len(rows)), np.arange(1, len(rows) + 1)
    locations = texts(needed(table_columns(region.table), "location", f"{where}/electrodes", "from_electrodes"))
    return filled([locations[rows[start]] if end > start else "" for start, end in zip(starts, ends, strict=True)])
