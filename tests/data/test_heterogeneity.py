"""Law: labs' files as they are. Each form of file is built here, and read as what it means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hdmf.backends.hdf5 import H5DataIO
from nwb_files import add_calcium, add_position, add_trials, add_units, data_spec, empty_file, save, spec_of
from pynwb import NWBFile, TimeSeries
from pynwb.ophys import OpticalChannel, PlaneSegmentation, RoiResponseSeries

from ncyber_cli.data.prepare import prepare, prepare_all
from ncyber_cli.data.read import read_recording
from ncyber_cli.data.recording import TEST, TRAIN, VALIDATION, Session
from ncyber_cli.errors import DataError

RNG = np.random.default_rng(0)
TRAINS = [np.sort(RNG.uniform(0, 20, 200)) for _ in range(3)]


def session_of(path: Path, **keys: Any) -> Session:
    data = data_spec(**keys)
    return prepare(read_recording(path, data), spec_of(data))


def with_units(**columns: Any) -> NWBFile:
    nwb = empty_file()
    add_units(nwb, TRAINS, **columns)
    return nwb


# ------------------------------------------------------------------------------------ trials


@pytest.mark.parametrize("codes", [[7, 9, 9, 7], ["go", "stop", "stop", "go"]], ids=["numbers", "text"])
def test_event_codes_are_a_table_of_their_own(tmp_path: Path, codes: list[Any]) -> None:
    nwb, times_s = with_units(), [1.0, 4.0, 4.0, 9.0]  # two codes may share a moment
    nwb.add_acquisition(TimeSeries(name="ttl", data=[0, 0, 0, 0], timestamps=times_s, unit="n.a."))
    wanted = f"code == {codes[0]!r}"
    trials = {"table": "ttl", "align": "start_time", "window_s": [-0.5, 1.0], "where": wanted}
    path = save(nwb, tmp_path / "file.nwb")
    with h5py.File(path, "r+") as file:
        del file["acquisition/ttl/data"]
        file["acquisition/ttl/data"] = codes
    session = session_of(path, trials=trials)
    assert session.trial_id == ["0", "3"]
    assert session.event_s.tolist() == [1.0, 9.0]
    assert session.trials is not None
    assert session.trials.columns["stop_time"][0] == 4.0


def test_a_table_of_events(tmp_path: Path) -> None:
    """As NWB's EventsTable lies in a file, whatever this pynwb can write of it."""
    path = save(with_units(), tmp_path / "file.nwb")
    with h5py.File(path, "r+") as file:
        table = file.create_group("events/reward")
        table.attrs["neurodata_type"], table.attrs["colnames"] = "EventsTable", ["timestamp", "duration", "size"]
        table["id"], table["timestamp"], table["duration"] = [0, 1, 2], [2.0, 5.0, 9.0], [0.5, 1.0, 0.5]
        table["size"] = [1, 2, 1]
    session = session_of(path, trials={"table": "reward", "where": "size == 1"})
    assert session.event_s.tolist() == [2.0, 9.0]
    assert session.mask.sum(axis=1).tolist() == [25, 25]


def test_several_tables_and_none_called_trials(tmp_path: Path) -> None:
    nwb = with_units()
    for name, step_s in (("encoding", 2.0), ("recognition", 4.0)):
        table = nwb.create_time_intervals(name=name, description="custom")
        for start in np.arange(0, 20, step_s):
            table.add_row(start_time=start, stop_time=start + 1)
    path = save(nwb, tmp_path / "file.nwb")
    assert len(session_of(path, trials={"table": "encoding"}).trial_id) == 10
    assert len(session_of(path, trials={"table": "recognition"}).trial_id) == 5
    with pytest.raises(DataError, match="there is: encoding, recognition"):
        session_of(path, trials={})


# --------------------------------------------------------------------------------- behaviour


