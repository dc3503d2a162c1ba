"""Datasets of a plain HDF5 file as sampled signals, by their declared paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.absent import NotThere
from ncyber_cli.data.check_times import check_finite, check_timestamps
from ncyber_cli.data.columns import native, plain_column
from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.numeric import dataset, described
from ncyber_cli.data.orient import keep_columns, orient
from ncyber_cli.data.recording import Sampled
from ncyber_cli.errors import DataError
from ncyber_cli.spec import Data, InputSource, NeuralSource, Series

_PERIOD_TOLERANCE = 0.01  # trial-aligned samples are taken as bins: their period must be bin_s


class Hdf5Series:
    """Reads series of one file; knows where their times come from.

    Times of a series are, in this order: its own `time` dataset; its own `rate_hz` (sample i covers
    [i, i + 1) / rate_hz and stands at the middle); the times declared by the first neural source,
    if both have equally many samples; one sample a bin, if no series of the spec declares times.
    Anything else is ambiguous and raises DataError. Trial-aligned series need no times.
    """

    def __init__(self, file: h5py.File, data: Data, file_name: str) -> None:
        self.file, self.data, self.file_name = file, data, file_name
        declared: list[Series | InputSource] = [*data.neural, *data.behavior.values()]
        declared += [given for given in data.inputs.values() if given.source is not None]
        self._nobody_declares = all(series.time is None and series.rate_hz is None for series in declared)

    def where(self, path: str) -> str:
        return f"{self.file_name}:/{path.strip('/')}"

    def dataset(self, path: str) -> h5py.Dataset:
        """The dataset at `path`. Raises DataError, naming what the file holds, if there is none."""
        if not self.holds(path):
            raise NotThere(
                f"there is no dataset {path!r}",
                where=self.file_name,
                remedy=did_you_mean(path.strip("/"), self.paths()),
            )
        return self.file[path]

    def holds(self, path: str) -> bool:
        """Whether there is a dataset at `path`."""
        return dataset(self.file, path) is not None

    def paths(self) -> list[str]:
        known: list[str] = []
        self.file.visititems(lambda name, item: known.append(name) if isinstance(item, h5py.Dataset) else None)
        return known

    def column(self, path: str) -> NDArray[Any]:
        """A 1-D dataset of numbers or text, e.g. labels or areas of the units."""
        values = plain_column(self.dataset(path)[()])
        if values is None:
            raise DataError(
                "is not a 1-D column of numbers or text", where=self.where(path), remedy="name another dataset"
            )
        return values

    def sampled(
        self,
        source: str,
        axes: Sequence[str] | None,
        time: str | None,
        rate_hz: float | None,
        columns: Sequence[int] | None = None,
    ) -> Sampled:
        """The signal (time, feature), or (trial, time, feature) where axes name a trial axis (time_s None then)."""
        where = self.where(source)
        item = self.dataset(source)
        if item.dtype.kind not in "biuf" or not item.size:
            raise DataError(f"holds {described(item)}", where=where, remedy="name a dataset of numbers")
        values = keep_columns(orient(native(item[()]), axes, where=where), columns, where=where)
        check_finite(values, where=where)
        if values.ndim == 3:
            self._check_period(values.shape[1], time, rate_hz, where)
            return Sampled(values, None)
        return Sampled(values, self._times(len(values), time, rate_hz, where))

    def _times(self, n_sample: int, time: str | None, rate_hz: float | None, where: str) -> NDArray[np.float64]:
        if time is not None:
            time_s = check_timestamps(self.column(time), where=self.where(time))
            if len(time_s) != n_sample:
                raise DataError(
                    f"has {n_sample} samples along time, {time} has {len(time_s)}",
                    where=where,
                    remedy="write axes in the file's order, e.g. axes: [unit, time], or name its own time dataset",
                )
            return time_s
        if rate_hz is not None:
            return _middles(n_sample, 1 / rate_hz)
        first = self._first()
        if (first.time is not None or first.rate_hz is not None) and self._samples_of_first() == n_sample:
            return self._times(n_sample, first.time, first.rate_hz, where)
        if self._nobody_declares and self._samples_of_first() == n_sample:
            return _middles(n_sample, self.data.bin_s)
        raise DataError(
            f"has no times for its {n_sample} samples", where=where, remedy="write time: DATASET or rate_hz: NUMBER"
        )

    def _first(self) -> NeuralSource:
        """The first neural source that the file has."""
        here = [source for source in self.data.neural if self.holds(source.source)]
        return (here or self.data.neural)[0]

    def _samples_of_first(self) -> int:
        first = self._first()
        axes = first.axes if first.axes is not None else ["time"]
        shape = self.dataset(first.source).shape
        return int(shape[axes.index("time")]) if "time" in axes and "trial" not in axes and shape else -1

    def _check_period(self, n_time: int, time: str | None, rate_hz: float | None, where: str) -> None:
        """Trial-aligned samples are the model's bins: where their period is declared it must be bin_s."""
        period_s = None if rate_hz is None else 1 / rate_hz
        if time is not None:
            time_s = check_timestamps(self.column(time), where=self.where(time))
            if len(time_s) != n_time:
                raise DataError(
                    f"has {n_time} bins a trial, {time} has {len(time_s)}", where=where, remedy="check axes"
                )
            period_s = float(np.median(np.diff(time_s))) if n_time > 1 else None
        if period_s is not None and abs(period_s / self.data.bin_s - 1) > _PERIOD_TOLERANCE:
            raise DataError(
                f"is trial-aligned at {period_s:g} s a sample, data.bin_s is {self.data.bin_s:g}",
                where=where,
                remedy=f"write bin_s: {period_s:g}, trial-aligned samples are taken as they are",
            )


def _middles(n_sample: int, period_s: float) -> NDArray[np.float64]:
    middles: NDArray[np.float64] = (np.arange(n_sample, dtype=np.float64) + 0.5) * period_s
    return middles
