"""Band power is the band's, causal, and missing where the filter has not settled."""

from __future__ import annotations

import numpy as np
import pytest

from ncyber_cli.data.band_power import with_band_power
from ncyber_cli.data.recording import NeuralStream, Sampled
from ncyber_cli.errors import DataError

RATE_HZ, BETA = 500.0, (13.0, 30.0)
TIME_S = np.arange(5000) / RATE_HZ


def potential() -> np.ndarray:
    """Channel 0: 20 Hz, ten times as strong from 5 s on; channel 1: the same at 60 Hz; both on an offset."""
    size = np.where(TIME_S < 5, 1.0, 10.0)
    return np.stack([size * np.sin(2 * np.pi * f * TIME_S) for f in (20.0, 60.0)], axis=1) + 100.0


def power(values: np.ndarray, time_s: np.ndarray = TIME_S, band_hz: tuple[float, float] = BETA) -> np.ndarray:
    stream = with_band_power(NeuralStream(Sampled(values, time_s), ["a", "b"], ["", ""]), band_hz, "file: lfp")
    assert isinstance(stream.activity, Sampled)
    return stream.activity.values


def test_it_is_the_log_power_in_the_band_and_little_of_what_lies_outside() -> None:
    found = power(potential())
    np.testing.assert_allclose(found[2000:2400, 0], np.log(0.5), atol=0.15)
    assert found[4500:, 0].mean() - found[2000:2400, 0].mean() == pytest.approx(np.log(100), abs=0.1)
    assert np.all(found[2000:2400, 1] < np.log(0.5) - 3)


def test_no_sample_knows_a_later_one() -> None:
    changed = potential()
    changed[3000:] = 7.0
    np.testing.assert_array_equal(power(changed)[:3000], power(potential())[:3000])


def test_after_a_gap_it_is_missing_until_the_filter_has_settled() -> None:
    settled = int(np.ceil(2 * RATE_HZ / BETA[0]))
    gap = potential()
    gap[1500:1510, 0] = np.nan
    found = power(gap)
    assert np.isnan(found[:settled]).all()
    assert np.isnan(found[1500 : 1510 + settled, 0]).all()
    assert np.isfinite(found[1510 + settled :, 0]).all()
    assert np.isfinite(found[settled:, 1]).all()
    jumped = power(potential(), np.where(np.arange(5000) < 1500, TIME_S, TIME_S + 1))
    np.testing.assert_array_equal(np.isnan(jumped[:, 0]), (np.arange(5000) % 1500 < settled) & (np.arange(5000) < 3000))


def test_a_band_that_the_sampling_cannot_hold_is_refused() -> None:
    with pytest.raises(DataError, match="sampled at 500 Hz, which holds nothing at 300 Hz"):
        power(potential(), band_hz=(70.0, 300.0))
    with pytest.raises(DataError, match="needs a continuous signal"):
        with_band_power(NeuralStream(Sampled(np.zeros((2, 5, 1)), None), ["a"], [""]), BETA, "file: lfp")
