"""Read back what a simulated world knows of its animal, for benchmarks. No model ever sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.open_hdf5 import open_hdf5
from ncyber_cli.errors import DataError

_ON_GRID = 1e-3  # of a bin: times that only rounding keeps off a sample are that sample
_TABLES = ("truth_animal", "truth_trials", "truth_units")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TruthSeries:
    """One true signal of a session; NaN between trials. `rate` holds expected counts per bin."""

    values: Floats  # (time, feature)
    start_s: float  # the centre of the first bin
    bin_s: float

    @property
    def time_s(self) -> Floats:
        """(time,) seconds from the session's start: the centre of each bin."""
        return self.start_s + self.bin_s * np.arange(len(self.values), dtype=np.float64)

    def at(self, time_s: Floats) -> Floats:
        """Values (..., feature) at session times (...): linear between samples, NaN outside trials and at NaN times."""
        place = (np.asarray(time_s, dtype=np.float64) - self.start_s) / self.bin_s
        inside = (place >= -_ON_GRID) & (place <= len(self.values) - 1 + _ON_GRID)
        place = np.where(inside, place, 0.0)
        left = np.clip(np.floor(place + _ON_GRID).astype(np.int64), 0, len(self.values) - 1)
        share = (place - left)[..., None]
        before, after = self.values[left], self.values[np.minimum(left + 1, len(self.values) - 1)]
        between = np.where(np.abs(share) <= _ON_GRID, before, (1 - share) * before + share * after)
        return np.where(inside[..., None], between, np.nan)


@dataclass(frozen=True)
class Truth:
    """The truth of one file. Times in `trials` are seconds from the session's start, NaN where nothing happened."""

    animal: str
    series: Mapping[str, TruthSeries]  # objective, control, actuator, latent, rate: those the world has
    trials: Mapping[str, Floats]  # (trial,): the numeric trial columns, and jump_arrival_time and the like
    units: Mapping[str, Floats]  # (unit,) or (unit, feature): how the units were made, where the world says so
    constants: Mapping[str, float]  # mass_kg, delay_s, ...


def read_truth(path: Path) -> Truth:
    """The truth under /analysis of a file made by `ncyber synth`. Raises DataError for any other file."""
    with open_hdf5(path) as file:
        analysis = file.get("analysis")
        if analysis is None or "truth_animal" not in analysis:
            raise DataError(
                "holds no truth",
                where=f"{path}:/analysis",
                remedy="only files made by ncyber synth hold it; make some with ncyber synth reach --out DIR",
            )
        tables = {name: _columns(analysis[name]) if name in analysis else {} for name in _TABLES}
        series = {name: _series(node) for name, node in analysis.items() if name not in _TABLES}
        return Truth(
            animal=file["general/subject/subject_id"].asstr()[()],
            series=series,
            trials=_columns(file["intervals/trials"]) | tables["truth_trials"],
            units=tables["truth_units"],
            constants={name: float(column[0]) for name, column in tables["truth_animal"].items()},
        )


def _columns(table: h5py.Group) -> dict[str, Floats]:
    return {name: node[()] for name, node in table.items() if node.dtype.kind == "f"}


def _series(node: h5py.Group) -> TruthSeries:
    timing = node["starting_time"]
    return TruthSeries(node["data"][()].astype(np.float64), float(timing[()]), 1.0 / float(timing.attrs["rate"]))
