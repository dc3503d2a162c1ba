"""Law: resampling equals its sentence, looped; and no bin depends on a sample after its end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import few, seeds
from numpy.typing import NDArray

from ncyber_cli.data.grid import SLACK, Grid
from ncyber_cli.data.recording import Sampled
from ncyber_cli.data.resample import binned, causal_difference, resampled
from ncyber_cli.errors import DataError

RATES_HZ = [3.0, 9.0, 10.0, 11.0, 95.0]  # sparser than, about as dense as, and denser than the 10 Hz bins


def grid_of(start_s: list[float], n_bins: list[int], bin_s: float = 0.1) -> Grid:
    start = np.array(start_s)
    return Grid(bin_s, start, np.array(n_bins), start, np.arange(len(start)))


def jittered(rate_hz: float, duration_s: float = 6.0) -> Sampled:
    generator = np.random.default_rng(0)
    time_s = (
        np.arange(round(rate_hz * duration_s)) + generator.uniform(-0.2, 0.2, round(rate_hz * duration_s))
    ) / rate_hz
    values = generator.normal(size=(len(time_s), 2))
    values[generator.random(values.shape) < 0.1] = np.nan
    keep = (time_s < 2.0) | (time_s > 3.5)  # a gap
    return Sampled(values[keep], time_s[keep])


def slow(signal: Sampled, start_s: float, n_bins: int, bin_s: float) -> NDArray[np.float64]:
    assert signal.time_s is not None
    period_s = np.median(np.diff(signal.time_s))
    out = np.full((n_bins, signal.values.shape[1]), np.nan)
    for j in range(n_bins):
        start, end = start_s + j * bin_s, start_s + (j + 1) * bin_s
        inside = (signal.time_s >= start) & (signal.time_s < end)
        before = np.flatnonzero((signal.time_s >= start_s) & (signal.time_s < end))
        for k in range(out.shape[1]):
            valid = signal.values[inside, k][~np.isnan(signal.values[inside, k])]
            if inside.any():
                out[j, k] = valid.mean() if valid.size else np.nan
            elif before.size and end - signal.time_s[before[-1]] <= 2 * period_s:
                out[j, k] = signal.values[before[-1], k]
    return out


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_equals_the_loop(rate_hz: float) -> None:
    signal = jittered(rate_hz)
    grid = grid_of([-0.53, 0.0, 1.72, 5.0], [20, 30, 25, 30])
    blocks = list(resampled(signal, grid, counts=False, where="x"))
    for start, n_bins, block in zip(grid.start_s, grid.n_bins, blocks, strict=True):
        np.testing.assert_allclose(block, slow(signal, start, n_bins, 0.1), atol=1e-12)
    out = binned(signal, grid, where="x")
    assert out.dtype == np.float32
    assert not out[~grid.mask()].any()


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("velocity", [False, True])
def test_no_bin_depends_on_samples_after_its_end(rate_hz: float, velocity: bool) -> None:
    signal = jittered(rate_hz)
    assert signal.time_s is not None
    grid = grid_of([0.3], [50])
    for last_bin in range(0, 50, 7):
        future = signal.time_s >= grid.start_s[0] + (last_bin + 1) * grid.bin_s
        changed = Sampled(np.where(future[:, None], 1e6, signal.values), signal.time_s)
        pair = [causal_difference(s, 0.1) if velocity else s for s in (signal, changed)]
        before, after = (binned(s, grid, where="x")[0, : last_bin + 1] for s in pair)
        np.testing.assert_array_equal(before, after)


def test_missing_outside_the_recorded_time_and_in_long_gaps() -> None:
    time_s = np.concatenate([np.arange(0, 1, 0.1), np.arange(2, 3, 0.1)])
    out = binned(Sampled(np.ones((20, 1)), time_s), grid_of([-1.0], [50]), where="x")[0, :, 0]
    missing = np.isnan(out)
    assert missing[:10].all()
    assert not missing[10:21].any()  # the last sample is held for one more bin
    assert missing[21:30].all()
    assert not missing[30:40].any()
    assert missing[41:].all()


def test_one_dropped_sample_is_bridged() -> None:
    time_s = np.delete(np.arange(20) * 0.1 + 0.05, 7)
    values = np.delete(np.arange(20.0), 7)[:, None]
    out = binned(Sampled(values, time_s), grid_of([0.0], [20]), where="x")[0, :, 0]
    assert out.tolist() == [0, 1, 2, 3, 4, 5, 6, 6, *range(8, 20)]


def test_counts_are_summed_and_partial_bins_are_missing() -> None:
    counts = Sampled(np.ones((10, 1), dtype=np.uint8), (np.arange(10) + 0.5) * 0.05)
    (block,) = resampled(counts, grid_of([-0.1], [7]), counts=True, where="x")
    np.testing.assert_array_equal(block[:, 0], [np.nan, 2, 2, 2, 2, 2, np.nan])


@pytest.mark.parametrize("period_s", [0.2, 0.07])
def test_counts_that_do_not_fill_a_bin_are_refused(period_s: float) -> None:
    counts = Sampled(np.ones((10, 1)), np.arange(10) * period_s)
    with pytest.raises(DataError, match=f"bin_s: {period_s:g} or a multiple"):
        list(resampled(counts, grid_of([0.0], [3]), counts=True, where="x"))


def test_aligned_signals_are_taken_as_they_are() -> None:
    values = np.random.default_rng(0).normal(size=(3, 5, 2))
    grid = Grid(0.1, np.zeros(2), np.array([5, 3]), np.zeros(2), np.array([0, 2]))
    out = binned(Sampled(values, None), grid, where="x")
    np.testing.assert_allclose(out[0], values[0], rtol=1e-6)
    np.testing.assert_allclose(out[1, :3], values[2, :3], rtol=1e-6)
    assert not out[1, 3:].any()
    with pytest.raises(DataError, match="same trials and bins"):
        binned(Sampled(values[:2], None), grid, where="x")


@few
@given(seed=seeds, log_bin=st.floats(-2, -0.5), log_period=st.floats(-2.5, -0.3), offset=st.floats(0, 1))
def test_a_sample_speaks_in_its_own_trial_alone(seed: int, log_bin: float, log_period: float, offset: float) -> None:
    """At any rate, bin, gap and offset: values of another trial are changed, and no bin of this one is."""
    rng = np.random.default_rng(seed)
    bin_s, period_s = 10**log_bin, 10**log_period
    time_s = np.arange(0, 12, period_s) + offset * period_s
    time_s = time_s[rng.uniform(size=len(time_s)) > 0.2]
    position = Sampled(rng.normal(size=(len(time_s), 2)), time_s)
    n_bins = rng.integers(1, max(2, int(2 / bin_s)), size=5)
    start_s = offset + np.concatenate([[0], np.cumsum(n_bins * bin_s + rng.choice([0.0, 0.3], 5))[:-1]])
    grid = Grid(bin_s, start_s, n_bins, start_s, np.arange(5))
    trial = int(rng.integers(5))
    slack = SLACK * bin_s
    inside = (time_s >= start_s[trial] - slack) & (time_s < grid.stop_s[trial] - slack)
    other = Sampled(np.where(inside[:, None], position.values, 1e6), time_s)
    for made in (lambda s: s, lambda s: causal_difference(s, bin_s, grid.start_s)):
        one, two = (binned(made(signal), grid, where="x")[trial] for signal in (position, other))
        np.testing.assert_array_equal(one, two)


def test_velocity_of_a_line_is_its_slope() -> None:
    time_s = np.cumsum(np.random.default_rng(0).uniform(0.9, 1.1, 50)) * 0.01
    velocity = causal_difference(Sampled(np.stack([3 * time_s, -time_s], axis=1), time_s), 0.02)
    assert np.isnan(velocity.values[0]).all()
    np.testing.assert_allclose(velocity.values[1:], np.tile([3.0, -1.0], (49, 1)))
    aligned = causal_difference(Sampled(np.arange(10.0).reshape(1, 10, 1) * 0.02 * 5, None), 0.02)
    assert np.isnan(aligned.values[0, 0, 0])
    np.testing.assert_allclose(aligned.values[0, 1:, 0], 5.0)


def test_no_velocity_across_a_gap() -> None:
    time_s = np.array([0.0, 0.1, 0.2, 0.9, 1.0])
    velocity = causal_difference(Sampled(time_s[:, None], time_s), 0.1).values[:, 0]
    assert np.isnan(velocity).tolist() == [True, False, False, True, False]
