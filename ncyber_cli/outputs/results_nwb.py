"""One valid NWB file per session from a results file: results under /analysis of a new file, masked bins left out.

The results file is the only source of the numbers; they pass through a piece at a time. The same results file
gives the same bytes again, so that checksums of archived files mean something.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import h5py
import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import DynamicTable, VectorData
from hdmf.container import AbstractContainer
from hdmf.data_utils import GenericDataChunkIterator
from numpy.typing import NDArray
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.epoch import TimeIntervals

from ncyber_cli.atomic import atomic_path, refuse_existing
from ncyber_cli.errors import DataError
from ncyber_cli.outputs.nwb_about import UNKNOWN_START, session_fields, start_of, subject
from ncyber_cli.outputs.read_results import read_results, session_groups, texts
from ncyber_cli.outputs.results_layout import GROUPS, NO_CLUSTER, nwb_name
from ncyber_cli.outputs.session_clock import SessionClock, session_clock

_BUFFER_VALUES = 1 << 22  # 16 MiB of float32 at a time


def nwb_from_results(results_path: Path, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write `sub-<animal>_ses-<session>.nwb` into `folder` for every session of a results file; their paths.

    Raises DataError for what is not a complete results file, UsageError if a target exists and `overwrite` is
    not set, ResourceError if the disk is full.
    """
    folder = Path(folder)
    with read_results(results_path) as results:
        sessions = {
            folder / nwb_name(str(group.attrs["animal"]), str(group.attrs["session"])): group
            for group in session_groups(results)
        }
        if len(sessions) < sum(1 for _ in session_groups(results)):
            remedy = "give each session its own name"
            raise DataError("two sessions would have one NWB file name", where=str(results_path), remedy=remedy)
        for target in sessions:
            refuse_existing(target, overwrite=overwrite, option="--nwb")
        for target, group in sessions.items():
            with atomic_path(target) as partial:
                _write_session(partial, group, dict(results.attrs))
    return list(sessions)


def _write_session(path: Path, group: h5py.Group, provenance: dict[str, Any]) -> None:
    clock = session_clock(group["time_s"][:], group["mask"][:], float(group.attrs["bin_s"]))
    nwb = _empty_file(group, provenance, clock)
    _add_trials(nwb, group, clock)
    when = _sampling(clock)
    for name in GROUPS:
        if name not in group or len(group[name]["names"]) == 0:
            continue
        if len(group[name]["names"]) > 1:
            nwb.add_analysis(_feature_table(group, name))
        for statistic in ("mean", "sd"):
            series = _series(group, name, statistic, clock, when)
            when = {"timestamps": series} if "timestamps" in when else when  # times are stored once
            nwb.add_analysis(series)
    if "objectives/prototype" in group:
        nwb.add_analysis(_prototypes(group, clock, when))
    if "objectives/cluster" in group:
        nwb.add_analysis(_clusters(group, clock))
    _fix_object_ids(nwb)
    with h5py.File(path, "w") as file, NWBHDF5IO(file=file, mode="w") as io:
        io.write(nwb)


def _empty_file(group: h5py.Group, provenance: dict[str, Any], clock: SessionClock) -> NWBFile:
    animal, session = str(group.attrs["animal"]), str(group.attrs["session"])
    about = json.loads(group.attrs.get("about", "{}"))
    start = start_of(about)
    remarks = ["Latents, controls, objectives, rates and body inferred by ncyber."]
    if start is None:
        remarks.append("The start time of the recording is not known; 2000-01-01 stands for it.")
    if clock.note:
        remarks.append(clock.note)
    record = json.dumps({key: _plain(value) for key, value in sorted(provenance.items())}, sort_keys=True)
    start_time = start or UNKNOWN_START
    return NWBFile(
        session_description=" ".join(remarks),
        identifier=str(uuid5(NAMESPACE_URL, f"{record}/{animal}/{session}")),
        session_start_time=start_time,
        timestamps_reference_time=start_time,
        file_create_date=[start_time],  # not today: the same results give the same file
        session_id=session,
        notes=record,
        subject=subject(animal, about),
        **session_fields(about),
    )


def _add_trials(nwb: NWBFile, group: h5py.Group, clock: SessionClock) -> None:
    half_s = float(group.attrs["bin_s"]) / 2
    nwb.add_trial_column("trial_id", "identity of the trial in the recording")
    nwb.add_trial_column("split", "train, validation or test in the run that these results are of")
    nwb.add_trial_column("event_time", "time of the alignment event, s")
    trial_id, split = texts(group["trial_id"]), texts(group["split"])
    event_s = group["event_s"][:] + clock.shift_s
    for trial, first, past in clock.spans():
        nwb.add_trial(
            start_time=clock.time_s[first] - half_s,
            stop_time=clock.time_s[past - 1] + half_s,
            trial_id=trial_id[trial],
            split=split[trial],
            event_time=event_s[trial],
        )


