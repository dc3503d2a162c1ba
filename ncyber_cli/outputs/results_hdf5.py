"""Writes the results file of `infer` and `simulate` as the results come: no trial is held in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from ncyber_cli.atomic import atomic_path, refuse_existing
from ncyber_cli.data.recording import SPLIT_NAMES
from ncyber_cli.errors import DataError
from ncyber_cli.outputs.results_layout import (
    FORMAT,
    FORMAT_VERSION,
    NO_CLUSTER,
    Features,
    SessionHeader,
    chunk_shape,
    path_part,
)

_TEXT = h5py.string_dtype()
Attributes = Mapping[str, str | int | float]


class ResultsWriter:
    """A results file under construction; it appears at `target` when the `with` block ends well, or not at all.

    Values outside a trial's mask are written as NaN whatever they are; bins never written stay NaN.

    Raises UsageError if the target exists and `overwrite` is not set, ResourceError if the disk is full,
    DataError if two sessions of one animal, or two rollouts, have the same name.
    """

    def __init__(self, target: Path, attributes: Attributes, *, overwrite: bool = False) -> None:
        self._target, self._attributes, self._overwrite = Path(target), attributes, overwrite
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        refuse_existing(self._target, overwrite=self._overwrite)
        with ExitStack() as stack:
            partial = stack.enter_context(atomic_path(self._target))
            self._file = stack.enter_context(h5py.File(partial, "w"))
            self._file.attrs.update({**self._attributes, "format": FORMAT, "format_version": FORMAT_VERSION})
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if error is not None:
                raise error
            self._file.flush()
            self._file.attrs["complete"] = True

    def add_session(self, header: SessionHeader, *, samples: int = 0) -> None:
        """Create the session's datasets, filled with NaN; those of samples only where there are to be any."""
        group = self._create(f"animals/{path_part(header.animal)}/{path_part(header.session)}", header)
        for name, features in header.features.items():
            part = _create_group(group, name, features)
            shape = (*header.mask.shape, len(features.names))
            for statistic in ("mean", "sd"):
                _create_values(part, statistic, shape)
            if samples:
                _create_values(part, "sample", (samples, *shape))

    def add_rollout(self, name: str, header: SessionHeader, *, samples: int, settings: Attributes) -> None:
        """Create a rollout's datasets; `settings` says what was set by hand (objective, silenced areas, ...)."""
        group = self._create(f"rollouts/{path_part(name)}", header)
        group.attrs.update({**settings, "name": name})
        for part_name, features in header.features.items():
            part = _create_group(group, part_name, features)
            _create_values(part, "sample", (samples, *header.mask.shape, len(features.names)))

    def write(
        self, animal: str, session: str, trials: NDArray[np.integer], group: str, mean: NDArray[Any], sd: NDArray[Any]
    ) -> None:
        """Write the results of some trials: `mean` and `sd` (len(trials), time, feature), trials in any order."""
        parent = self._session(animal, session)
        for name, values in (("mean", mean), ("sd", sd)):
            _write_rows(parent[group][name], (), trials, _masked(parent, trials, values))

    def write_draw(
        self, animal: str, session: str, sample: int, trials: NDArray[np.integer], group: str, values: NDArray[Any]
    ) -> None:
        """Write one posterior sample of some trials of a session: `values` (len(trials), time, feature)."""
        parent = self._session(animal, session)
        _write_rows(parent[group]["sample"], (sample,), trials, _masked(parent, trials, values))

    def read_mean(self, animal: str, session: str, trials: NDArray[np.integer], group: str) -> NDArray[np.float32]:
        """What has been written of some trials, (len(trials), time, feature), NaN where nothing has."""
        rows: NDArray[np.float32] = _read_rows(self._session(animal, session)[group]["mean"], trials)
        return rows

    def write_clusters(
        self, animal: str, session: str, trials: NDArray[np.integer], clusters: NDArray[np.integer]
    ) -> None:
        """Write which cluster each bin's objective belongs to, (len(trials), time); made on the first call."""
        parent = self._session(animal, session)
        part, shape = parent["objectives"], parent["mask"].shape
        if "cluster" not in part:
            chunks = chunk_shape(shape[0], shape[1], 1)[:2]
            options = {"chunks": chunks, "compression": "gzip", "fillvalue": NO_CLUSTER} if 0 not in shape else {}
            part.create_dataset("cluster", shape, np.int16, **options)
        mask = _read_rows(parent["mask"], trials)
        _write_rows(part["cluster"], (), trials, np.where(mask, clusters, NO_CLUSTER))

    def write_cluster_means(self, animal: str, session: str, mean: NDArray[np.floating]) -> None:
        """Write where the clusters lie, (cluster, n_objective), in the objective's units."""
        self._session(animal, session)["objectives"].create_dataset("cluster_mean", data=np.asarray(mean, np.float32))

    def write_drift(self, animal: str, session: str, drift: NDArray[np.floating]) -> None:
        """Write what each trial's readout is off its session's mean, (trial, unit)."""
        self._session(animal, session)["rates"].create_dataset("drift", data=np.asarray(drift, np.float32))

    def write_prototypes(
        self, animal: str, session: str, trials: NDArray[np.integer], probability: NDArray[np.floating]
    ) -> None:
        """Write the prototypes' probabilities, (len(trials), time, prototype), and the most probable as the cluster."""
        parent = self._session(animal, session)
        if "prototype" not in parent["objectives"]:
            _create_values(parent["objectives"], "prototype", (*parent["mask"].shape, probability.shape[2]))
        _write_rows(parent["objectives"]["prototype"], (), trials, _masked(parent, trials, probability))
        self.write_clusters(animal, session, trials, probability.argmax(2))

    def write_prototype_means(self, animal: str, session: str, mean: NDArray[np.floating]) -> None:
        """Write where the prototypes lie, (prototype, n_objective), in the objective's units; they are the clusters."""
        self._session(animal, session)["objectives"].create_dataset("prototype_mean", data=np.asarray(mean, np.float32))
        self.write_cluster_means(animal, session, mean)

    def write_samples(
        self, name: str, samples: NDArray[np.integer], trials: NDArray[np.integer], group: str, values: NDArray[Any]
    ) -> None:
        """Write some samples of some trials of a rollout: `values` (len(samples), len(trials), time, feature)."""
        parent = self._file[f"rollouts/{path_part(name)}"]
        if len(values) != len(samples):
            raise ValueError(f"{len(samples)} samples need as many values, got shape {values.shape}")
        for index, sample in zip(samples, values, strict=True):
            _write_rows(parent[group]["sample"], (int(index),), trials, _masked(parent, trials, sample))

    def end_episodes(
        self, name: str, trials: NDArray[np.integer], ran: NDArray[np.bool_], terminated: NDArray[np.bool_]
    ) -> None:
        """Narrow the mask of some trials of a rollout to bins that any sample reached; say which ended by themselves.

        `ran` (sample, len(trials), time), `terminated` (sample, len(trials)). After their samples are written.
        """
        parent = self._file[f"rollouts/{path_part(name)}"]
        mask = _read_rows(parent["mask"], trials) & ran.any(0)
        _write_rows(parent["mask"], (), trials, mask)
        _write_rows(parent["time_s"], (), trials, np.where(mask, _read_rows(parent["time_s"], trials), np.nan))
        if "terminated" not in parent:
            parent.create_dataset("terminated", (len(terminated), len(parent["mask"])), bool)
        for sample, ended in enumerate(terminated):
            _write_rows(parent["terminated"], (sample,), trials, ended)

    def _session(self, animal: str, session: str) -> h5py.Group:
        return self._file[f"animals/{path_part(animal)}/{path_part(session)}"]

    def _create(self, path: str, header: SessionHeader) -> h5py.Group:
        if path in self._file:
            raise DataError("two results have this name", where=path, remedy="give each session its own name")
        group = self._file.create_group(path)
        group.attrs.update({"animal": header.animal, "session": header.session, "bin_s": header.bin_s})
        if header.about:
            group.attrs["about"] = json.dumps(dict(header.about), sort_keys=True)
        for name, texts in (
            ("trial_id", header.trial_id),
            ("split", [SPLIT_NAMES[part] for part in header.split]),
            ("unit_id", header.unit_id),
            ("unit_area", header.unit_area),
        ):
            group.create_dataset(name, (len(texts),), _TEXT, data=texts)
        group.create_dataset("held_out", data=np.asarray(header.held_out, bool))
        group.create_dataset("event_s", data=np.asarray(header.event_s, np.float64))
        group.create_dataset("time_s", data=np.where(header.mask, header.time_s, np.nan))
        group.create_dataset("mask", data=np.asarray(header.mask, bool))
        return group


