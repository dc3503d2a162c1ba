"""Law: bad values are found wherever they stand, and reported by object path and first index."""

from __future__ import annotations

import numpy as np
import pytest

from ncyber_cli.data import check_times
from ncyber_cli.data.check_times import check_counts, check_finite, check_spike_times, check_timestamps
from ncyber_cli.errors import DataError

ENDS = np.array([3, 3, 6])


@pytest.fixture(params=[2, 4, 1 << 22])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Every law holds at any chunk size: a fault may stand on the seam of two chunks."""
    monkeypatch.setattr(check_times, "_CHUNK", request.param)
    return int(request.param)


@pytest.mark.usefixtures("chunk")
def test_each_unit_starts_again() -> None:
    check_spike_times(np.array([1.0, 2.0, 2.0, 0.5, 0.7, 3.0]), ENDS, where="f:/units/spike_times")
    check_spike_times(np.array([]), np.array([], dtype=np.int64), where="f:/units/spike_times")


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("index", [1, 2, 4, 5])
def test_descending_spikes(index: int) -> None:
    times = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    times[index] = 0.1
    with pytest.raises(DataError, match=f"f:/units/spike_times: .* at index {index} .unit row {0 if index < 3 else 2}"):
        check_spike_times(times, ENDS, where="f:/units/spike_times")


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("index", range(6))
def test_not_finite_spikes(index: int, value: float) -> None:
    times = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    times[index] = value
    with pytest.raises(DataError, match=f"index {index} "):
        check_spike_times(times, ENDS, where="x")


def test_index_that_does_not_cut() -> None:
    for ends in ([2, 1, 6], [3, 5], [3, 7]):
        with pytest.raises(DataError, match="does not cut"):
            check_spike_times(np.arange(6.0), np.array(ends), where="x")


@pytest.mark.parametrize(("bad", "word"), [(1.0, "repeats"), (0.5, "descends"), (np.nan, "nan"), (np.inf, "inf")])
def test_timestamps(bad: float, word: str) -> None:
    with pytest.raises(DataError, match=f"f:/t: timestamp 2 .*{word}"):
        check_timestamps(np.array([0.0, 1.0, bad, 4.0]), where="f:/t")
    assert check_timestamps(np.array([0, 1, 2]), where="f:/t").dtype == np.float64


@pytest.mark.usefixtures("chunk")
def test_counts_are_whole_and_not_negative() -> None:
    check_counts(np.array([[0.0, np.nan], [3.0, 1.0]]), where="x")
    check_counts(np.array([[0, 200]], dtype=np.uint8), where="x")
    for bad in (-1.0, 0.5, np.inf):
        values = np.zeros((3, 2))
        values[1, 1] = bad
        with pytest.raises(DataError, match=r"at \[1, 1\]"):
            check_counts(values, where="x")


@pytest.mark.usefixtures("chunk")
def test_infinite_signals_are_refused_and_nan_is_missing() -> None:
    check_finite(np.array([[np.nan, 1.0]]), where="x")
    values = np.zeros((4, 2, 1))
    values[2, 1] = -np.inf
    with pytest.raises(DataError, match=r"at \[2, 1, 0\]"):
        check_finite(values, where="x")