def _feature_table(group: h5py.Group, name: str) -> DynamicTable:
    part = group[name]
    columns = [
        VectorData(name="feature", description="name of the feature", data=texts(part["names"])),
        VectorData(name="unit", description="unit of its values", data=texts(part["units"])),
    ]
    if "area" in part:
        columns.append(VectorData(name="area", description="brain area", data=texts(part["area"])))
    if name == "rates":
        held_out = group["held_out"][:]
        columns.append(VectorData(name="area", description="brain area", data=texts(group["unit_area"])))
        columns.append(VectorData(name="held_out", description="decoded, never encoded", data=held_out))
    return DynamicTable(name=f"{name}_features", description=f"columns of {name}_mean and {name}_sd", columns=columns)


def _prototypes(group: h5py.Group, clock: SessionClock, when: dict[str, Any]) -> TimeSeries:
    """Probabilities of the prototypes; the description says where they lie."""
    mean = ", ".join(f"{index}: {row.tolist()}" for index, row in enumerate(group["objectives/prototype_mean"][:]))
    return TimeSeries(
        name="objectives_prototype",
        data=_stored(group["objectives/prototype"], clock),
        unit="1",
        **when,
        description=f"probability of each prototype of the objective; they lie at {mean}",
    )


def _sampling(clock: SessionClock) -> dict[str, Any]:
    """The times of a series as arguments of it."""
    rate_hz = clock.rate_hz()
    return {"timestamps": clock.time_s} if rate_hz is None else {"starting_time": clock.time_s[0], "rate": rate_hz}


def _series(group: h5py.Group, name: str, statistic: str, clock: SessionClock, when: dict[str, Any]) -> TimeSeries:
    names, units = texts(group[name]["names"]), set(texts(group[name]["units"]))
    columns = f"columns are the rows of {name}_features" if len(names) > 1 else names[0]
    return TimeSeries(
        name=f"{name}_{statistic}",
        data=_stored(group[name][statistic], clock),
        unit=units.pop() if len(units) == 1 else f"see {name}_features",
        **when,
        description=f"posterior {statistic} of {name}; {columns}",
    )


def _stored(dataset: h5py.Dataset, clock: SessionClock) -> H5DataIO | NDArray[np.float32]:
    """The kept bins of a (trial, time, feature) dataset as NWB stores them."""
    rows = _KeptBins(dataset, clock)
    if not len(clock.time_s):
        return np.zeros(rows.maxshape, "f4")
    return H5DataIO(rows, compression="gzip", shuffle=True)


class _KeptBins(GenericDataChunkIterator):  # type: ignore[misc]  # hdmf has no types
    """A (trial, time, feature) dataset as (row, feature) over the kept bins, read as it is written."""

    def __init__(self, dataset: h5py.Dataset, clock: SessionClock) -> None:
        self._dataset, self._clock = dataset, clock
        rows, features = len(clock.time_s), dataset.shape[2]
        chunk = min(max(rows, 1), max(1, (1 << 16) // features))
        buffer = min(max(rows, 1), chunk * max(1, _BUFFER_VALUES // (chunk * features)))
        super().__init__(chunk_shape=(chunk, features), buffer_shape=(buffer, features))

    def _get_data(self, selection: tuple[slice, ...]) -> NDArray[np.float32]:
        rows = selection[0]
        values = np.empty((rows.stop - rows.start, self._dataset.shape[2]), np.float32)
        for trial, first, past in self._clock.spans(rows.start, rows.stop):
            values[first - rows.start : past - rows.start] = self._dataset[trial][self._clock.bin[first:past]]
        return values[:, selection[1]]

    def _get_maxshape(self) -> tuple[int, int]:
        return len(self._clock.time_s), self._dataset.shape[2]

    def _get_dtype(self) -> np.dtype[np.float32]:
        return np.dtype(np.float32)


def _clusters(group: h5py.Group, clock: SessionClock) -> TimeIntervals:
    """Stretches of one cluster within one trial, as intervals."""
    half_s = float(group.attrs["bin_s"]) / 2
    table = TimeIntervals(name="objective_clusters", description="which cluster the objective belongs to")
    table.add_column("cluster", "index of the cluster, the largest first")
    cluster = group["objectives/cluster"][:][clock.trial, clock.bin]
    begins = np.flatnonzero(np.diff(cluster, prepend=NO_CLUSTER - 1) != 0 | (np.diff(clock.trial, prepend=-1) != 0))
    for first, past in zip(begins, [*begins[1:], len(cluster)], strict=True):
        if cluster[first] != NO_CLUSTER:
            start, stop = clock.time_s[first] - half_s, clock.time_s[past - 1] + half_s
            table.add_interval(start_time=start, stop_time=stop, cluster=int(cluster[first]))
    return table


def _fix_object_ids(nwb: NWBFile) -> None:
    """Derive every object's id from the file's identifier and the object's path; hdmf draws them at random."""
    pending: list[tuple[str, AbstractContainer]] = [("", nwb)]
    while pending:
        path, container = pending.pop()
        path = f"{path}/{container.name}"
        # There is no public way to give a container its id.
        container._AbstractContainer__object_id = str(uuid5(UUID(nwb.identifier), path))
        pending.extend((path, child) for child in container.children)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