def _create_group(parent: h5py.Group, name: str, features: Features) -> h5py.Group:
    part = parent.create_group(name)
    texts = {"names": features.names, "units": features.units, "area": features.area}
    for key, values in texts.items():
        if values is not None:
            part.create_dataset(key, (len(values),), _TEXT, data=values)
    return part


def _create_values(part: h5py.Group, name: str, shape: tuple[int, ...]) -> None:
    if 0 in shape:  # HDF5 has no chunks of nothing
        part.create_dataset(name, shape, np.float32)
        return
    chunks = (*(1,) * (len(shape) - 3), *chunk_shape(shape[-3], shape[-2], shape[-1]))
    part.create_dataset(name, shape, np.float32, chunks=chunks, compression="gzip", shuffle=True, fillvalue=np.nan)


def _masked(parent: h5py.Group, trials: NDArray[np.integer], values: NDArray[Any]) -> NDArray[np.float32]:
    """A float32 copy of (trial, time, feature) with NaN outside the mask of those trials."""
    mask = _read_rows(parent["mask"], trials)
    if values.shape[:2] != mask.shape:
        raise ValueError(f"values of shape {values.shape} for {mask.shape[0]} trials of {mask.shape[1]} bins")
    return np.where(mask[:, :, None], values, np.float32(np.nan)).astype(np.float32, copy=False)


def _runs(trials: NDArray[np.integer]) -> Iterator[tuple[slice, NDArray[np.integer]]]:
    """Runs of adjacent trials (rows of the file) and which of the given trials they are: h5py is slow on lists."""
    order = np.argsort(trials, kind="stable")
    ordered = np.asarray(trials)[order]
    if (np.diff(ordered) == 0).any():
        raise ValueError(f"trials {trials} name one trial twice")
    for run in np.split(np.arange(len(ordered)), np.flatnonzero(np.diff(ordered) > 1) + 1):
        if len(run):
            yield slice(int(ordered[run[0]]), int(ordered[run[-1]]) + 1), order[run]


def _read_rows(dataset: h5py.Dataset, trials: NDArray[np.integer]) -> NDArray[Any]:
    rows = np.empty((len(trials), *dataset.shape[1:]), dataset.dtype)
    for place, chosen in _runs(trials):
        rows[chosen] = dataset[place]
    return rows


def _write_rows(
    dataset: h5py.Dataset, lead: tuple[int, ...], trials: NDArray[np.integer], values: NDArray[Any]
) -> None:
    if values.shape[1:] != dataset.shape[len(lead) + 1 :]:
        raise ValueError(f"{dataset.name} takes rows of shape {dataset.shape[len(lead) + 1 :]}, got {values.shape[1:]}")
    for place, chosen in _runs(trials):
        dataset[(*lead, place)] = values[chosen]
