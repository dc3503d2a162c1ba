"""Law: a bin that lies wholly in a unit's obs_intervals is counted, any other is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from laws import few, seeds
from nwb_files import data_spec, empty_file, save, spec_of

from ncyber_cli.data.grid import Grid
from ncyber_cli.data.observed import unobserved
from ncyber_cli.data.prepare import prepare
from ncyber_cli.data.read import read_recording
from ncyber_cli.data.recording import Session, SpikeTrains


def session_of(path: Path, intervals: list[list[list[float]]], **keys: object) -> Session:
    nwb = empty_file()
    for observed in intervals:
        nwb.add_unit(spike_times=np.arange(0.005, 10, 0.05), obs_intervals=np.array(observed).reshape(-1, 2))
    data = data_spec(bin_s=0.1, **keys)
    return prepare(read_recording(save(nwb, path / "file.nwb"), data), spec_of(data))


def test_what_was_not_recorded_is_missing_unit_by_unit(tmp_path: Path) -> None:
    half = [[0.0, 2.0], [2.0, 3.05]]  # touch; the second ends within a bin
    session = session_of(tmp_path, [half, [[0.0, 10.0]], half])
    counts = session.observation.reshape(100, 3)
    np.testing.assert_array_equal(counts[:30], 2)
    assert np.isnan(counts[30:, [0, 2]]).all()
    np.testing.assert_array_equal(counts[:, 1], 2)


def test_what_was_recorded_throughout_stays_in_small_integers(tmp_path: Path) -> None:
    assert session_of(tmp_path, [[[0.0, 10.0]], [[-5.0, 100.0]]]).observation.dtype == np.uint8


def test_rates_are_of_the_time_that_was_recorded(tmp_path: Path) -> None:
    session = session_of(tmp_path, [[[0.0, 3.0]], [[0.0, 10.0]]], units={"min_rate_hz": 19.0}, split={"test": 0.0})
    assert len(session.unit_id) == 2


@few
@given(seeds)
def test_equals_the_loop_over_bins_and_intervals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start_s = np.sort(rng.uniform(0, 10, 4))
    grid = Grid(0.25, start_s, rng.integers(1, 9, 4), start_s, np.arange(4))
    opens_s = rng.uniform(-1, 11, 5)
    observed_s = np.stack([opens_s, opens_s + rng.uniform(0, 4, 5)], axis=1)
    trains = SpikeTrains(np.zeros(0), np.zeros(1, np.int64), [observed_s])
    missing = np.zeros((4, grid.n_time), np.bool_)
    for _, bins in unobserved(trains, np.array([0]), grid):
        missing |= bins
    moments = np.linspace(0, 0.25, 200)
    for trial in range(4):
        for place in range(grid.n_bins[trial]):
            times_s = start_s[trial] + 0.25 * place + moments
            seen = ((times_s[:, None] >= observed_s[:, 0]) & (times_s[:, None] <= observed_s[:, 1])).any(axis=1)
            assert missing[trial, place] == (not seen.all())
    assert not missing[~grid.mask()].any()