def test_behavior_at_another_rate_with_gaps_conversion_and_offset(tmp_path: Path) -> None:
    """mm at 50 Hz with a lost second, by timestamps; the same by rate is read without the gap."""
    nwb, time_s = with_units(), np.arange(1000) / 50
    kept = (time_s < 5) | (time_s >= 6)
    values = np.stack([time_s, -time_s], axis=1) * 1000
    add_position(nwb, values[kept], "by_stamps", timestamps=time_s[kept] + 0.005, conversion=1e-3, offset=0.5)
    add_position(nwb, values, "by_rate", rate=50.0, starting_time=0.005, conversion=1e-3, offset=0.5)
    path = save(nwb, tmp_path / "file.nwb")
    behavior = {name: {"source": name} for name in ("by_stamps", "by_rate")}
    session = session_of(path, behavior=behavior, bin_s=0.1, windows={"length_s": 1.0})
    body = session.body.reshape(-1, 4)
    centre_s = session.time_s.ravel()
    gap = (centre_s > 5) & (centre_s < 6)
    assert np.isnan(body[gap, :2]).all()
    np.testing.assert_allclose(body[~gap & (centre_s < 19), 0], centre_s[~gap & (centre_s < 19)] + 0.5, atol=0.06)
    np.testing.assert_allclose(body[centre_s < 19, 3], 0.5 - centre_s[centre_s < 19], atol=0.06)


def test_sessions_sampled_differently_share_the_bins_of_one_fit(tmp_path: Path) -> None:
    paths = []
    for name, rate in (("fast", 1000.0), ("slow", 30.0)):
        nwb = empty_file(subject_id=name, session_id=name)
        add_units(nwb, TRAINS)
        n_sample = round(20 * rate)
        add_position(nwb, np.full((n_sample, 2), 3.0), rate=rate, starting_time=0.0)
        paths.append(save(nwb, tmp_path / f"{name}.nwb"))
    data = data_spec(bin_s=0.05, behavior={"position": {"source": "hand_pos"}})
    for session in prepare_all([read_recording(path, data) for path in paths], spec_of(data)):
        assert session.bin_s == 0.05
        assert (session.body[session.mask][:-2] == 3.0).all()


# ------------------------------------------------------------------------------------ neurons


def test_planes_of_one_microscope_are_sources_of_one_session(tmp_path: Path) -> None:
    """Planes are scanned in turn: each has frame times, an area and as many cells as it has."""
    nwb, traces = empty_file(), RNG.normal(size=(200, 5)).astype(np.float32)
    add_calcium(nwb, traces[:, :3], "V1", 0.1 * np.arange(200))
    channel = OpticalChannel(name="green", description="green", emission_lambda=510.0)
    plane = nwb.create_imaging_plane(
        name="deep",
        optical_channel=channel,
        description="one",
        device=nwb.devices["microscope"],
        excitation_lambda=920.0,
        indicator="GCaMP6f",
        location="LM",
    )
    cells = PlaneSegmentation(name="deep_rois", description="cells", imaging_plane=plane)
    for _ in range(2):
        cells.add_roi(image_mask=np.zeros((2, 2)))
    nwb.processing["ophys"]["ImageSegmentation"].add_plane_segmentation(cells)
    region = cells.create_roi_table_region("all", region=[0, 1])
    deep = RoiResponseSeries(
        name="dff_deep", data=traces[:, 3:], rois=region, unit="a.u.", rate=10.0, starting_time=0.03
    )
    nwb.processing["ophys"]["DfOverF"].add_roi_response_series(deep)
    sources = [{"source": name, "kind": "calcium", "area": "from_electrodes"} for name in ("dff", "dff_deep")]
    session = session_of(save(nwb, tmp_path / "file.nwb"), neural=sources, bin_s=0.1)
    assert session.unit_area == ["V1"] * 3 + ["LM"] * 2
    assert len(set(session.unit_id)) == 5
    assert np.isfinite(session.observation).all()
    assert np.isin(session.observation[session.mask], traces).all()


@pytest.mark.parametrize("missing", ["empty", "absent"])
def test_electrodes_without_location_leave_the_area_open(tmp_path: Path, missing: str) -> None:
    nwb = empty_file()
    add_units(nwb, TRAINS, ["M1", "M1", "M1"])
    path = save(nwb, tmp_path / "file.nwb")
    with h5py.File(path, "r+") as file:
        electrodes = file["general/extracellular_ephys/electrodes"]
        if missing == "empty":
            electrodes["location"][:] = ""
        else:
            del electrodes["location"]
            electrodes.attrs["colnames"] = [name for name in electrodes.attrs["colnames"] if name != "location"]
    session = session_of(path, neural=[{"source": "units", "kind": "spikes", "area": "from_electrodes"}])
    assert session.unit_area == ["unknown"] * 3


