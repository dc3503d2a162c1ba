"""What an NWB file holds: units, interval tables and series, and what it says of the session."""

from __future__ import annotations

from collections import Counter

import h5py
import numpy as np

from ncyber_cli.checks.holding import Holding, all_missing, digits, first_rows, rate_hz
from ncyber_cli.data.columns import text, texts
from ncyber_cli.data.nwb_objects import is_events, is_intervals, is_series, is_units, neurodata_type, typed_groups
from ncyber_cli.data.nwb_tables import column_names

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
            found.append(_units(group, path, above))
        elif is_intervals(group) or is_events(group):
            columns, rows = tuple(column_names(group)), group["id"].shape
            found.append(Holding(path, neurodata_type(group), rows, columns=columns, above=above))
        elif is_series(group):
            found.append(_series(group, path, above))
    return found


def _units(table: h5py.Group, path: str, above: tuple[str, ...]) -> Holding:
    columns, n_unit = tuple(column_names(table)), table["id"].shape[0]
    rate, span_s = None, None
    if n_unit and "spike_times_index" in table and table["spike_times"].size:
        ends = table["spike_times_index"][()].astype(np.int64)
        times_s = table["spike_times"]
        begins = np.concatenate([[0], ends[:-1]])
        firing = np.flatnonzero(ends > begins)
        some = firing[np.linspace(0, len(firing) - 1, min(len(firing), _UNITS_ASKED)).astype(int)]
        span_s = (float(min(times_s[np.unique(begins[some])])), float(max(times_s[np.unique(ends[some] - 1)])))
        if span_s[1] > span_s[0]:
            rate = digits(times_s.size / n_unit / (span_s[1] - span_s[0]))
    return Holding(
        path, neurodata_type(table), (n_unit,), rate_hz=rate, columns=columns, above=above, span_s=span_s,
        areas=_unit_areas(table),
    )  # fmt: skip


def _unit_areas(table: h5py.Group) -> dict[str, int]:
    """Units by area: of their first electrode, or of the column that looks like one."""
    region = table.get("electrodes")
    if isinstance(region, h5py.Dataset) and "table" in region.attrs:
        located = region.file[region.attrs["table"]].get("location")
        rows = region[()].astype(np.int64)
        if "electrodes_index" in table:
            ends = table["electrodes_index"][()].astype(np.int64)
            rows = rows[np.concatenate([[0], ends[:-1]])[np.diff(ends, prepend=0) > 0]] if len(ends) else rows
        return _counted([texts(located[()])[row] for row in rows]) if isinstance(located, h5py.Dataset) else {}
    column = next((table[name] for name in _AREA_COLUMNS if isinstance(table.get(name), h5py.Dataset)), None)
    return _counted(texts(column[()])) if column is not None and column.ndim == 1 else {}


def _counted(areas: list[str]) -> dict[str, int]:
    return dict(Counter(area or "unknown" for area in areas))


def _series(group: h5py.Group, path: str, above: tuple[str, ...]) -> Holding:
    data, times, start = group["data"], group.get("timestamps"), group.get("starting_time")
    n_sample = data.shape[0] if data.ndim else 0
    rate, span_s = None, None
    if isinstance(times, h5py.Dataset) and times.ndim == 1 and len(times):
        rate, span_s = rate_hz(times), (float(times[0]), float(times[-1]))
    elif isinstance(start, h5py.Dataset) and start.attrs.get("rate", 0.0) > 0:
        rate = float(start.attrs["rate"])
        span_s = (float(start[()]), float(start[()]) + max(n_sample - 1, 0) / rate)
    unit = text(data.attrs.get("unit", ""))
    empty = all_missing(first_rows(data))
    return Holding(path, neurodata_type(group), data.shape, unit, rate, above=above, span_s=span_s, empty=empty)
