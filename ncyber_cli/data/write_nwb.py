"""Write one session as a valid NWB file: whole or not at all, and the same bytes for the same contents.

pynwb gives every object a random id; `_fix_object_ids` replaces it by one derived from the session's
identifier and the object's path, so that a world made twice from one seed is one file.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pynwb
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import DynamicTable, VectorData
from numpy.typing import NDArray
from pynwb.behavior import Position, SpatialSeries
from pynwb.file import Subject

from ncyber_cli.atomic import atomic_path
from ncyber_cli.data.recording import SpikeTrains
from ncyber_cli.errors import DataError

START = datetime(2026, 1, 1, tzinfo=UTC)  # of every written session: a clock time would make each file unique
_COMPRESSION = {"compression": "gzip", "compression_opts": 6, "shuffle": True}
_CHUNK_BYTES = 1 << 19  # h5py's own guess cuts small series into pieces that compress badly


@dataclass(frozen=True)
class NwbSeries:
    """A regularly sampled signal; sample k is taken at `start_s + k / rate_hz`, NaN is missing."""

    values: NDArray[Any]  # (time, feature)
    rate_hz: float
    unit: str
    description: str
    start_s: float = 0.0
    kind: Literal["series", "position"] = "series"


@dataclass(frozen=True)
class NwbTable:
    """Columns of equal length with a sentence on each; tables of intervals have start_time and stop_time."""

    columns: Mapping[str, NDArray[Any]]
    descriptions: Mapping[str, str]
    description: str = ""


@dataclass(frozen=True)
class NwbContents:
    """All that `write_nwb` puts into a file. Times are seconds from the session's start."""

    identifier: str
    description: str
    animal: str
    spikes: SpikeTrains
    unit_area: list[str]  # (unit,)
    unit_columns: NwbTable  # (unit,)
    observed_s: NDArray[np.float64]  # (interval, 2): when the units were recorded
    trials: NwbTable
    subject: str = "simulated animal"
    behavior: Mapping[str, NwbSeries] = field(default_factory=dict)
    analysis: Mapping[str, NwbSeries] = field(default_factory=dict)
    analysis_tables: Mapping[str, NwbTable] = field(default_factory=dict)


def write_nwb(contents: NwbContents, target: Path, *, overwrite: bool = False) -> Path:
    """Write `contents` to `target` and return it.

    Raises DataError where the file exists and `overwrite` is False, and where tables are ragged.
    """
    target = Path(target)
    if target.exists() and not overwrite:
        raise DataError("the file exists", where=str(target), remedy="choose another folder or pass --overwrite")
    nwb = pynwb.NWBFile(
        session_description=contents.description,
        identifier=contents.identifier,
        session_id=contents.identifier,
        session_start_time=START,
        file_create_date=[START],
        subject=Subject(subject_id=contents.animal, sex="U", description=contents.subject),
    )
    _add_units(nwb, contents)
    _add_trials(nwb, contents.trials)
    _add_behavior(nwb, contents.behavior)
    for name, series in contents.analysis.items():
        nwb.add_analysis(_time_series(name, series))
    for name, table in contents.analysis_tables.items():
        nwb.add_analysis(_dynamic_table(name, table))
    with atomic_path(target) as partial:
        # an open file, not a name: pynwb warns of names that do not end in .nwb; 1.10 halves what small datasets cost
        with h5py.File(partial, "w", libver="v110") as file, pynwb.NWBHDF5IO(file=file, mode="w") as io:
            io.write(nwb)
        _fix_object_ids(partial, contents.identifier)
    return target


def _add_units(nwb: pynwb.NWBFile, contents: NwbContents) -> None:
    units, spikes = len(contents.unit_area), contents.spikes
    if not units:
        return
    if len(spikes.ends) != units or any(len(column) != units for column in contents.unit_columns.columns.values()):
        raise DataError(f"unit columns and spike trains do not all have {units} rows", where=contents.identifier)
    device = nwb.create_device(name="array")
    groups = {
        area: nwb.create_electrode_group(name=area, description=f"units of {area}", location=area, device=device)
        for area in dict.fromkeys(contents.unit_area)
    }
    for area in contents.unit_area:
        nwb.add_electrode(location=area, group=groups[area])
    for name in contents.unit_columns.columns:
        nwb.add_unit_column(name=name, description=contents.unit_columns.descriptions[name])
    begins = np.concatenate([[0], spikes.ends[:-1]])
    for unit, (begin, end) in enumerate(zip(begins, spikes.ends, strict=True)):
        nwb.add_unit(
            spike_times=spikes.times_s[begin:end],
            obs_intervals=contents.observed_s,
            electrodes=[unit],
            **{name: column[unit] for name, column in contents.unit_columns.columns.items()},
        )
    for name in ("spike_times", "obs_intervals"):
        nwb.units[name].target.set_data_io(H5DataIO, _COMPRESSION)


def _add_trials(nwb: pynwb.NWBFile, trials: NwbTable) -> None:
    extra = [name for name in trials.columns if name not in ("start_time", "stop_time")]
    for name in extra:
        nwb.add_trial_column(name=name, description=trials.descriptions[name])
    for row in zip(*trials.columns.values(), strict=True):
        nwb.add_trial(**dict(zip(trials.columns, row, strict=True)))


def _add_behavior(nwb: pynwb.NWBFile, behavior: Mapping[str, NwbSeries]) -> None:
    if not behavior:
        return
    module = nwb.create_processing_module(name="behavior", description="movement and what acts on it")
    positions = [_spatial_series(name, series) for name, series in behavior.items() if series.kind == "position"]
    if positions:
        module.add(Position(spatial_series=positions))
    for name, series in behavior.items():
        if series.kind == "series":
            module.add(_time_series(name, series))


def _sampling(series: NwbSeries) -> dict[str, Any]:
    return {
        "data": H5DataIO(series.values, chunks=_chunks(series.values), **_COMPRESSION),
        "unit": series.unit,
        "starting_time": series.start_s,
        "rate": float(series.rate_hz),
        "description": series.description,
    }


def _chunks(values: NDArray[Any]) -> tuple[int, ...]:
    """One feature a chunk: a value resembles its neighbour in time more than its neighbour in the row."""
    rows = _CHUNK_BYTES // values.itemsize
    return (min(len(values), rows), *(1 for _ in values.shape[1:]))


def _time_series(name: str, series: NwbSeries) -> pynwb.TimeSeries:
    return pynwb.TimeSeries(name=name, **_sampling(series))


def _spatial_series(name: str, series: NwbSeries) -> SpatialSeries:
    return SpatialSeries(name=name, reference_frame="(0, 0) is the centre of the workspace", **_sampling(series))


def _dynamic_table(name: str, table: NwbTable) -> DynamicTable:
    columns = [
        VectorData(name=column, description=table.descriptions[column], data=np.asarray(values))
        for column, values in table.columns.items()
    ]
    return DynamicTable(name=name, description=table.description, columns=columns)


def _fix_object_ids(path: Path, identifier: str) -> None:
    with h5py.File(path, "r+") as file:

        def fix(name: str, node: h5py.Group | h5py.Dataset) -> None:
            if "object_id" in node.attrs:
                node.attrs.modify("object_id", str(uuid.uuid5(uuid.NAMESPACE_URL, f"{identifier}/{name}")))

        fix("", file)
        file.visititems(fix)