def test_animals_are_named_by_the_spec_where_files_do_not(tmp_path: Path) -> None:
    path = save(with_units(), tmp_path / "file.nwb")
    assert session_of(path).animal == "mouse-1"
    assert not session_of(path).nameless
    assert session_of(path, animal_of={"fi*.nwb": "m/1"}).animal == "m_1"
    assert session_of(path, animal_of={"other.nwb": "m1"}).animal == "mouse-1"
    nobody = empty_file(subject_id=None)
    add_units(nobody, TRAINS)
    path = save(nobody, tmp_path / "nobody.nwb")
    assert (session_of(path).animal, session_of(path).nameless) == ("day-1", True)
    assert not session_of(path, animal_of={"nobody.nwb": "m1"}).nameless
    h5 = tmp_path / "plain.h5"
    with h5py.File(h5, "w") as file:
        file["x"] = RNG.normal(size=(100, 3))
    source = {"source": "x", "kind": "calcium", "rate_hz": 10.0}
    assert session_of(h5, neural=[source], animal_of={"*.h5": "w7"}).animal == "w7"


def test_subject_ids_cannot_leave_their_group(tmp_path: Path) -> None:
    nwb = empty_file(subject_id="../../etc", session_id="..")
    add_units(nwb, TRAINS)
    session = session_of(save(nwb, tmp_path / "file.nwb"))
    assert (session.animal, session.session) == ("_.._etc", "unnamed")


# ------------------------------------------------------------------------------------- storage


@pytest.mark.parametrize("form", ["gzip", "lzf", "big-endian", "float32", "one chunk a unit"])
def test_however_it_is_stored(tmp_path: Path, form: str) -> None:
    plain = session_of(save(with_units(), tmp_path / "plain.nwb"))
    path = save(with_units(), tmp_path / "file.nwb")
    how: dict[str, Any] = {
        "gzip": {"compression": "gzip", "shuffle": True},
        "lzf": {"compression": "lzf", "fletcher32": True},
        "one chunk a unit": {"chunks": (200,)},
    }.get(form, {})
    dtype = {"big-endian": ">f8", "float32": "<f4"}.get(form, "<f8")
    with h5py.File(path, "r+") as file:
        values, about = file["units/spike_times"][()], dict(file["units/spike_times"].attrs)
        del file["units/spike_times"]
        stored = file.create_dataset("units/spike_times", data=values.astype(dtype), **how)
        stored.attrs.update(about)
        file["units/spike_times_index"].attrs["target"] = stored.ref
        ends = file["units/spike_times_index"][()]
        about = dict(file["units/spike_times_index"].attrs)
        del file["units/spike_times_index"]
        file["units/spike_times_index"] = ends.astype(">i4")
        file["units/spike_times_index"].attrs.update(about)
    read = session_of(path)
    assert read.observation.dtype == plain.observation.dtype
    np.testing.assert_allclose(read.observation.sum((0, 1)), plain.observation.sum((0, 1)))
    if form != "float32":  # spikes near an edge may change their bin
        np.testing.assert_array_equal(read.observation, plain.observation)


def test_big_endian_signals_reach_torch(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    values = RNG.normal(size=(100, 3)).astype(">f4")
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=values, chunks=(7, 2), compression="gzip")
    session = session_of(path, neural=[{"source": "x", "kind": "calcium", "rate_hz": 50.0}])
    assert session.observation.dtype == np.dtype("=f4")
    np.testing.assert_array_equal(session.observation.reshape(-1, 3), values)


def test_files_of_early_writers(tmp_path: Path) -> None:
    """As pynwb 1.x wrote: names of columns as fixed bytes, no schemas in the file, tables without descriptions."""
    nwb = with_units(quality=["good", "bad", "good"])
    add_trials(nwb, np.arange(10) * 2.0, np.arange(10) * 2.0 + 1, outcome=["hit", "miss"] * 5)
    nwb.add_acquisition(TimeSeries(name="lick", data=H5DataIO(np.arange(200.0)), unit="V", rate=10.0))
    path = save(nwb, tmp_path / "file.nwb")
    with h5py.File(path, "r+") as file:
        file.attrs["nwb_version"] = np.bytes_("2.0b")
        del file["specifications"]
        for table in ("units", "intervals/trials"):
            names = file[table].attrs["colnames"]
            file[table].attrs["colnames"] = np.array([name.encode() for name in names], dtype="S")
            file[table].attrs["neurodata_type"] = np.bytes_(file[table].attrs["neurodata_type"])
            del file[table].attrs["description"]
        del file["general/session_id"]
        file["general/session_id"] = np.bytes_("day-1")
    session = session_of(
        path,
        trials={"where": "outcome == 'hit'"},
        units={"where": "quality == 'good'"},
        behavior={"lick": {"source": "lick"}},
    )
    assert (session.animal, session.session) == ("mouse-1", "day-1")
    assert (len(session.trial_id), session.unit_id) == (5, ["100", "102"])
    assert np.isfinite(session.body[session.mask]).all()


