"""Law: files that ncyber did not write are read as they are, with no conversion by hand."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from nwb_files import data_spec, spec_of

from ncyber_cli.data.prepare import prepare_all
from ncyber_cli.data.read import read_recording
from ncyber_cli.errors import DataError

ROOT = Path(os.environ.get("NCYBER_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))

pytestmark = pytest.mark.real


def files(folder: str, pattern: str) -> list[Path]:
    found = sorted((ROOT / folder).glob(pattern))
    if not found:
        pytest.skip(f"no {folder} in {ROOT}: set NCYBER_REAL_DATA to a folder that holds it")
    return found


def test_four_worms_from_their_own_hdf5() -> None:
    paths = files("worm_whole_brain", "*.h5")
    data = data_spec(
        bin_s=0.6,
        windows={"length_s": 24.0},
        neural=[{"source": "gcamp/trace_array", "kind": "calcium", "time": "timing/timestamp_confocal"}],
        behavior={name: {"source": f"behavior/{name}"} for name in ("velocity", "head_angle", "pumping")},
        split={"by": "block", "validation": 0.1, "test": 0.3},
    )
    sessions = prepare_all([read_recording(path, data) for path in paths], spec_of(data))
    assert len({session.animal for session in sessions}) == len(paths)
    for path, session in zip(paths, sessions, strict=True):
        with h5py.File(path) as file:
            traces = file["gcamp/trace_array"][()]
        assert session.observation.shape == (20, 40, traces.shape[1])
        assert not np.isnan(session.observation[:, 1:]).any()  # a first bin may: nothing is held of the window before
        flat = session.observation.reshape(800, -1)
        np.testing.assert_array_equal(flat[0], traces[0])
        assert np.isin(flat, traces).mean() > 0.98  # few bins hold two samples or repeat one
        assert session.body_names == ["velocity_0", "head_angle_0", "pumping_0"]
        assert np.isnan(session.body[..., 2]).all()
        assert not np.isnan(session.body[:, 1:, :2]).any()  # a window's first bin holds nothing of the window before


def test_human_recording_with_its_own_interval_table() -> None:
    (path,) = files("human_mtl_nwb", "*.nwb")
    data = data_spec(
        bin_s=0.05,
        trials={"table": "encoding_table", "align": "boundary1_time", "window_s": [-1.0, 1.5]},
        neural=[{"source": "units", "kind": "spikes", "area": "from_electrodes"}],
        inputs={"category": {"kind": "context", "column": "stimCategory"}},
        units={"min_rate_hz": 0.5},
    )
    areas = {"hippocampus_right": 4, "amygdala_right": 2}
    (session,) = prepare_all([read_recording(path, data)], spec_of(data, brain={"kind": "linear", "latents": areas}))
    assert (session.animal, session.session) == ("4", "4")
    assert session.observation.shape[:2] == (90, 50)
    assert session.observation.dtype == np.uint8
    assert set(session.unit_area) == set(areas)
    with h5py.File(path) as file:
        ends = file["units/spike_times_index"][()]
        train = file["units/spike_times"][: ends[0]]
        event_s = file["intervals/encoding_table/boundary1_time"][5]
    expected = np.histogram(train, event_s - 1.0 + np.arange(51) * 0.05)[0]
    np.testing.assert_array_equal(session.observation[5, :, session.unit_id.index("0")], expected)


def test_mouse_with_an_empty_subject_and_a_column_of_its_own() -> None:
    (path,) = files("mouse_hd_nwb", "*.nwb")
    source = {"source": "units", "kind": "spikes", "area_column": "location"}
    data = data_spec(neural=[source], windows={"length_s": 2.0})
    recording = read_recording(path, data)
    assert recording.animal == "A8604-211122"  # no subject id and no session id: the file's name
    (session,) = prepare_all([recording], spec_of(data))
    assert session.unit_id == ["6", "191", "206"]
    assert session.unit_area == ["unknown"] * 3
    spikes = recording.neural[0].activity
    assert session.observation.sum() == pytest.approx(len(spikes.times_s), abs=50)  # the last half window is dropped
    with pytest.raises(DataError, match="area_column: one of location"):
        read_recording(path, data_spec(neural=[source | {"area_column": None, "area": "from_electrodes"}]))
