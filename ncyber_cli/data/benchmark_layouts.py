"""Trial-aligned HDF5 as lfads-torch and the Neural Latents Benchmark write it: the parts of a split side by side.

lfads-torch: `train_encod_data` and `train_recon_data` (the encoder's units, then those it is not shown), `valid_...`.
nlb_tools: `train_spikes_heldin`, `train_spikes_heldout`, `eval_...`, and `..._forward` for the bins after those.
Both: `train_behavior` and other signals, (trial, time, feature).

Read as one session: `spikes` holds all units of all trials, the column `heldout` the units that are not encoded, the
trial column `split` says train, and test for the second part. Any other source NAME is `train_NAME` then `valid_NAME`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.absent import NotThere
from ncyber_cli.data.columns import native
from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.numeric import dataset, described
from ncyber_cli.data.recording import IntervalTable
from ncyber_cli.errors import DataError

Layout = Literal["lfads_torch", "nlb"]
SPIKES = "spikes"
_SECOND: dict[Layout, str] = {"lfads_torch": "valid", "nlb": "eval"}
_ENCODED: dict[Layout, str] = {"lfads_torch": "encod_data", "nlb": "spikes_heldin"}  # what the encoder is shown


@dataclass(frozen=True)
class BenchmarkFile:
    """A file of one of the two layouts, as one session."""

    file: h5py.File
    layout: Layout
    file_name: str

    def values(self, source: str) -> NDArray[Any]:
        """A signal (trial, time, feature) over both parts; NaN where a part lacks it. Raises NotThere where both do."""
        parts = [self._spikes(part) if source == SPIKES else self._get(f"{part}_{source}") for part in self.parts]
        if source == SPIKES and parts[0] is None:
            self._needed(f"train_{_ENCODED[self.layout]}")
        if all(values is None for values in parts):
            name = f"train_{source}"
            raise NotThere(f"there is no {name}", where=self.file_name, remedy=did_you_mean(name, self.file))
        return _stacked(parts, self._n_trial(), f"{self.file_name}: {source}")

    @property
    def parts(self) -> tuple[str, str]:
        return "train", _SECOND[self.layout]

    def held_out(self) -> NDArray[np.bool_]:
        """(unit,) units that the encoder is not shown."""
        encoded = self._needed(f"train_{_ENCODED[self.layout]}")
        beyond: NDArray[np.bool_] = np.arange(self.values(SPIKES).shape[-1]) >= encoded.shape[-1]
        return beyond

    def trials(self, bin_s: float) -> IntervalTable:
        """Rows of both parts; the file keeps no session time, so every trial starts at 0 s."""
        sizes = self._n_trial()
        ids = [f"{part}-{row}" for part, size in zip(self.parts, sizes, strict=True) for row in range(size)]
        stop_s = np.full(len(ids), self.values(SPIKES).shape[1] * bin_s)
        columns = {"start_time": np.zeros(len(ids)), "stop_time": stop_s, "split": np.repeat(["train", "test"], sizes)}
        return IntervalTable(ids, columns)

    def _spikes(self, part: str) -> NDArray[Any] | None:
        if self.layout == "lfads_torch":
            whole = self._get(f"{part}_recon_data")
            return self._get(f"{part}_encod_data") if whole is None else whole
        seen, ahead = self._units(part, ""), self._units(part, "_forward")
        if seen is None or ahead is None:
            return seen
        self._check_same(part, seen, ahead, (0, 2))
        return np.concatenate([seen, ahead], axis=1)

    def _units(self, part: str, when: str) -> NDArray[Any] | None:
        encoded, held = self._get(f"{part}_spikes_heldin{when}"), self._get(f"{part}_spikes_heldout{when}")
        if encoded is None:
            return None
        if held is None:
            n_held = self._needed("train_spikes_heldout").shape[-1]
            held = np.full((*encoded.shape[:2], n_held), np.nan, np.float32)
        self._check_same(part, encoded, held, (0, 1))
        return np.concatenate([encoded, held], axis=2)

    def _check_same(self, part: str, one: NDArray[Any], other: NDArray[Any], axes: tuple[int, int]) -> None:
        if any(one.shape[axis] != other.shape[axis] for axis in axes):
            what = f"the {part}_ arrays of spikes differ in shape: {one.shape} and {other.shape}"
            raise DataError(what, where=self.file_name, remedy="they share trials, and bins or units")

    def _n_trial(self) -> list[int]:
        """Trials of each part; a file may hold only the first."""
        first, second = (f"{part}_{_ENCODED[self.layout]}" for part in self.parts)
        return [len(self._needed(first)), len(self._needed(second)) if second in self.file else 0]

    def _needed(self, name: str) -> h5py.Dataset:
        found = dataset(self.file, name)
        what = f"layout {self.layout} needs {name} (trial, time, unit)"
        if found is None:
            raise DataError(what, where=self.file_name, remedy=did_you_mean(name, self.file))
        if found.ndim != 3 or found.dtype.kind not in "biuf":
            raise DataError(f"holds {described(found)}", where=f"{self.file_name}:/{name}", remedy=what)
        return found

    def _get(self, name: str) -> NDArray[Any] | None:
        if name not in self.file:
            return None
        return native(self._needed(name)[()])


def _stacked(parts: list[NDArray[Any] | None], n_trial: list[int], where: str) -> NDArray[Any]:
    """Parts one after the other, padded with NaN to the longest; a part that is not there is NaN throughout."""
    there = [values for values in parts if values is not None]
    if any(values is not None and len(values) != size for values, size in zip(parts, n_trial, strict=True)):
        sizes = [0 if values is None else len(values) for values in parts]
        raise DataError(f"has {sizes} trials, the encoder's units have {n_trial}", where=where, remedy="check the file")
    n_time, n_feature = (max(values.shape[axis] for values in there) for axis in (1, 2))
    if sum(len(values) for values in there) == sum(n_trial) and len({values.shape[1:] for values in there}) == 1:
        return np.concatenate(there)
    whole = np.full((sum(n_trial), n_time, n_feature), np.nan, np.float32)
    first = 0
    for values, size in zip(parts, n_trial, strict=True):
        if values is not None:
            whole[first : first + size, : values.shape[1], : values.shape[2]] = values
        first += size
    return whole
