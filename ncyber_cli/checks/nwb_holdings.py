"""What an NWB file holds: units, interval tables and series, and what it says of the session."""

from __future__ import annotations

from collections import Counter

import h5py
import numpy as np

from ncyber_cli.checks.holding import Holding, all_missing, digits, first_rows, rate_hz
from ncyber_cli.data.columns import text, texts
from ncyber_cli.data.numeric import dataset, read_ends, read_row_numbers
from ncyber_cli.data.nwb_objects import is_events, is_intervals, is_series, is_units, neurodata_type, typed_groups
from ncyber_cli.data.nwb_tables import column_names, region_table, row_count

_OUTSIDE = ("general/", "stimulus/templates/")  # notes on the session
_AREA_COLUMNS = ("location", "area", "brain_area", "region")
_UNITS_ASKED = 20  # for their first and last spike: a read each


def nwb_objects(file: h5py.File) -> list[Holding]:
    """Every group once; soft links are not followed, what they lead to is listed where it is."""
    groups = typed_groups(file)
    found = []
    for path, group in groups.items():
        if path.startswith(_OUTSIDE):
            continue
        above = tuple(neurodata_type(outer) for name, outer in groups.items() if path.startswith(f"{name}/"))
        if is_units(group):
            found.append(_units(group, path, above, f"{file.filename}:/{path}"))
        elif is_intervals(group) or is_events(group):
            columns, rows = tuple(column_names(group)), (row_count(group, f"{file.filename}:/{path}"),)
            found.append(Holding(path, neurodata_type(group), rows, columns=columns, above=above))
        elif is_series(group):
            found.append(_series(group, path, above))
    return found


def _units(table: h5py.Group, path: str, above: tuple[str, ...], where: str) -> Holding:
    columns, n_unit = tuple(column_names(table)), row_count(table, where)
    rate, span_s, times_s = None, None, dataset(table, "spike_times")
    if n_unit and "spike_times_index" in table and times_s is not None and times_s.dtype.kind in "iuf" and times_s.size:
        ends = read_ends(table, "spike_times_index", where, times_s.size)
        begins = np.concatenate([[0], ends[:-1]])
        firing = np.flatnonzero(ends > begins)
        some = firing[np.linspace(0, len(firing) - 1, min(len(firing), _UNITS_ASKED)).astype(int)]
        span_s = (float(min(times_s[np.unique(begins[some])])), float(max(times_s[np.unique(ends[some] - 1)])))
        if span_s[1] > span_s[0]:
            rate = digits(times_s.size / n_unit / (span_s[1] - span_s[0]))
    return Holding(
        path, neurodata_type(table), (n_unit,), rate_hz=rate, columns=columns, above=above, span_s=span_s,
        areas=_unit_areas(table, where),
    )  # fmt: skip


def _unit_areas(table: h5py.Group, where: str) -> dict[str, int]:
    """Units by area: of their first electrode, or of the column that looks like one."""
    region = dataset(table, "electrodes")
    if region is not None and "table" in region.attrs:
        located = dataset(region_table(region, f"{where}/electrodes"), "location")
        if located is None or located.ndim != 1:
            return {}
        locations = texts(located[()])
        rows = read_row_numbers(table, "electrodes", where, len(locations))
        if "electrodes_index" in table:
            ends = read_ends(table, "electrodes_index", where, len(rows))
            rows = rows[np.concatenate([[0], ends[:-1]])[np.diff(ends, prepend=0) > 0]] if len(ends) else rows
        return _counted([locations[row] for row in rows])
    column = next((column for name in _AREA_COLUMNS if (column := dataset(table, name)) is not None), None)
    return _counted(texts(column[()])) if column is not None and column.ndim == 1 else {}


def _counted(areas: list[str]) -> dict[str, int]:
    return dict(Counter(area or "unknown" for area in areas))


def _series(group: h5py.Group, path: str, above: tuple[str, ...]) -> Holding:
    data, times, start = group["data"], dataset(group, "timestamps"), dataset(group, "starting_time")
    shape = (0,) if data.shape is None else data.shape
    n_sample = shape[0] if shape else 0
    rate, span_s = None, None
    if times is not None and times.ndim == 1 and times.dtype.kind in "iuf" and len(times):
        rate, span_s = rate_hz(times), (float(times[0]), float(times[-1]))
    elif start is not None and start.shape == () and np.asarray(start.attrs.get("rate", "")).dtype.kind in "iuf":
        rate = float(start.attrs["rate"])
        span_s = (float(start[()]), float(start[()]) + max(n_sample - 1, 0) / rate) if rate > 0 else None
    unit = text(data.attrs.get("unit", ""))
    empty = all_missing(first_rows(data))
    return Holding(path, neurodata_type(group), shape, unit, rate, above=above, span_s=span_s, empty=empty)
