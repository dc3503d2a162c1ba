"""Law: what pynwb wrote is what is read, found by name or path, and what is missing is named."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from nwb_files import (
    add_calcium,
    add_lfp,
    add_neuron_series,
    add_position,
    add_trials,
    add_units,
    data_spec,
    empty_file,
    save,
)
from pynwb import TimeSeries

from ncyber_cli.data.read import read_recording
from ncyber_cli.data.recording import NeuralStream, Sampled, SpikeTrains
from ncyber_cli.errors import DataError

TRAINS = [[0.1, 0.2, 0.9], [], [0.05, 0.05, 1.5]]


def units_file(path: Path, **names: str | None) -> Path:
    nwb = empty_file(**names)
    add_units(nwb, TRAINS, ["M1", "PMd", "M1"], quality=["good", "bad", "good"], heldout=[True, False, False])
    add_trials(nwb, [0.0, 1.0], [1.0, 2.0], go_time=[0.4, 1.5], outcome=["hit", "miss"])
    add_position(nwb, np.arange(400.0).reshape(200, 2), conversion=0.01, offset=1.0, rate=100.0, starting_time=0.5)
    return save(nwb, path / "file.nwb")


def only_stream(path: Path, **source: object) -> NeuralStream:
    (stream,) = read_recording(path, data_spec(neural=[{"kind": "calcium", **source}])).neural
    return stream


def test_units_in_bulk(tmp_path: Path) -> None:
    recording = read_recording(units_file(tmp_path), data_spec())
    (stream,) = recording.neural
    assert isinstance(stream.activity, SpikeTrains)
    np.testing.assert_array_equal(stream.activity.times_s, np.concatenate(TRAINS))
    assert stream.activity.ends.tolist() == [3, 3, 6]
    assert stream.unit_id == ["100", "101", "102"]
    assert stream.area == ["brain"] * 3
    assert stream.columns["quality"].tolist() == ["good", "bad", "good"]
    assert stream.columns["heldout"].dtype == np.bool_
    assert (recording.animal, recording.session) == ("mouse-1", "day-1")
    assert recording.path == tmp_path / "file.nwb"
    assert len(recording.sha256) == 64


def test_areas(tmp_path: Path) -> None:
    path = units_file(tmp_path)
    for source, areas in (
        ({"area": "from_electrodes"}, ["M1", "PMd", "M1"]),
        ({"area": "S1"}, ["S1"] * 3),
        ({"area_column": "quality"}, ["good", "bad", "good"]),
    ):
        assert only_stream(path, source="units", kind="spikes", **source).area == areas
    with pytest.raises(DataError, match="did you mean quality"):
        only_stream(path, source="units", kind="spikes", area_column="qualty")


def test_labels_name_units_and_repeats_are_told_apart(tmp_path: Path) -> None:
    stream = only_stream(units_file(tmp_path), source="units", kind="spikes", labels="quality")
    assert stream.unit_id == ["good", "bad", "good#2"]


def test_units_without_electrodes_say_what_else_there_is(tmp_path: Path) -> None:
    nwb = empty_file()
    add_units(nwb, TRAINS, region=["a", "b", "c"])
    path = save(nwb, tmp_path / "file.nwb")
    with pytest.raises(DataError, match="area_column: one of region"):
        only_stream(path, source="units", kind="spikes", area="from_electrodes")


def test_trials_and_custom_intervals(tmp_path: Path) -> None:
    nwb = empty_file()
    add_units(nwb, TRAINS)
    table = nwb.create_time_intervals(name="encoding_table", description="custom")
    table.add_column("image", "shown", data=[])
    for start in (0.0, 1.0):
        table.add_row(start_time=start, stop_time=start + 1, image=f"{start:g}.png")
    path = save(nwb, tmp_path / "file.nwb")
    trials = read_recording(path, data_spec(trials={"table": "encoding_table"})).trials
    assert trials is not None
    assert trials.id == ["0", "1"]
    assert trials.columns["image"].tolist() == ["0.png", "1.png"]
    assert trials.columns["start_time"].tolist() == [0.0, 1.0]
    with pytest.raises(DataError, match="did you mean encoding_table"):
        read_recording(path, data_spec(trials={"table": "encoding"}))


@pytest.mark.parametrize(
    "source", ["hand_pos", "processing/behavior/Position/hand_pos", "Position/hand_pos", "Position"]
)
def test_behavior_by_name_and_path_in_its_own_unit(tmp_path: Path, source: str) -> None:
    data = data_spec(behavior={"position": {"source": source, "unit": "m", "columns": [1]}})
    signal = read_recording(units_file(tmp_path), data).behavior["position"]
    np.testing.assert_allclose(signal.values, np.arange(1, 400, 2)[:, None] * 0.01 + 1.0)
    np.testing.assert_allclose(signal.time_s, 0.5 + np.arange(200) / 100)


def test_timestamps_of_another_series_and_acquisition(tmp_path: Path) -> None:
    nwb = empty_file()
    add_units(nwb, TRAINS)
    first = TimeSeries(name="first", data=[1, 2, 3], unit="a.u.", timestamps=[0.0, 0.5, 2.0])
    nwb.add_acquisition(first)
    nwb.add_acquisition(TimeSeries(name="second", data=[4, 5, 6], unit="a.u.", timestamps=first))
    path = save(nwb, tmp_path / "file.nwb")
    signal = read_recording(path, data_spec(behavior={"lick": {"source": "second"}})).behavior["lick"]
    assert signal.values.tolist() == [[4], [5], [6]]
    assert signal.time_s is not None
    assert signal.time_s.tolist() == [0.0, 0.5, 2.0]


def test_missing_source_names_what_there_is(tmp_path: Path) -> None:
    path = units_file(tmp_path)
    absent = read_recording(path, data_spec(behavior={"position": {"source": "Position/hand_poz"}})).absent
    assert "did you mean processing/behavior/Position/hand_pos" in absent["behavior.position"]
    with pytest.raises(DataError, match=r"did you mean units.*hand_pos, units"):
        only_stream(path, source="unit", kind="spikes")
    with pytest.raises(DataError, match="kind: spikes"):
        only_stream(path, source="units")


def test_one_name_for_two_objects_is_refused(tmp_path: Path) -> None:
    nwb = empty_file()
    add_units(nwb, TRAINS)
    add_position(nwb, np.zeros((10, 2)), "eye")
    nwb.add_acquisition(TimeSeries(name="eye", data=[1.0], unit="a.u.", rate=1.0))
    path = save(nwb, tmp_path / "file.nwb")
    with pytest.raises(DataError, match="acquisition/eye or processing/behavior/Position/eye"):
        read_recording(path, data_spec(behavior={"eye": {"source": "eye"}}))
    signal = read_recording(path, data_spec(behavior={"eye": {"source": "acquisition/eye"}})).behavior["eye"]
    assert len(signal.values) == 1


@pytest.mark.parametrize("source", ["dff", "DfOverF", "processing/ophys/DfOverF"])
def test_calcium(tmp_path: Path, source: str) -> None:
    nwb = empty_file()
    values = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    values[3, 1] = np.nan
    add_calcium(nwb, values, "V1", np.arange(30) * 0.1)
    stream = only_stream(save(nwb, tmp_path / "file.nwb"), source=source, area="from_electrodes")
    assert isinstance(stream.activity, Sampled)
    np.testing.assert_array_equal(stream.activity.values, values)
    assert stream.activity.values.dtype == np.float32
    assert stream.unit_id == ["7", "8", "9", "10"]
    assert stream.area == ["V1"] * 4
    assert list(stream.columns) == ["cell_type"]


@pytest.mark.parametrize("source", ["LFP", "lfp"])
def test_lfp(tmp_path: Path, source: str) -> None:
    nwb = empty_file()
    values = np.arange(60, dtype=np.int16).reshape(20, 3)
    add_lfp(nwb, values, ["CA1", "CA3", "DG"], conversion=1e-6, channel_conversion=[1.0, 2.0, 3.0])
    stream = only_stream(save(nwb, tmp_path / "file.nwb"), source=source, kind="lfp", area="from_electrodes")
    assert isinstance(stream.activity, Sampled)
    np.testing.assert_allclose(stream.activity.values, values * [1e-6, 2e-6, 3e-6], rtol=1e-6)
    assert stream.area == ["CA1", "CA3", "DG"]


def test_one_series_a_neuron(tmp_path: Path) -> None:
    nwb = empty_file()
    values = np.random.default_rng(0).normal(size=(30, 3))
    add_neuron_series(nwb, values, ["AVAL", "AVAR", "RIM"])
    stream = only_stream(save(nwb, tmp_path / "file.nwb"), source="neurons")
    assert isinstance(stream.activity, Sampled)
    order = [["AVAL", "AVAR", "RIM"].index(name) for name in stream.unit_id]
    np.testing.assert_array_equal(stream.activity.values, values[:, order])
    assert sorted(stream.unit_id) == ["AVAL", "AVAR", "RIM"]


def test_neurons_sampled_at_other_times_are_refused(tmp_path: Path) -> None:
    nwb = empty_file()
    add_neuron_series(nwb, np.zeros((30, 2)), ["a", "b"])
    nwb.processing["neurons"].add(TimeSeries(name="c", data=np.zeros(30), unit="a.u.", rate=11.0))
    path = save(nwb, tmp_path / "file.nwb")
    with pytest.raises(DataError, match="other times"):
        only_stream(path, source="neurons")


def test_two_sources_with_the_same_ids_get_prefixes(tmp_path: Path) -> None:
    nwb = empty_file()
    add_neuron_series(nwb, np.zeros((30, 2)), ["a", "b"])
    nwb.add_acquisition(TimeSeries(name="more", data=np.zeros((30, 2)), unit="a.u.", rate=10.0))
    nwb.add_acquisition(TimeSeries(name="again", data=np.zeros((30, 2)), unit="a.u.", rate=10.0))
    path = save(nwb, tmp_path / "file.nwb")
    sources = [{"source": name, "kind": "calcium"} for name in ("neurons", "more", "again")]
    distinct = read_recording(path, data_spec(neural=sources[:2])).neural
    assert [sorted(stream.unit_id) for stream in distinct] == [["a", "b"], ["0", "1"]]
    clashing = read_recording(path, data_spec(neural=sources[1:])).neural
    assert [stream.unit_id for stream in clashing] == [["more:0", "more:1"], ["again:0", "again:1"]]


@pytest.mark.parametrize(
    ("subject_id", "session_id", "animal", "session"),
    [
        ("a/b", "day 1", "a_b", "day 1"),
        (None, "day-1", "day-1", "day-1"),
        ("", None, "file", "file"),
        ("mouse", None, "mouse", "file"),
    ],
)
def test_animal_and_session_names(
    tmp_path: Path, subject_id: str | None, session_id: str | None, animal: str, session: str
) -> None:
    recording = read_recording(units_file(tmp_path, subject_id=subject_id, session_id=session_id), data_spec())
    assert (recording.animal, recording.session) == (animal, session)


def test_bad_values_are_named_with_their_path(tmp_path: Path) -> None:
    path = units_file(tmp_path)
    with h5py.File(path, "r+") as file:
        file["units/spike_times"][1] = 0.0
    with pytest.raises(DataError, match=r"file.nwb:/units/spike_times: .* index 1 "):
        read_recording(path, data_spec())


def test_repeated_timestamps_are_named_with_their_path(tmp_path: Path) -> None:
    nwb = empty_file()
    add_units(nwb, TRAINS)
    add_position(nwb, np.zeros((3, 2)), timestamps=[0.0, 1.0, 1.0])
    path = save(nwb, tmp_path / "file.nwb")
    with pytest.raises(
        DataError, match=r"file.nwb:/processing/behavior/Position/hand_pos/timestamps: timestamp 2 repeats"
    ):
        read_recording(path, data_spec(behavior={"position": {"source": "hand_pos"}}))


def test_malformed_nwb_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "file.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
    with pytest.raises(DataError, match="there is none in it"):
        read_recording(path, data_spec())
