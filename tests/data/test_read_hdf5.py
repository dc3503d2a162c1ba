"""Law: any axis order gives the same arrays, and times come from where the docstring of Hdf5Series says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from nwb_files import data_spec

from ncyber_cli.data.read import read_recording
from ncyber_cli.data.recording import Sampled
from ncyber_cli.errors import DataError

VALUES = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
ALIGNED = np.random.default_rng(1).poisson(1.0, size=(6, 10, 4))


def plain(path: Path, **datasets: Any) -> Path:
    with h5py.File(path / "file.h5", "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return path / "file.h5"


def calcium(**keys: Any) -> dict[str, Any]:
    return {"source": "rec/y", "kind": "calcium", **keys}


def signal_of(path: Path, source: dict[str, Any], **keys: Any) -> Sampled:
    activity = read_recording(path, data_spec(neural=[source], **keys)).neural[0].activity
    assert isinstance(activity, Sampled)
    return activity


@pytest.mark.parametrize("axes", [None, ["time", "unit"], ["unit", "time"]])
def test_continuous_in_any_order(tmp_path: Path, axes: list[str] | None) -> None:
    stored = VALUES.T if axes == ["unit", "time"] else VALUES
    path = plain(tmp_path, **{"rec/y": stored, "rec/t": np.arange(50) * 0.1})
    signal = signal_of(path, calcium(time="rec/t", axes=axes))
    np.testing.assert_array_equal(signal.values, VALUES)
    np.testing.assert_array_equal(signal.time_s, np.arange(50) * 0.1)


@pytest.mark.parametrize("axes", [("trial", "time", "unit"), ("unit", "trial", "time"), ("time", "unit", "trial")])
def test_trial_aligned_in_any_order(tmp_path: Path, axes: tuple[str, ...]) -> None:
    stored = np.transpose(ALIGNED, [("trial", "time", "unit").index(axis) for axis in axes])
    path = plain(tmp_path, **{"rec/y": stored})
    signal = signal_of(path, {"source": "rec/y", "kind": "spikes", "axes": list(axes)})
    np.testing.assert_array_equal(signal.values, ALIGNED)
    assert signal.time_s is None


def test_wrong_orientation_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = plain(tmp_path, **{"rec/y": VALUES.T, "rec/t": np.arange(50) * 0.1})
    with pytest.raises(DataError, match="axes: \\[unit, time\\]"):
        signal_of(path, calcium(time="rec/t"))
    with pytest.raises(DataError, match="name every axis once"):
        signal_of(path, calcium(time="rec/t", axes=["time"]))


def test_times_from_rate(tmp_path: Path) -> None:
    signal = signal_of(plain(tmp_path, **{"rec/y": VALUES}), calcium(rate_hz=4.0))
    np.testing.assert_allclose(signal.time_s, (np.arange(50) + 0.5) / 4)


def test_no_times_anywhere_means_one_sample_a_bin(tmp_path: Path) -> None:
    path = plain(tmp_path, **{"rec/y": VALUES, "v": np.arange(50.0)})
    data = data_spec(neural=[calcium()], behavior={"velocity": {"source": "v"}})
    recording = read_recording(path, data)
    np.testing.assert_allclose(recording.behavior["velocity"].time_s, (np.arange(50) + 0.5) * 0.02)


def test_behavior_as_long_as_the_neural_source_shares_its_times(tmp_path: Path) -> None:
    path = plain(
        tmp_path, **{"rec/y": VALUES, "rec/t": 7.0 + np.arange(50) * 0.1, "v": np.arange(50.0), "w": np.zeros(9)}
    )
    behavior = {"velocity": {"source": "v"}}
    recording = read_recording(path, data_spec(neural=[calcium(time="rec/t")], behavior=behavior))
    np.testing.assert_allclose(recording.behavior["velocity"].time_s, 7.0 + np.arange(50) * 0.1)
    with pytest.raises(DataError, match=r"file.h5:/w: has no times for its 9 samples"):
        read_recording(path, data_spec(neural=[calcium(time="rec/t")], behavior={"velocity": {"source": "w"}}))


def test_trial_aligned_samples_must_be_bins(tmp_path: Path) -> None:
    path = plain(tmp_path, **{"rec/y": ALIGNED})
    source = {"source": "rec/y", "kind": "spikes", "axes": ["trial", "time", "unit"]}
    signal_of(path, {**source, "rate_hz": 50.0})
    with pytest.raises(DataError, match=r"bin_s: 0.01"):
        signal_of(path, {**source, "rate_hz": 100.0})


def test_counts_are_checked(tmp_path: Path) -> None:
    path = plain(tmp_path, **{"rec/y": VALUES})
    with pytest.raises(DataError, match=r"file.h5:/rec/y: .*not a spike count"):
        signal_of(path, {"source": "rec/y", "kind": "spikes", "rate_hz": 50.0})


def test_labels_areas_columns_and_animal(tmp_path: Path) -> None:
    path = plain(
        tmp_path,
        **{
            "rec/y": VALUES,
            "rec/snr": np.arange(4.0),
            "rec/too_long": np.arange(5.0),
            "ids/name": np.array([b"AVA", b"", b"RIM", b"RIM"]),
            "ids/area": ["a", "b", "", "a"],
            "who": "worm 3",
        },
    )
    source = calcium(rate_hz=10.0, labels="ids/name", area_column="ids/area")
    recording = read_recording(path, data_spec(neural=[source], animal="who"))
    (stream,) = recording.neural
    assert stream.unit_id == ["AVA", "1", "RIM", "RIM#2"]
    assert stream.area == ["a", "b", "unknown", "a"]
    assert stream.columns["snr"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert "too_long" not in stream.columns
    assert (recording.animal, recording.session) == ("worm 3", "file")


def test_animal_from_attribute_and_default(tmp_path: Path) -> None:
    path = plain(tmp_path, **{"rec/y": VALUES})
    with h5py.File(path, "r+") as file:
        file.attrs["animal"] = "w7"
    assert read_recording(path, data_spec(neural=[calcium(rate_hz=1.0)], animal="animal")).animal == "w7"
    assert read_recording(path, data_spec(neural=[calcium(rate_hz=1.0)])).animal == "file"
    with pytest.raises(DataError, match="did you mean animal"):
        read_recording(path, data_spec(neural=[calcium(rate_hz=1.0)], animal="animl"))


def test_trial_table_is_a_group_of_columns(tmp_path: Path) -> None:
    path = plain(
        tmp_path,
        **{"rec/y": VALUES, "tr/go": [1.0, 2.0], "tr/kind": ["x", "y"], "tr/id": [4, 5], "bad/a": [1], "bad/b": [1, 2]},
    )
    trials = {"table": "tr", "align": "go", "window_s": [-0.5, 1.0]}
    table = read_recording(path, data_spec(neural=[calcium(rate_hz=10.0)], trials=trials)).trials
    assert table is not None
    assert table.id == ["4", "5"]
    assert table.columns["start_time"].tolist() == [0.5, 1.5]
    assert table.columns["stop_time"].tolist() == [2.0, 3.0]
    for broken, says in (
        ({**trials, "table": "trs"}, "did you mean tr"),
        ({**trials, "align": "goo"}, "did you mean go"),
        ({"table": "tr", "align": "go"}, "no column 'start_time'"),
        ({**trials, "table": "bad"}, "differ in length"),
    ):
        with pytest.raises(DataError, match=says):
            read_recording(path, data_spec(neural=[calcium(rate_hz=10.0)], trials=broken))


def test_missing_and_unusable_datasets(tmp_path: Path) -> None:
    path = plain(tmp_path, **{"rec/y": VALUES, "text": "hello", "inf": np.full((5, 1), np.inf)})
    for source, says in (
        ("rec/z", "did you mean rec/y"),
        ("rec", "no dataset"),
        ("text", "numbers"),
        ("inf", "infinite"),
    ):
        with pytest.raises(DataError, match=says):
            signal_of(path, calcium(rate_hz=1.0) | {"source": source})
