import numpy as np
import pytest

from ncyber_cli.outputs.metrics import bin_at, forecast_r2, objective_r2_by_time, r2

BIN_S = 0.02


def centres(trials: int, bins: int) -> np.ndarray:
    """Bin k of trial i spans 10 i + [0.02 k, 0.02 (k + 1)]."""
    return 10.0 * np.arange(trials)[:, None] + BIN_S * np.arange(bins) + BIN_S / 2


def test_the_bin_at_an_offset_is_the_last_that_has_ended_by_then() -> None:
    time_s, mask = centres(3, 20), np.ones((3, 20), bool)
    event_s = 10.0 * np.arange(3) + np.array([0.1, 0.11, 0.119])
    # by event + 0.1 s = 0.2, 0.21, 0.219 the bin [0.18, 0.2] has ended and [0.2, 0.22] has not
    assert bin_at(time_s, event_s, 0.1, bin_s=BIN_S, mask=mask).tolist() == [9, 9, 9]
    assert bin_at(time_s, event_s, 0.101, bin_s=BIN_S, mask=mask).tolist() == [9, 9, 10]


def test_every_offset_on_the_grid_finds_its_bin_despite_rounding() -> None:
    time_s, mask = centres(1, 500), np.ones((1, 500), bool)
    for bins in range(1, 500):
        assert bin_at(time_s, np.zeros(1), 0.02 * bins, bin_s=BIN_S, mask=mask).tolist() == [bins - 1]


def test_there_is_no_bin_before_a_trial_after_it_or_without_the_event() -> None:
    time_s, mask = centres(4, 20), np.ones((4, 20), bool)
    mask[1, 5:] = False
    event_s = 10.0 * np.arange(4) + np.array([-1.0, 0.2, 0.5, np.nan])
    assert bin_at(time_s, event_s, 0.0, bin_s=BIN_S, mask=mask).tolist() == [-1, -1, -1, -1]


def test_an_objective_that_is_known_from_a_moment_on_is_scored_so() -> None:
    target = np.random.default_rng(0).normal(size=(40, 1, 2))
    truth = np.broadcast_to(target, (40, 30, 2))
    known = np.arange(30) >= 15  # the bin that ends at 0.32 is the first to know
    estimate = np.where(known[:, None], truth, target.mean(0))
    event_s = 10.0 * np.arange(40.0)
    event_s[:4] = np.nan
    course = objective_r2_by_time(
        truth, estimate, time_s=centres(40, 30), event_s=event_s, at_s=np.array([0.3, 0.32, 0.7]),
        bin_s=BIN_S, mask=np.ones((40, 30), bool),
    )  # fmt: skip
    assert course.r2[0] == pytest.approx(0, abs=0.1)
    assert course.r2[1] == 1
    assert np.isnan(course.r2[2])
    assert course.trials.tolist() == [36, 36, 0]


def test_forecast_of_a_walk_that_stands_still_is_won_by_persistence() -> None:
    truth = np.broadcast_to(np.random.default_rng(0).normal(size=(50, 1, 3)), (50, 20, 3))
    scores = forecast_r2(truth, truth[:, 10:14] * 0, last_seen=9, training_mean=np.zeros(3))
    np.testing.assert_array_equal(scores.persistence, np.ones(4))
    np.testing.assert_array_equal(scores.model, scores.mean)
    assert (scores.mean <= 0).all()


def test_forecast_horizons_are_counted_from_the_last_seen_bin() -> None:
    truth = np.random.default_rng(0).normal(size=(50, 20, 3))
    forecast = truth[:, 10:14] + np.arange(4)[:, None]
    scores = forecast_r2(truth, forecast, last_seen=9, training_mean=truth.mean((0, 1)))
    expected = [r2(truth[:, [10 + k]], truth[:, [10 + k]] + k) for k in range(4)]
    np.testing.assert_allclose(scores.model, expected)
    np.testing.assert_allclose(scores.persistence, [r2(truth[:, [10 + k]], truth[:, [9]]) for k in range(4)])


def test_all_three_forecasts_are_scored_on_the_same_entries() -> None:
    truth = np.random.default_rng(0).normal(size=(50, 20, 1))
    mask = np.ones((50, 20), bool)
    mask[:10, 9:] = False
    truth[10:20, 9] = np.nan
    truth[20:30, 10] = np.nan
    scores = forecast_r2(truth, truth[:, 10:12], last_seen=9, training_mean=np.zeros(1), mask=mask)
    kept = truth[30:]
    np.testing.assert_array_equal(scores.model, [1, 1])
    assert scores.persistence[0] == pytest.approx(r2(kept[:, [10]], kept[:, [9]]))
    assert scores.mean[1] == pytest.approx(r2(truth[20:, [11]], np.zeros((30, 1, 1))))
