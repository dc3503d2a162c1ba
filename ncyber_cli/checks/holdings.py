"""What a file holds: its series, tables and datasets with shapes, units and rates, read without loading the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ncyber_cli.data.open_hdf5 import open_hdf5

_TABLES = ("Units", "TimeIntervals")
_PEEK = 2000  # rows that tell times from counts from traces
_OUTSIDE = ("specifications/", "general/", "stimulus/templates/")  # NWB's own schemas and its notes on the session


@dataclass(frozen=True)
class Holding:
    """One object of a file: an NWB series or table, or an HDF5 dataset."""

    path: str
    kind: str  # neurodata_type in NWB, the stored type in HDF5
    shape: tuple[int, ...]
    unit: str = ""
    rate_hz: float | None = None
    columns: tuple[str, ...] = ()  # of a table
    above: tuple[str, ...] = ()  # neurodata_types of the groups around it, outermost first
    rising: bool = False  # one axis of ascending numbers, as times are
    counts: bool = False  # whole numbers of zero and more


@dataclass(frozen=True)
class FileHoldings:
    path: Path
    nwb: bool
    animal: str
    objects: list[Holding]


def holdings(path: Path) -> FileHoldings:
    """List what `path` holds. Raises DataError if it is no readable HDF5 file or leads out of its folder."""
    with open_hdf5(path) as file:
        nwb = "nwb_version" in file.attrs
        objects = _nwb_objects(file) if nwb else list(_datasets(file))
        return FileHoldings(path, nwb, _animal(file) if nwb else path.stem, objects)


def _nwb_objects(file: h5py.File) -> list[Holding]:
    """Visit every group once; links are not followed, what they lead to is listed where it is."""
    kinds: dict[str, str] = {}
    found: list[Holding] = []

    def on_object(path: str, item: h5py.Group | h5py.Dataset) -> None:
        if not isinstance(item, h5py.Group) or path.startswith(_OUTSIDE):
            return
        kinds[path] = kind = _text(item.attrs.get("neurodata_type", ""))
        above = tuple(known for outer, known in kinds.items() if known and path.startswith(f"{outer}/"))
        if kind in _TABLES:
            columns = tuple(_text(column) for column in item.attrs.get("colnames", ()))
            rows = item["id"].shape[0] if "id" in item else 0
            found.append(Holding(path, kind, (rows,), columns=columns, above=above))
        elif isinstance(item.get("data"), h5py.Dataset):
            found.append(_series(item, path, kind, above))

    file.visititems(on_object)
    return found


def _series(group: h5py.Group, path: str, kind: str, above: tuple[str, ...]) -> Holding:
    data = group["data"]
    start = group.get("starting_time")
    rate_hz = None
    if start is not None and "rate" in start.attrs:
        rate_hz = float(start.attrs["rate"])
    elif isinstance(group.get("timestamps"), h5py.Dataset):
        rate_hz = _rate_hz(group["timestamps"])
    return Holding(path, kind, data.shape, _text(data.attrs.get("unit", "")), rate_hz, above=above)


def _datasets(file: h5py.File) -> Iterator[Holding]:
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    for item in found:
        numeric = item.dtype.kind in "biuf"
        first = item[:_PEEK] if numeric and item.ndim else np.zeros(0)
        rising = item.ndim == 1 and len(first) > 1 and bool(np.all(np.diff(first) > 0))
        counts = first.size > 0 and bool(np.all((first >= 0) & (first == np.round(first))))
        kind = str(item.dtype) if numeric else "text" if h5py.check_string_dtype(item.dtype) else "other"
        rate_hz = _rate_hz(item) if rising and item.dtype.kind == "f" else None
        unit = _text(item.attrs.get("unit", item.attrs.get("units", "")))
        yield Holding(item.name.strip("/"), kind, item.shape, unit, rate_hz, rising=rising, counts=counts)


def _rate_hz(times: h5py.Dataset) -> float | None:
    """Median samples per second of a dataset of times, to four digits."""
    step_s = np.median(np.diff(times[:_PEEK])) if times.ndim == 1 and len(times) > 1 else 0.0
    return float(f"{1 / step_s:.4g}") if np.isfinite(step_s) and step_s > 0 else None


def _animal(file: h5py.File) -> str:
    subject = file.get("general/subject/subject_id")
    return _text(subject[()]) if isinstance(subject, h5py.Dataset) and subject.shape == () else ""


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
