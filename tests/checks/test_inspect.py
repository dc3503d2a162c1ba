"""`inspect` lists what is there, and the spec lines it offers do read the file."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from command_line import ROOT, ncyber

from ncyber_cli.checks.holdings import holdings
from ncyber_cli.checks.suggest import spec_lines
from ncyber_cli.data.read import read_recording
from ncyber_cli.data.recording import Recording, SpikeTrains
from ncyber_cli.data.write_nwb import NwbContents, NwbSeries, NwbTable, write_nwb
from ncyber_cli.spec_file import load_spec

REAL = Path(os.environ.get("NCYBER_REAL_DATA", ROOT.parent / "shared" / "data"))


def read_as_offered(path: Path, folder: Path) -> Recording:
    """Take the offered lines as a spec, and read the file by it."""
    spec = folder / "offered.yaml"
    spec.write_text("\n".join(["version: 1", *spec_lines(holdings(path))]))
    return read_recording(path, load_spec(spec).data)


@pytest.fixture
def nwb(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    start_s = np.arange(20) * 2.0
    hand = rng.normal(size=(4000, 2)).astype(np.float32)
    contents = NwbContents(
        identifier="monkey-1",
        description="a reaching monkey",
        animal="monkey",
        spikes=SpikeTrains(np.concatenate([np.sort(rng.uniform(0, 40, 50)) for _ in range(3)]), 50 * np.arange(1, 4)),
        unit_area=["M1", "M1", "PMd"],
        unit_columns=NwbTable({"quality": np.array(["good"] * 3)}, {"quality": "sorting"}),
        observed_s=np.array([[0.0, 40.0]]),
        trials=NwbTable(
            {"start_time": start_s, "stop_time": start_s + 1.5, "go_time": start_s + 0.5},
            {"start_time": "start", "stop_time": "stop", "go_time": "go"},
        ),
        behavior={
            "hand_pos": NwbSeries(hand, 100.0, "m", "hand", kind="position"),
            "hand_vel": NwbSeries(hand, 100.0, "m/s", "hand"),
            "external_force": NwbSeries(hand, 100.0, "N", "pushes"),
            "target_pos": NwbSeries(hand, 100.0, "m", "where to"),
        },
    )
    return write_nwb(contents, tmp_path / "monkey.nwb")


def test_nwb_objects_have_shapes_units_rates_and_columns(nwb: Path) -> None:
    (held,) = json.loads(ncyber("inspect", nwb, "--json").stdout)
    objects = {item["path"].rsplit("/", 1)[-1]: item for item in held["objects"]}
    assert (held["format"], held["animal"]) == ("NWB", "monkey")
    assert (objects["hand_pos"]["shape"], objects["hand_pos"]["unit"]) == ([4000, 2], "m")
    assert objects["hand_vel"]["rate_hz"] == pytest.approx(100, rel=1e-3)
    assert objects["units"]["shape"] == [3]
    assert "go_time" in objects["trials"]["columns"]


def test_the_lines_offered_for_nwb_read_it_and_never_offer_the_target(nwb: Path, tmp_path: Path) -> None:
    read = read_as_offered(nwb, tmp_path)
    assert set(read.behavior) == {"position", "velocity"}
    assert set(read.inputs) == {"external_force"}
    assert read.neural[0].area == ["M1", "M1", "PMd"]
    assert read.trials is not None
    assert "align: go_time" in "\n".join(spec_lines(holdings(nwb)))


def test_who_when_and_where_are_told_and_a_missing_subject_is_said_aloud(nwb: Path) -> None:
    (held,) = json.loads(ncyber("inspect", nwb, "--json").stdout)
    units = next(item for item in held["objects"] if item["type"] == "Units")
    assert units["areas"] == {"M1": 2, "PMd": 1}
    assert units["rate_hz"] == pytest.approx(50 / 40, rel=0.1)
    assert 0 <= units["span_s"][0] < 5 < 35 < units["span_s"][1] <= 40
    assert (held["session"], held["start"][:10], held["remarks"]) == ("monkey-1", "2026-01-01", [])
    with h5py.File(nwb, "r+") as file:
        del file["general/subject"]
        file["session_start_time"][()] = "1900-01-01T00:00:00+00:00"
    nobody, placeholder = holdings(nwb).remarks
    assert "called monkey-1, unless the spec says data: {animal_of: {monkey.nwb: NAME}}" in nobody
    assert "1900-01-01" in placeholder
    assert "animal_of: {monkey.nwb: monkey-1}" in "\n".join(spec_lines(holdings(nwb)))


def test_quality_reads_the_data_by_the_lines_offered(nwb: Path) -> None:
    with h5py.File(nwb, "r+") as file:
        file["units/spike_times"][50:100] = file["units/spike_times"][:50]
        file["processing/behavior/hand_vel/data"][100:300] = np.nan
    (held,) = json.loads(ncyber("inspect", nwb, "--json", "--quality").stdout)
    named = {finding["check"] for finding in held["quality"]}
    assert {"units_that_share_spikes", "signal_with_holes"} <= named


def test_metadata_of_ten_gigabytes_take_no_reading(tmp_path: Path) -> None:
    path = tmp_path / "large.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        group = file.create_group("acquisition/raw")
        group.attrs["neurodata_type"] = "ElectricalSeries"
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        create.set_fill_time(h5py.h5d.FILL_TIME_NEVER)  # a hole in the file, of no cost to the disk
        space = h5py.h5s.create_simple((5 * 10**7, 100))
        h5py.h5d.create(group.id, b"data", h5py.h5t.NATIVE_INT16, space, create)
        group["starting_time"] = 0.0
        group["starting_time"].attrs["rate"] = 30000.0
    assert path.stat().st_size >= 10**10
    began = time.perf_counter()
    (held,) = holdings(path).objects
    assert time.perf_counter() - began < 1.0
    assert held.shape == (5 * 10**7, 100)
    assert held.span_s == pytest.approx((0, 5e7 / 3e4), rel=1e-6)


def test_the_lines_offered_for_hdf5_read_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "worm.h5"
    with h5py.File(path, "w") as file:
        file["timing/time_confocal"] = 0.6 * np.arange(300)
        file["gcamp/trace"] = rng.normal(size=(300, 40))
        file["behavior/velocity"] = rng.normal(size=300)
        file["behavior/curvature"] = rng.normal(size=(300, 60))
        file["names"] = np.array([b"AVA", b"AVB"])
    read = read_as_offered(path, tmp_path)
    assert len(read.neural[0].unit_id) == 40
    assert set(read.behavior) == {"velocity"}


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("lfads_torch", ("train_encod_data", "train_recon_data", "valid_encod_data", "valid_recon_data")),
        ("nlb", ("train_spikes_heldin", "train_spikes_heldout", "eval_spikes_heldin", "eval_spikes_heldout")),
    ],
)
def test_the_lines_offered_for_benchmark_layouts_read_them(layout: str, names: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "benchmark.h5"
    with h5py.File(path, "w") as file:
        for name in names:
            file[name] = np.zeros((10, 20, 8 if "recon" in name else 5), dtype=np.uint8)
        file["train_behavior"] = np.ones((10, 20, 2))
    read = read_as_offered(path, tmp_path)
    assert f"layout: {layout}" in "\n".join(spec_lines(holdings(path)))
    assert read.neural[0].columns["heldout"].sum() == (3 if layout == "lfads_torch" else 5)
    assert read.behavior["behavior"].values.shape == (20, 20, 2)


def test_a_table_of_events_is_offered_as_trials(nwb: Path, tmp_path: Path) -> None:
    with h5py.File(nwb, "r+") as file:
        del file["intervals/trials"]
        table = file.create_group("events/reward")
        table.attrs["neurodata_type"], table.attrs["colnames"] = "EventsTable", ["timestamp", "size"]
        table["id"], table["timestamp"], table["size"] = [0, 1, 2], [2.0, 5.0, 9.0], [1, 2, 1]
    assert "  trials: {table: reward, align: start_time}" in spec_lines(holdings(nwb))
    read = read_as_offered(nwb, tmp_path)
    assert read.trials is not None
    assert read.trials.columns["start_time"].tolist() == [2.0, 5.0, 9.0]


def test_a_malformed_table_is_a_data_error(nwb: Path) -> None:
    with h5py.File(nwb, "r+") as file:
        del file["units/id"]
    for command in (("inspect", nwb), ("validate", ROOT / "example_configs" / "lorenz.yaml", nwb)):
        ended = ncyber(*command)
        assert ended.returncode == 4
        assert "has no column id of one number a row" in ended.stdout + ended.stderr


def test_what_is_all_nan_is_not_offered(nwb: Path) -> None:
    with h5py.File(nwb, "r+") as file:
        file["processing/behavior/hand_vel/data"][:] = np.nan
    lines = spec_lines(holdings(nwb))
    assert "  # hand_vel: all NaN" in lines
    assert not any("source: hand_vel" in line for line in lines)


def test_a_file_without_times_is_listed_with_the_question_left_open(tmp_path: Path) -> None:
    path = tmp_path / "plain.h5"
    with h5py.File(path, "w") as file:
        file["counts"] = np.zeros((10, 20, 30), dtype=np.uint8)
        file["flag"] = True
    ended = ncyber("inspect", path)
    assert ended.returncode == 0
    assert "10 x 20 x 30" in ended.stdout
    assert "name one, with axes and rate_hz" in ended.stdout


def test_links_are_not_followed_round_in_circles(tmp_path: Path) -> None:
    path = tmp_path / "loop.h5"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        file["a/b"] = h5py.SoftLink("/a")
        file["a/broken"] = h5py.SoftLink("/nowhere")
    assert holdings(path).objects == []


@pytest.mark.parametrize("name", ["missing.nwb", "text.nwb"])
def test_what_is_no_recording_exits_4(name: str, tmp_path: Path) -> None:
    (tmp_path / "text.nwb").write_text("hello")
    ended = ncyber("inspect", name, cwd=tmp_path)
    assert ended.returncode == 4
    assert ended.stderr.startswith(f"error: {name}: ")


@pytest.mark.real
@pytest.mark.parametrize("pattern", ["worm_whole_brain/*31-data.h5", "human_mtl_nwb/*.nwb", "mouse_hd_nwb/*.nwb"])
def test_the_lines_offered_for_a_lab_s_file_read_it(pattern: str, tmp_path: Path) -> None:
    files = sorted(REAL.glob(pattern))
    if not files:
        pytest.skip(f"{REAL / pattern} is not here; set NCYBER_REAL_DATA")
    assert read_as_offered(files[0], tmp_path).neural[0].unit_id
