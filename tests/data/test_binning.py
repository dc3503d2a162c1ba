"""Law: counts equal those of a loop over spikes, trials and bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import few
from numpy.typing import NDArray

from ncyber_cli.data.binning import count_dtype, count_spikes, spike_rates_hz, unit_spikes
from ncyber_cli.data.grid import SLACK, Grid
from ncyber_cli.data.observation import observe
from ncyber_cli.data.recording import NeuralStream, SpikeTrains
from ncyber_cli.spec import NeuralSource


def grid_of(start_s: list[float], n_bins: list[int], bin_s: float = 0.25) -> Grid:
    start = np.array(start_s)
    return Grid(bin_s, start, np.array(n_bins), start, np.arange(len(start)))


def slow_counts(trains: SpikeTrains, grid: Grid) -> NDArray[np.int64]:
    counts = np.zeros((grid.n_trial, grid.n_time, len(trains.ends)), dtype=np.int64)
    for unit in range(len(trains.ends)):
        for time in unit_spikes(trains, unit):
            for trial in range(grid.n_trial):
                for j in range(grid.n_bins[trial]):
                    start = grid.start_s[trial] + j * grid.bin_s
                    counts[trial, j, unit] += start <= time < start + grid.bin_s
    return counts


def random_trains(n_unit: int = 5, n_spike: int = 80, seed: int = 0) -> SpikeTrains:
    generator = np.random.default_rng(seed)
    sizes = generator.integers(0, n_spike, n_unit)
    sizes[1] = 0
    return SpikeTrains(np.concatenate([np.sort(generator.uniform(-1, 12, n)) for n in sizes]), np.cumsum(sizes))


def test_equals_the_loop() -> None:
    trains = random_trains()
    grid = grid_of([0.0, 1.0, 0.6, 8.0], [4, 10, 7, 30])  # out of order, overlapping, ragged, past the end
    units = np.array([0, 1, 3, 4])
    beside = np.zeros((4, 30, 6), dtype=count_dtype(trains, units, grid))
    count_spikes(trains, units, grid, beside[..., 1:5])  # as one of several sources
    np.testing.assert_array_equal(beside[..., 1:5], slow_counts(trains, grid)[..., units])
    assert not beside[..., [0, 5]].any()


@st.composite
def recorded(draw: st.DrawFn) -> tuple[SpikeTrains, Grid, list[int]]:
    """Trains, some with obs_intervals; trials of any bin and offset, some with a gap between; which are observed."""
    bin_s = 10 ** draw(st.floats(-3, 0.5))
    n_bins = draw(st.lists(st.integers(1, 12), min_size=1, max_size=6))
    gap_s = [draw(st.sampled_from([0.0, 0.0, 0.3])) * bin_s * draw(st.integers(1, 9)) for _ in n_bins]
    begins = np.concatenate([[0.0], np.cumsum(np.array(n_bins) * bin_s + gap_s)])
    start_s = draw(st.floats(-2, 2)) + begins[:-1]
    times = st.floats(start_s[0] - 5 * bin_s, start_s[0] + begins[-1] + 5 * bin_s)
    trains = draw(st.lists(st.lists(times, max_size=40).map(sorted), min_size=1, max_size=4))
    grid = grid_of(start_s.tolist(), n_bins, bin_s)
    whole = sorted(draw(st.sets(st.sampled_from(range(len(n_bins))))))  # trials in which the units were observed
    observed_s = np.stack([grid.start_s, grid.stop_s], axis=1)[whole]
    watched = [observed_s if whole else np.zeros((0, 2))] * len(trains)
    ends = np.cumsum([len(train) for train in trains])
    spikes = SpikeTrains(np.array([time for train in trains for time in train], np.float64), ends, watched)
    return spikes, grid, whole or list(range(len(n_bins)))


@few
@given(recorded())
def test_every_spike_is_counted_once_at_any_bin_offset_and_gap(drawn: tuple[SpikeTrains, Grid, list[int]]) -> None:
    """Bins partition a trial: what lies between its edges is in exactly one of them, unless it was not observed."""
    trains, grid, observed = drawn
    units = np.arange(len(trains.ends))
    stream = NeuralStream(trains, [str(unit) for unit in units], ["M1"] * len(units))
    counts = observe([stream], [NeuralSource(source="units", kind="spikes")], [units], grid, "x")
    assert not counts[~grid.mask()].any()
    missing = np.isnan(counts).all(axis=2) & grid.mask()
    np.testing.assert_array_equal(missing.any(axis=1), ~np.isin(np.arange(grid.n_trial), observed))
    start_s, stop_s = grid.start_s - SLACK * grid.bin_s, grid.stop_s - SLACK * grid.bin_s
    for unit in units:
        times_s = unit_spikes(trains, int(unit))[:, None]
        inside = ((times_s >= start_s) & (times_s < stop_s)).sum(axis=0)
        np.testing.assert_array_equal(counts[observed, :, unit].sum(axis=1), inside[observed])


def test_spikes_on_edges_belong_to_the_bin_they_open() -> None:
    bin_s = 0.1  # 3 * 0.1 > 0.3 in floating point: rounding must not decide
    trains = SpikeTrains(np.arange(10) / 10, np.array([10]))
    out = np.zeros((1, 10, 1), dtype=np.uint8)
    count_spikes(trains, np.array([0]), grid_of([0.0], [10], bin_s), out)
    assert out.ravel().tolist() == [1] * 10


@pytest.mark.parametrize(("n_spike", "dtype"), [(255, np.uint8), (256, np.uint16), (70000, np.uint32)])
def test_smallest_type_that_holds_the_peak(n_spike: int, dtype: type) -> None:
    trains = SpikeTrains(np.sort(np.random.default_rng(0).uniform(0.0, 0.25, n_spike)), np.array([n_spike]))
    grid = grid_of([0.0], [4])
    found = count_dtype(trains, np.array([0]), grid)
    assert found == dtype
    out = np.zeros((1, 4, 1), dtype=found)
    count_spikes(trains, np.array([0]), grid, out)
    assert out.ravel().tolist() == [n_spike, 0, 0, 0]


def test_rates_are_over_the_grids_bins() -> None:
    trains = random_trains()
    grid = grid_of([0.0, 1.0, 8.0], [4, 10, 12])
    expected = slow_counts(trains, grid).sum(axis=(0, 1)) / (26 * 0.25)
    np.testing.assert_allclose(spike_rates_hz(trains, grid), expected)
