"""NWB files written with pynwb alone, so that the reader is not tested against its own writer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from hdmf.common import VectorData
from numpy.typing import NDArray
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.behavior import Position, SpatialSeries
from pynwb.ecephys import LFP, ElectricalSeries
from pynwb.file import Subject
from pynwb.ophys import DfOverF, ImageSegmentation, OpticalChannel, PlaneSegmentation, RoiResponseSeries

from ncyber_cli.spec import Data, Spec


def empty_file(*, subject_id: str | None = "mouse-1", session_id: str | None = "day-1") -> NWBFile:
    nwb = NWBFile("for a test", "identifier-of-the-file", datetime(2026, 1, 1, tzinfo=UTC), session_id=session_id)
    if subject_id is not None:
        nwb.subject = Subject(subject_id=subject_id, sex="U", species="Mus musculus", age="P1D")
    return nwb


def add_units(
    nwb: NWBFile, trains: Sequence[Any], areas: Sequence[str] | None = None, **columns: Sequence[Any]
) -> None:
    """Units with their spike times; with `areas`, each unit has one electrode there and a second one elsewhere."""
    if areas is not None:
        device = nwb.create_device("probe")
        for area in [*areas, "elsewhere"]:
            group = nwb.create_electrode_group(f"group {len(nwb.electrode_groups)}", "one", area, device)
            nwb.add_electrode(location=area, group=group)
    for name in columns:
        nwb.add_unit_column(name, "a column")
    for unit, train in enumerate(trains):
        row = {name: values[unit] for name, values in columns.items()}
        if areas is not None:
            row["electrodes"] = [unit, len(areas)]
        nwb.add_unit(spike_times=np.asarray(train, dtype=float), id=100 + unit, **row)


def add_trials(nwb: NWBFile, start_s: Sequence[float], stop_s: Sequence[float], **columns: Sequence[Any]) -> None:
    for name in columns:
        nwb.add_trial_column(name, "a column")
    for row, (start, stop) in enumerate(zip(start_s, stop_s, strict=True)):
        nwb.add_trial(start_time=start, stop_time=stop, **{name: values[row] for name, values in columns.items()})


def add_position(nwb: NWBFile, values: NDArray[Any], name: str = "hand_pos", **how: Any) -> None:
    module = nwb.processing.get("behavior") or nwb.create_processing_module("behavior", "movement")
    how = how or {"rate": 100.0, "starting_time": 0.0}
    series = SpatialSeries(name=name, data=values, reference_frame="table", unit="m", **how)
    if "Position" not in module.data_interfaces:
        module.add(Position(name="Position"))
    module["Position"].add_spatial_series(series)


def add_calcium(nwb: NWBFile, values: NDArray[Any], location: str, time_s: NDArray[np.float64]) -> None:
    """DfOverF of (time, roi), with a `cell_type` column on its rois."""
    device = nwb.create_device("microscope")
    channel = OpticalChannel(name="green", description="green", emission_lambda=510.0)
    plane = nwb.create_imaging_plane(
        name="plane",
        optical_channel=channel,
        description="one",
        device=device,
        excitation_lambda=920.0,
        indicator="GCaMP6f",
        location=location,
    )
    n_roi = values.shape[1]
    columns = [
        VectorData(name="cell_type", description="class", data=["E"] * n_roi),
        VectorData(name="image_mask", description="mask", data=np.zeros((n_roi, 2, 2))),
    ]
    ids = list(range(7, 7 + n_roi))
    rois = PlaneSegmentation(
        name="rois",
        description="cells",
        imaging_plane=plane,
        columns=columns,
        colnames=["cell_type", "image_mask"],
        id=ids,
    )
    module = nwb.create_processing_module("ophys", "imaging")
    module.add(ImageSegmentation(plane_segmentations=[rois]))
    region = rois.create_roi_table_region("all", region=list(range(n_roi)))
    module.add(DfOverF(name="DfOverF"))
    series = RoiResponseSeries(name="dff", data=values, rois=region, unit="a.u.", timestamps=time_s)
    module["DfOverF"].add_roi_response_series(series)


def add_lfp(nwb: NWBFile, values: NDArray[Any], areas: Sequence[str], **how: Any) -> None:
    device = nwb.create_device("shank")
    group = nwb.create_electrode_group("shank", "one", areas[0], device)
    for area in areas:
        nwb.add_electrode(location=area, group=group)
    region = nwb.create_electrode_table_region(list(range(len(areas))), "all")
    module = nwb.create_processing_module("ecephys", "potentials")
    module.add(LFP(name="LFP"))
    module["LFP"].add_electrical_series(ElectricalSeries(name="lfp", data=values, electrodes=region, rate=100.0, **how))


def add_neuron_series(nwb: NWBFile, values: NDArray[Any], names: Sequence[str], rate_hz: float = 10.0) -> None:
    module = nwb.create_processing_module("neurons", "one series a neuron")
    for name, trace in zip(names, values.T, strict=True):
        module.add(TimeSeries(name=name, data=trace, unit="a.u.", rate=rate_hz))


def save(nwb: NWBFile, path: Path) -> Path:
    with NWBHDF5IO(path, "w") as io:
        io.write(nwb)
    return path


def data_spec(**keys: Any) -> Data:
    """A Data part; by default spikes of `units` at 20 ms in windows of 1 s."""
    written = {"bin_s": 0.02, "neural": [{"source": "units", "kind": "spikes"}], **keys}
    if "trials" not in written and "trial" not in (written["neural"][0].get("axes") or []):
        written.setdefault("windows", {"length_s": 1.0})
    return Data.model_validate(written)


def spec_of(data: Data, **model: Any) -> Spec:
    return Spec.model_validate({"version": 1, "data": data.model_dump(), "model": model})
