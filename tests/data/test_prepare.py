"""Law: from a file to bins without a change of the data; nothing in one session depends on test data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from nwb_files import add_position, add_trials, add_units, data_spec, empty_file, save, spec_of

from ncyber_cli.data.prepare import context_labels, labels_in, prepare, prepare_all
from ncyber_cli.data.read import read_recording
from ncyber_cli.data.recording import TEST, TRAIN, Recording, Sampled, Session, SpikeTrains
from ncyber_cli.errors import DataError
from ncyber_cli.spec import Data

TRIALS = {"table": "trials", "align": "go_time", "window_s": [-0.2, 0.6]}


def nwb_file(folder: Path, name: str = "one", seed: int = 0, n_trial: int = 20, **names: str) -> Path:
    generator = np.random.default_rng(seed)
    nwb = empty_file(**{"subject_id": name, "session_id": "day-1", **names})
    trains = [np.sort(generator.uniform(0, n_trial, n)) for n in (400, 40, 900)]
    add_units(nwb, trains, ["M1", "PMd", "M1"], quality=["good", "bad", "good"])
    start = np.arange(n_trial, dtype=float)
    words = ["near", "far"] if seed == 0 else ["near", "wide"]
    add_trials(nwb, start, start + 0.9, go_time=start + 0.3, task=[words[i % 2] for i in range(n_trial)])
    add_position(nwb, generator.normal(size=(n_trial * 100, 2)))
    return save(nwb, folder / f"{name}.nwb")


def session_of(path: Path, data: Data, **model: Any) -> Session:
    return prepare(read_recording(path, data), spec_of(data, **model))


def test_reach_session(tmp_path: Path) -> None:
    data = data_spec(
        trials=TRIALS,
        neural=[{"source": "units", "kind": "spikes", "area": "from_electrodes"}],
        behavior={"position": {"source": "hand_pos", "unit": "m"}},
        inputs={"go": {"kind": "cue", "column": "go_time"}},
        units={"where": "quality == 'good'"},
        held_out={"fraction": 0.5},
    )
    closed = {"body": {"kind": "point_mass"}, "controller": {"kind": "setpoint"}}
    session = session_of(nwb_file(tmp_path), data, brain={"kind": "residual_mlp", "latents": {"M1": 4}}, **closed)
    assert session.observation.shape == (20, 40, 2)
    assert session.observation.dtype == np.uint8
    assert session.unit_id == ["100", "102"]
    assert session.unit_area == ["M1", "M1"]
    assert session.held_out.sum() == 1
    assert session.mask.all()
    assert session.body.shape == (20, 40, 4)
    assert session.input_names == ["go"]
    assert (session.input[:, 10:, 0] == 1).all()
    assert not session.input[:, :10].any()
    assert np.bincount(session.split).tolist() == [14, 2, 4]
    np.testing.assert_allclose(session.time_s[:, 10] - session.event_s, 0.01)
    assert session.trials is not None
    assert session.trial_id == session.trials.id


def test_counts_are_the_spikes_of_the_windows(tmp_path: Path) -> None:
    path = nwb_file(tmp_path)
    session = session_of(path, data_spec(trials=TRIALS))
    with h5py.File(path) as file:
        times, ends = file["units/spike_times"][()], file["units/spike_times_index"][()]
    for unit, train in enumerate(np.split(times, ends[:-1])):
        for trial, event in enumerate(session.event_s):
            expected = ((train >= event - 0.2) & (train < event + 0.6)).sum()
            assert session.observation[trial, :, unit].sum() == expected


def test_windows_hold_every_spike_once(tmp_path: Path) -> None:
    session = session_of(nwb_file(tmp_path), data_spec(windows={"length_s": 0.8}))
    assert session.observation.sum() == 400 + 40 + 900
    assert session.observation.flags.owndata
    starts = session.time_s[:, 0]
    np.testing.assert_allclose(np.diff(starts), 0.8)


def test_ragged_trials_are_zero_outside_the_mask(tmp_path: Path) -> None:
    data = data_spec(trials={"table": "trials", "align": "go_time"}, behavior={"position": {"source": "hand_pos"}})
    recording = read_recording(nwb_file(tmp_path), data)
    assert recording.trials is not None
    recording.trials.columns["stop_time"][3] -= 0.5
    session = prepare(recording, spec_of(data))
    assert session.mask.sum(axis=1).tolist() == [45] * 3 + [20] + [45] * 16
    outside = ~session.mask
    assert not session.observation[outside].any()
    assert not session.body[outside].any()
    assert np.isnan(session.time_s[outside]).all()


def test_test_trials_decide_nothing(tmp_path: Path) -> None:
    data = data_spec(trials=TRIALS, units={"min_rate_hz": 3.0}, held_out={"fraction": 0.3})
    recording = read_recording(nwb_file(tmp_path), data)
    before = prepare(recording, spec_of(data))
    spikes = recording.neural[0].activity
    assert isinstance(spikes, SpikeTrains)
    burst = np.concatenate([np.linspace(e - 0.1, e + 0.5, 50) for e in before.event_s[before.split == TEST]])
    trains = np.split(spikes.times_s, spikes.ends[:-1])
    trains[1] = np.sort(np.concatenate([trains[1], burst]))  # the slow unit fires hard, in test trials only
    busier = SpikeTrains(np.concatenate(trains), np.cumsum([len(train) for train in trains]))
    after = prepare(replace(recording, neural=[replace(recording.neural[0], activity=busier)]), spec_of(data))
    assert after.unit_id == before.unit_id
    assert "101" not in after.unit_id
    np.testing.assert_array_equal(after.held_out, before.held_out)
    np.testing.assert_array_equal(after.split, before.split)


def test_areas_must_be_known(tmp_path: Path) -> None:
    data = data_spec(trials=TRIALS, neural=[{"source": "units", "kind": "spikes", "area": "from_electrodes"}])
    path = nwb_file(tmp_path)
    assert session_of(path, data, brain={"kind": "residual_mlp", "latents": {"M1": 2, "PMd": 2}}).unit_area == [
        "M1",
        "PMd",
        "M1",
    ]
    with pytest.raises(DataError, match=r"'PMd'.*there is: M1; units columns: quality"):
        session_of(path, data, brain={"kind": "residual_mlp", "latents": {"M1": 2}})


def test_context_labels_agree_over_sessions(tmp_path: Path) -> None:
    data = data_spec(trials=TRIALS, inputs={"task": {"kind": "context", "column": "task"}})
    spec = spec_of(data)
    recordings = [read_recording(nwb_file(tmp_path, name, seed), data) for seed, name in enumerate(("one", "two"))]
    names = ["task=far", "task=near", "task=wide"]
    sessions = prepare_all(recordings, spec)
    assert [session.input_names for session in sessions] == [names, names]
    assert labels_in(names, spec) == context_labels(recordings, spec)
    later = prepare_all(recordings[1:], spec, labels_in(names, spec))
    assert later[0].input_names == names
    np.testing.assert_array_equal(later[0].input, sessions[1].input)
    with pytest.raises(DataError, match="label 'wide' is new"):
        prepare_all(recordings[1:], spec, {"task": ["far", "near"]})


def test_split_does_not_depend_on_the_other_sessions(tmp_path: Path) -> None:
    data = data_spec(trials=TRIALS, held_out={"fraction": 0.4})
    recordings = [read_recording(nwb_file(tmp_path, name, seed), data) for seed, name in enumerate(("one", "two"))]
    together = prepare_all(recordings, spec_of(data))
    alone = prepare_all(recordings[1:], spec_of(data))
    np.testing.assert_array_equal(together[1].split, alone[0].split)
    np.testing.assert_array_equal(together[1].held_out, alone[0].held_out)


def test_sessions_are_told_apart_and_no_file_comes_twice(tmp_path: Path) -> None:
    data = data_spec(trials=TRIALS)
    paths = [nwb_file(tmp_path, name, seed, subject_id="mouse") for seed, name in enumerate(("one", "two"))]
    recordings = [read_recording(path, data) for path in paths]
    assert [s.session for s in prepare_all(recordings, spec_of(data))] == ["day-1_one", "day-1_two"]
    with pytest.raises(DataError, match="given twice"):
        prepare_all([recordings[0], recordings[0]], spec_of(data))


def test_sessions_that_disagree_are_refused(tmp_path: Path) -> None:
    data = data_spec(trials=TRIALS, behavior={"position": {"source": "hand_pos"}})
    recordings = [read_recording(nwb_file(tmp_path, name, seed), data) for seed, name in enumerate(("one", "two"))]
    flat = recordings[1].behavior["position"]
    recordings[1] = replace(recordings[1], behavior={"position": Sampled(flat.values[:, :1], flat.time_s)})
    with pytest.raises(DataError, match=r"two.nwb: has behavior \['position_0'\], one.nwb has"):
        prepare_all(recordings, spec_of(data))


def test_held_out_ids_must_exist_somewhere(tmp_path: Path) -> None:
    recordings: list[Recording] = []
    for name, held in (("one", "100"), ("two", "999")):
        data = data_spec(trials=TRIALS, held_out={"units": [held]})
        recordings = [read_recording(nwb_file(tmp_path, name), data)]
        if held == "100":
            assert prepare_all(recordings, spec_of(data))[0].held_out.tolist() == [True, False, False]
        else:
            with pytest.raises(DataError, match="no session has unit '999'"):
                prepare_all(recordings, spec_of(data))


def hdf5(folder: Path, **datasets: Any) -> Path:
    with h5py.File(folder / "file.h5", "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return folder / "file.h5"


def test_trial_aligned_counts_are_taken_as_they_are(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(1.0, (12, 8, 5))
    hand = np.random.default_rng(1).normal(size=(12, 8, 2))
    path = hdf5(tmp_path, y=counts, hand=hand, heldout=[0, 0, 1, 1, 0])
    axes = ["trial", "time", "unit"]
    data = data_spec(
        neural=[{"source": "y", "kind": "spikes", "axes": axes}],
        behavior={"position": {"source": "hand", "axes": ["trial", "time", "feature"]}},
        held_out={"column": "heldout"},
    )
    session = session_of(path, data)
    np.testing.assert_array_equal(session.observation, counts)
    assert session.observation.dtype == np.uint8
    np.testing.assert_allclose(session.body, hand, rtol=1e-6)
    np.testing.assert_allclose(session.time_s[4], (np.arange(8) + 0.5) * 0.02)
    assert session.held_out.tolist() == [False, False, True, True, False]
    assert session.trials is None


def test_padded_trials_stay_integers_and_gaps_make_floats(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(1.0, (4, 6, 3)).astype(float)
    counts[1, 4:] = np.nan
    source = {"source": "y", "kind": "spikes", "axes": ["trial", "time", "unit"]}
    padded = session_of(hdf5(tmp_path, y=counts), data_spec(neural=[source]))
    assert padded.observation.dtype == np.uint8
    assert padded.mask[1].tolist() == [True] * 4 + [False] * 2
    counts[0, 2, 1] = np.nan
    gap = session_of(hdf5(tmp_path, y=counts), data_spec(neural=[source]))
    assert gap.observation.dtype == np.float32
    assert np.isnan(gap.observation).sum() == 1
    assert not gap.observation[1, 4:].any()


def test_continuous_counts_are_the_same_bins(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(40.0, (200, 3))
    counts[7, 1] = 300
    for extra in ({}, {"rate_hz": 50.0}):
        session = session_of(hdf5(tmp_path, y=counts), data_spec(neural=[{"source": "y", "kind": "spikes", **extra}]))
        assert session.observation.dtype == np.uint16
        np.testing.assert_array_equal(session.observation.reshape(200, 3), counts)
    coarse = session_of(
        hdf5(tmp_path, y=counts), data_spec(neural=[{"source": "y", "kind": "spikes", "rate_hz": 100.0}])
    )
    np.testing.assert_array_equal(coarse.observation.reshape(100, 3), counts.reshape(100, 2, 3).sum(axis=1))


def test_calcium_keeps_missing_values(tmp_path: Path) -> None:
    traces = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    traces[10:12, 2] = np.nan
    data = data_spec(bin_s=0.5, windows={"length_s": 10.0}, neural=[{"source": "y", "kind": "calcium", "rate_hz": 2.0}])
    session = session_of(hdf5(tmp_path, y=traces), data)
    np.testing.assert_array_equal(session.observation.reshape(100, 4), traces)
    assert session.observation.dtype == np.float32
    assert (session.split == TRAIN).sum() == 3
