"""NWB series as sampled signals and as units: traces of cells, field potentials, one series a neuron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.areas import DEFAULT_AREA, NO_AREA, filled
from ncyber_cli.data.check_times import check_counts, check_finite, check_timestamps
from ncyber_cli.data.columns import native, text, texts
from ncyber_cli.data.numeric import dataset, described, read_numbers, read_row_numbers
from ncyber_cli.data.nwb_objects import NwbObjects
from ncyber_cli.data.nwb_tables import needed, region_table, row_ids, table_columns
from ncyber_cli.data.orient import keep_columns, orient
from ncyber_cli.data.recording import NeuralStream, Sampled
from ncyber_cli.data.unit_names import named_by
from ncyber_cli.errors import DataError
from ncyber_cli.spec import NeuralSource


def read_sampled(
    series: h5py.Group, where: str, axes: Sequence[str] | None = None, columns: Sequence[int] | None = None
) -> Sampled:
    """A series in its own unit: (time, feature) with conversion and offset applied.

    Raises DataError for timestamps that repeat, descend or do not fit the data, and for infinite values.
    """
    values = keep_columns(orient(_converted(series, where), axes, where=where), columns, where=where)
    if values.ndim != 2:
        raise DataError(
            "a trial axis in an NWB series is not supported", where=where, remedy="write trials: {table: ...}"
        )
    time_s = _times(series, len(values), where)
    if len(time_s) != len(values):
        hint = "axes: [unit, time]" if len(time_s) == values.shape[1] else "as many timestamps as samples"
        raise DataError(f"has {len(values)} samples and {len(time_s)} timestamps", where=where, remedy=f"write {hint}")
    check_finite(values, where=f"{where}/data")
    return Sampled(values, time_s)


def read_neural_series(objects: NwbObjects, source: NeuralSource) -> NeuralStream:
    """One 2-D series whose columns are units, or a container of 1-D series, each one unit."""
    found = objects.series(source.source)
    where = objects.where(source.source.strip("/"))
    parts = [_stream(series, source, objects.where(path)) for path, series in found.items()]
    if len(parts) == 1:
        return parts[0]
    if any(len(series["data"].shape) != 1 for series in found.values()):
        raise DataError(
            f"{source.source!r} holds {len(found)} series that are not one neuron each",
            where=objects.file_name,
            remedy=f"name one: {', '.join(sorted(found))}",
        )
    names = [path.rsplit("/", 1)[-1] for path in found]
    return _side_by_side(parts, names, where)


def _side_by_side(parts: list[NeuralStream], names: list[str], where: str) -> NeuralStream:
    signals = [part.activity for part in parts if isinstance(part.activity, Sampled)]
    times = [np.asarray(signal.time_s) for signal in signals]
    for name, time_s in zip(names, times, strict=True):
        if not np.array_equal(times[0], time_s):
            raise DataError(
                f"{name} is sampled at other times than {names[0]}",
                where=where,
                remedy="resample the neurons to shared times",
            )
    values = np.concatenate([signal.values for signal in signals], axis=1)
    return NeuralStream(Sampled(values, times[0]), names, [part.area[0] for part in parts])


def _stream(series: h5py.Group, source: NeuralSource, where: str) -> NeuralStream:
    signal = read_sampled(series, where, source.axes)
    if source.kind == "spikes":
        check_counts(signal.values, where=f"{where}/data")
    n_unit = signal.values.shape[1]
    ids = [str(i) for i in range(n_unit)]
    columns: dict[str, NDArray[Any]] = {}
    table = _described_by(series, n_unit, where)
    if table is not None:
        names = row_ids(table, f"{where}/{_region(series)}")
        rows = read_row_numbers(series, _region(series), where, len(names))
        columns = table_columns(table, f"{where}/{_region(series)}", rows)
        ids = [names[row] for row in rows]
    if source.labels is not None:
        ids = named_by(texts(needed(columns, source.labels, where, "labels")), ids)
    return NeuralStream(signal, ids, _areas(table, source, columns, n_unit, where), columns)


def _region(series: h5py.Group) -> str:
    """What names a row of a table (of ROIs, of electrodes) for each column of the series, if anything does."""
    return "rois" if "rois" in series else "electrodes"


def _described_by(series: h5py.Group, n_unit: int, where: str) -> h5py.Group | None:
    region = dataset(series, _region(series))
    if region is not None and region.shape == (n_unit,) and "table" in region.attrs:
        return region_table(region, f"{where}/{_region(series)}")
    return None


def _areas(
    table: h5py.Group | None, source: NeuralSource, columns: dict[str, NDArray[Any]], n_unit: int, where: str
) -> list[str]:
    if source.area_column is not None:
        return filled(texts(needed(columns, source.area_column, where, "area_column")))
    if source.area != "from_electrodes":
        return [source.area or DEFAULT_AREA] * n_unit
    if table is None:
        raise DataError(
            "has neither electrodes nor an imaging plane with a location", where=where, remedy="write area: NAME"
        )
    if "location" in columns:
        return filled(texts(columns["location"]))
    plane = table.get("imaging_plane/location")
    return filled([text(plane[()])] * n_unit) if isinstance(plane, h5py.Dataset) else [NO_AREA] * n_unit


def _converted(series: h5py.Group, where: str) -> NDArray[Any]:
    data = series["data"]
    if data.shape is None or data.ndim == 0 or data.size == 0:
        raise DataError("holds no samples", where=where, remedy="name another series")
    if data.dtype.kind not in "biuf":
        raise DataError(f"holds {described(data)}", where=where, remedy="name a series of numbers")
    values = native(data[()])
    scale = np.asarray(_factor(data, "conversion", 1.0, where))
    offset = _factor(data, "offset", 0.0, where)
    if "channel_conversion" in series:
        scale = _channel_factors(series, values.shape[-1], where) * scale
    if np.all(scale == 1) and offset == 0:
        return values
    scaled = np.float64 if values.dtype == np.float64 else np.float32  # integers of a recorder's range fit float32
    converted: NDArray[Any] = (values * scale.astype(scaled) + scaled(offset)).astype(scaled, copy=False)
    return converted


def _factor(data: h5py.Dataset, name: str, usual: float, where: str) -> float:
    """A number that the file gives beside its samples. Raises DataError for a conversion of 0, and for no number."""
    value = np.asarray(data.attrs.get(name, usual))
    useless = value.dtype.kind not in "biuf" or value.size != 1 or not np.isfinite(value).all()
    if useless or (name == "conversion" and not value.any()):
        remedy = f"write a finite number, {usual:g} where nothing is to change"
        raise DataError(f"has {name} {data.attrs[name]}", where=f"{where}/data", remedy=remedy)
    return float(value.reshape(()))


def _channel_factors(series: h5py.Group, n_channel: int, where: str) -> NDArray[np.float64]:
    factors = read_numbers(series, "channel_conversion", where).astype(np.float64)
    if len(factors) != n_channel or not np.isfinite(factors).all():
        what = f"has {len(factors)} numbers for {n_channel} channels, or some that are not finite"
        raise DataError(what, where=f"{where}/channel_conversion", remedy="write one number a channel")
    return factors


def _times(series: h5py.Group, n_sample: int, where: str) -> NDArray[np.float64]:
    if dataset(series, "timestamps") is not None:
        return check_timestamps(read_numbers(series, "timestamps", where), where=f"{where}/timestamps")
    start = dataset(series, "starting_time")
    rate = np.asarray(0.0 if start is None else start.attrs.get("rate", 0.0))
    rate_hz = float(rate.reshape(())) if rate.dtype.kind in "biuf" and rate.size == 1 else 0.0
    if not np.isfinite(rate_hz) or rate_hz <= 0:
        raise DataError("has neither timestamps nor a rate", where=where, remedy="write one of them into the file")
    start_s = float(read_numbers(series, "starting_time", where, axes=0))
    if not np.isfinite(start_s):
        raise DataError(f"starts at {start_s} s", where=f"{where}/starting_time", remedy="write a time in s")
    return start_s + np.arange(n_sample) / rate_hz