# --------------------------------------------------------------------------------- benchmarks


def test_neural_latents_benchmark_nwb(tmp_path: Path) -> None:
    nwb = with_units(heldout=[False, True, False])
    add_trials(nwb, np.arange(10) * 2.0, np.arange(10) * 2.0 + 1, split=["train"] * 6 + ["val"] * 3 + ["none"])
    path = save(nwb, tmp_path / "file.nwb")
    session = session_of(
        path,
        trials={"where": "split != 'none'"},
        held_out={"column": "heldout"},
        split={"column": "split"},
    )
    assert session.held_out.tolist() == [False, True, False]
    assert session.split.tolist() == [TRAIN] * 6 + [VALIDATION] * 3


def lfads_torch_file(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    parts = {}
    for part, n_trial in (("train", 30), ("valid", 7)):
        recon = RNG.poisson(0.3, size=(n_trial, 12, 5))
        parts |= {f"{part}_recon_data": recon, f"{part}_encod_data": recon[:, :10, :4]}
        parts[f"{part}_behavior"] = RNG.normal(size=(n_trial, 12, 2))
    with h5py.File(path, "w") as file:
        for name, values in parts.items():
            file[name] = values
    return parts


def benchmark_session(path: Path, layout: str, **keys: Any) -> Session:
    return session_of(
        path,
        layout=layout,
        windows=None,
        bin_s=0.005,
        neural=[{"source": "spikes", "kind": "spikes"}],
        held_out={"column": "heldout"},
        split={"column": "split", "validation": 0.1},
        **keys,
    )


def test_lfads_torch_layout(tmp_path: Path) -> None:
    parts = lfads_torch_file(tmp_path / "file.h5")
    session = benchmark_session(tmp_path / "file.h5", "lfads_torch", behavior={"velocity": {"source": "behavior"}})
    whole = np.concatenate([parts["train_recon_data"], parts["valid_recon_data"]])
    np.testing.assert_array_equal(session.observation, whole)
    np.testing.assert_allclose(session.body[-7:], parts["valid_behavior"], rtol=1e-6)
    assert session.held_out.tolist() == [False] * 4 + [True]
    assert (session.split[-7:] == TEST).all()
    assert np.bincount(session.split[:30]).tolist() == [27, 3]
    assert session.trial_id[30] == "valid-0"
    with pytest.raises(DataError, match="write source: spikes"):
        session_of(tmp_path / "file.h5", layout="lfads_torch", windows=None, neural=[{"source": "x", "kind": "spikes"}])


def test_nlb_tools_layout_without_the_answers(tmp_path: Path) -> None:
    """The public test part has neither held-out units nor behaviour nor the bins that are to be predicted."""
    path = tmp_path / "file.h5"
    counts = RNG.poisson(0.3, size=(20, 12, 5))
    with h5py.File(path, "w") as file:
        file["train_spikes_heldin"], file["train_spikes_heldout"] = counts[:15, :10, :4], counts[:15, :10, 4:]
        file["train_spikes_heldin_forward"] = counts[:15, 10:, :4]
        file["train_spikes_heldout_forward"] = counts[:15, 10:, 4:]
        file["train_behavior"] = RNG.normal(size=(15, 12, 2))
        file["eval_spikes_heldin"] = counts[15:, :10, :4]
    session = benchmark_session(path, "nlb", behavior={"velocity": {"source": "behavior"}})
    np.testing.assert_array_equal(session.observation[:15], counts[:15])
    np.testing.assert_array_equal(session.observation[15:, :10, :4], counts[15:, :10, :4])
    assert np.isnan(session.observation[15:, :10, 4]).all()
    assert session.mask[15:].sum(axis=1).tolist() == [10] * 5
    assert np.isnan(session.body[15:][session.mask[15:]]).all()
