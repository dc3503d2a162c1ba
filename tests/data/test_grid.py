"""Law: an edge of the bins falls on the event, windows tile the recording, padding is at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ncyber_cli.data.grid import Grid, aligned_grid, recorded_span_s, trial_grid, window_grid
from ncyber_cli.data.recording import IntervalTable, NeuralStream, Sampled, SpikeTrains
from ncyber_cli.errors import DataError
from ncyber_cli.spec import Trials, Windows

EVENTS = IntervalTable(
    list("abcd"),
    {
        "start_time": np.array([0.0, 10.0, 20.0, 500.0]),
        "stop_time": np.array([1.0, 12.5, 20.05, 501.0]),
        "go": np.array([0.33, 10.7, np.nan, 500.4]),
        "outcome": np.array(["hit", "miss", "hit", "hit"]),
    },
)
SPAN = (0.0, 100.0)


def cut(**keys: Any) -> Grid:
    return trial_grid(EVENTS, Trials(**keys), 0.1, SPAN, where="file")


def test_start_to_stop_is_ragged_and_masked() -> None:
    grid = cut()
    assert grid.rows.tolist() == [0, 1]  # c is shorter than a bin, d lies outside the recording
    assert grid.n_bins.tolist() == [10, 25]
    assert grid.mask().sum(axis=1).tolist() == [10, 25]
    assert np.isnan(grid.centre_s()[0, 10:]).all()
    np.testing.assert_allclose(grid.centre_s()[1, :2], [10.05, 10.15])


def test_an_edge_falls_on_the_event() -> None:
    grid = cut(align="go")
    assert grid.rows.tolist() == [0, 1]
    bins_to_event = (grid.event_s - grid.start_s) / 0.1
    np.testing.assert_allclose(bins_to_event, np.round(bins_to_event), atol=1e-9)
    assert (grid.start_s >= EVENTS.columns["start_time"][:2] - 1e-9).all()
    assert (grid.stop_s <= EVENTS.columns["stop_time"][:2] + 1e-9).all()


def test_window_around_the_event() -> None:
    grid = cut(align="go", window_s=(-0.2, 0.5))
    np.testing.assert_allclose(grid.start_s, [0.13, 10.5])
    assert grid.n_bins.tolist() == [7, 7]
    assert grid.event_s.tolist() == [0.33, 10.7]


def test_where_and_what_is_left() -> None:
    assert cut(where="outcome == 'hit'").rows.tolist() == [0]
    assert cut(where="id == 'b'").rows.tolist() == [1]
    with pytest.raises(DataError, match="of 4, 0 are selected"):
        cut(where="outcome == 'none'")
    with pytest.raises(DataError, match="did you mean go"):
        cut(align="goo")
    with pytest.raises(DataError, match="no column of times 'outcome'"):
        cut(align="outcome")


@pytest.mark.parametrize(
    ("duration", "n_bins"), [(10.0, [20, 20, 20, 20, 20]), (9.0, [20] * 4 + [10]), (8.9, [20] * 4)]
)
def test_windows_tile_the_span(duration: float, n_bins: list[int]) -> None:
    grid = window_grid(Windows(length_s=2.0), 0.1, (3.0, 3.0 + duration), where="file")
    assert grid.n_bins.tolist() == n_bins
    np.testing.assert_allclose(grid.start_s, 3.0 + 2.0 * np.arange(len(n_bins)))


def test_recording_shorter_than_half_a_window() -> None:
    with pytest.raises(DataError, match=r"shorter windows.length_s"):
        window_grid(Windows(length_s=2.0), 0.1, (0.0, 0.9), where="file")


def streams(*activities: SpikeTrains | Sampled) -> list[NeuralStream]:
    return [NeuralStream(activity, [], []) for activity in activities]


def test_span_is_what_every_source_recorded() -> None:
    spikes = SpikeTrains(np.array([1.25, 9.0, 0.71]), np.array([2, 3]))
    assert recorded_span_s(streams(spikes), 0.5, where="file") == (0.5, 9.5)
    samples = Sampled(np.zeros((4, 1)), np.array([2.0, 3.0, 4.0, 5.0]))
    assert recorded_span_s(streams(samples), 1.0, where="file") == (1.5, 5.5)
    assert recorded_span_s(streams(spikes, samples), 0.5, where="file") == (1.75, 5.25)
    with pytest.raises(DataError, match="share no recorded time"):
        recorded_span_s(streams(SpikeTrains(np.array([]), np.array([0]))), 0.5, where="file")


def test_padding_of_aligned_arrays_is_what_no_unit_recorded() -> None:
    values = np.ones((3, 4, 2))
    values[0, 3] = np.nan  # padding
    values[1, 1] = np.nan  # a gap, not padding
    values[1, 3, 0] = np.nan  # one unit missing, not padding
    values[2] = np.nan  # nothing at all
    grid = aligned_grid(streams(Sampled(values, None)), 0.1, where="file")
    assert grid.rows.tolist() == [0, 1]
    assert grid.n_bins.tolist() == [3, 4]
    with pytest.raises(DataError, match="all 1 trials are empty"):
        aligned_grid(streams(Sampled(values[2:], None)), 0.1, where="file")
    with pytest.raises(DataError, match="differ in trials"):
        aligned_grid(streams(Sampled(values, None), Sampled(values[:2], None)), 0.1, where="file")
