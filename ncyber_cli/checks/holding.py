"""One object of a file, and a whole file, as far as they are known without their data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

_PEEK = 2000  # rows that tell a rate, and times from counts from traces
_MOST_PEEKED = 1 << 20  # values of one dataset


@dataclass(frozen=True)
class Holding:
    """One object of a file: an NWB series or table, or an HDF5 dataset."""

    path: str
    kind: str  # neurodata_type in NWB, the stored type in HDF5
    shape: tuple[int, ...]
    unit: str = ""
    rate_hz: float | None = None  # of samples; of a units table: spikes per unit and second
    columns: tuple[str, ...] = ()  # of a table
    above: tuple[str, ...] = ()  # neurodata_types of the groups around it, outermost first
    rising: bool = False  # one axis of ascending numbers, as times are
    counts: bool = False  # whole numbers of zero and more
    empty: bool = False  # its first values are all NaN
    span_s: tuple[float, float] | None = None  # first to last time
    areas: dict[str, int] = field(default_factory=dict)  # units or channels by area, as far as the file says

    @property
    def is_units(self) -> bool:
        return self.kind == "Units" or "spike_times" in self.columns

    @property
    def is_intervals(self) -> bool:
        return {"start_time", "stop_time"} <= set(self.columns) or "timestamp" in self.columns  # or a table of events


@dataclass(frozen=True)
class FileHoldings:
    path: Path
    nwb: bool
    animal: str
    objects: list[Holding]
    session: str = ""
    start: str = ""  # when the session started, as the file writes it
    remarks: list[str] = field(default_factory=list)  # what the lab should know before it reads the file


def first_rows(data: h5py.Dataset) -> NDArray[Any]:
    """The first rows of a dataset of numbers; nothing of any other."""
    if data.dtype.kind not in "biuf" or not data.shape:
        return np.zeros(0)
    width = int(np.prod(data.shape[1:]))
    rows: NDArray[Any] = data[: max(1, min(_PEEK, _MOST_PEEKED // max(width, 1)))]
    return rows


def all_missing(rows: NDArray[Any]) -> bool:
    return rows.dtype.kind == "f" and rows.size > 0 and bool(np.isnan(rows).all())


def rate_hz(times: h5py.Dataset) -> float | None:
    """Median samples per second of a dataset of times, to four digits."""
    step_s = np.median(np.diff(times[:_PEEK])) if times.ndim == 1 and len(times) > 1 else 0.0
    return digits(float(1 / step_s)) if np.isfinite(step_s) and step_s > 0 else None


def digits(value: float) -> float:
    return float(f"{value:.4g}")
