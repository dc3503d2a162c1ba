"""Sources of several kinds share one session: each unit keeps its kind, and a file may lack a source."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from nwb_files import add_calcium, add_lfp, add_units, data_spec, empty_file, save, spec_of

from ncyber_cli.data.prepare import brought_together, prepare
from ncyber_cli.data.read import read_recording
from ncyber_cli.data.recording import Session
from ncyber_cli.errors import DataError
from ncyber_cli.spec import Data

TRAINS = [np.arange(0.01, 10, 0.1), np.arange(0.05, 10, 0.5)]
TRACES = np.random.default_rng(0).normal(size=(100, 3))
SPIKES = {"source": "units", "kind": "spikes", "area": "M1", "where": "quality == 'good'"}
CALCIUM = {"source": "dff", "kind": "calcium", "area": "V1"}


def nwb(path: Path, *, calcium: bool = True, units: bool = True) -> Path:
    made = empty_file()
    if units:
        add_units(made, TRAINS, quality=["good", "bad"])
    if calcium:
        add_calcium(made, TRACES, "V1", 0.05 + 0.1 * np.arange(100))
    return save(made, path / "file.nwb")


def session_of(path: Path, data: Data) -> Session:
    return prepare(read_recording(path, data), spec_of(data))


def both(**keys: object) -> Data:
    return data_spec(neural=[SPIKES, CALCIUM], bin_s=0.1, **keys)


def test_counts_beside_traces_on_the_same_bins(tmp_path: Path) -> None:
    session = session_of(nwb(tmp_path), both(units={"min_rate_hz": 0.5}))
    assert session.unit_kind == ["spikes"] + ["calcium"] * 3
    assert session.unit_area == ["M1"] + ["V1"] * 3
    assert session.observation.dtype == np.float32
    np.testing.assert_array_equal(session.observation[..., 0], 1)
    np.testing.assert_allclose(session.observation[..., 1:].reshape(-1, 3), TRACES, rtol=1e-6)


def test_a_fraction_holds_out_units_of_every_kind(tmp_path: Path) -> None:
    data = data_spec(neural=[SPIKES | {"where": None}, CALCIUM], bin_s=0.1, held_out={"fraction": 0.34})
    session = session_of(nwb(tmp_path), data)
    kinds = [kind for kind, held in zip(session.unit_kind, session.held_out, strict=True) if held]
    assert sorted(kinds) == ["calcium", "spikes"]


@pytest.mark.parametrize("lacking", ["units", "dff"])
def test_a_file_may_lack_a_source_but_not_every_file(tmp_path: Path, lacking: str) -> None:
    session = session_of(nwb(tmp_path, calcium=lacking != "dff", units=lacking != "units"), both())
    assert list(session.absent) == [lacking]
    assert len(session.unit_id) == (1 if lacking == "dff" else 3)
    with pytest.raises(DataError, match=f"there is no series '{lacking}'"):
        brought_together([session], spec_of(both()))
    (tmp_path / "other").mkdir()
    whole = session_of(nwb(tmp_path / "other"), both())
    brought_together([session, whole], spec_of(both()))


def test_a_file_without_any_source_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no series 'units'"):
        read_recording(nwb(tmp_path, calcium=False, units=False), both())


def test_plain_hdf5_may_lack_the_source_whose_times_others_share(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["dff"], file["time"] = TRACES, 0.1 * np.arange(100)
    first = {"source": "counts", "kind": "spikes", "rate_hz": 10.0}
    data = data_spec(neural=[first, {"source": "dff", "kind": "calcium", "time": "time"}], bin_s=0.1)
    session = session_of(tmp_path / "file.h5", data)
    assert list(session.absent) == ["counts"]
    assert session.unit_kind == ["calcium"] * 3


def test_one_potential_in_two_bands(tmp_path: Path) -> None:
    made = empty_file()
    add_lfp(made, np.random.default_rng(1).normal(size=(2000, 2)), ["V1", "S1"])
    path = save(made, tmp_path / "file.nwb")
    bands = [
        {"source": "lfp", "kind": "lfp", "area": "from_electrodes", "band_hz": band} for band in ([4, 8], [13, 30])
    ]
    session = session_of(path, data_spec(neural=bands))
    assert len(set(session.unit_id)) == 4
    assert session.unit_id[2] == "lfp 13-30 Hz:0"
    assert np.isfinite(session.observation[1:]).all()
