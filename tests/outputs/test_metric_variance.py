import numpy as np
import pytest
from sklearn.metrics import r2_score

from ncyber_cli.outputs.metrics import interval_coverage, paired_bootstrap, psth_r2, r2, r2_per_feature, rate_r2

GENERATOR_SEED = 4


def pair() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(GENERATOR_SEED)
    truth = generator.normal([1.0, -3.0], [1.0, 5.0], size=(20, 30, 2))
    mask = np.arange(30) < generator.integers(5, 31, size=20)[:, None]
    return truth, truth + generator.normal(size=truth.shape), mask


def test_pooled_r2_equals_one_minus_error_over_variance_written_out() -> None:
    truth, estimate, mask = pair()
    t, e = truth[mask], estimate[mask]
    assert r2(truth, estimate, mask) == pytest.approx(1 - np.sum((t - e) ** 2) / np.sum((t - t.mean(0)) ** 2))
    assert r2(truth, estimate, mask) == pytest.approx(r2_score(t, e, multioutput="variance_weighted"))
    np.testing.assert_allclose(r2_per_feature(truth, estimate, mask), r2_score(t, e, multioutput="raw_values"))


def test_truth_scores_one_its_mean_zero_and_its_negative_minus_three() -> None:
    truth, _, _ = pair()
    centred = truth - truth.mean((0, 1))
    assert r2(truth, truth) == 1
    assert r2(truth, np.broadcast_to(truth.mean((0, 1)), truth.shape)) == pytest.approx(0)
    assert r2(centred, -centred) == pytest.approx(-3)


def test_masked_bins_change_nothing_and_missing_truth_is_not_scored() -> None:
    truth, estimate, mask = pair()
    score = r2(truth, estimate, mask)
    dirty_truth, dirty_estimate = truth.copy(), estimate.copy()
    dirty_truth[~mask], dirty_estimate[~mask] = 1e6, np.nan
    assert r2(dirty_truth, dirty_estimate, mask) == score
    assert r2(np.where(mask[..., None], truth, np.nan), dirty_estimate) == pytest.approx(score, rel=1e-12)


def test_a_missing_estimate_is_refused_not_skipped() -> None:
    truth, estimate, _ = pair()
    estimate[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN in 1 of 1200 scored entries"):
        r2(truth, estimate)
    with pytest.raises(ValueError, match="mask of shape"):
        r2(truth, truth, np.ones((20, 29), bool))
    with pytest.raises(ValueError, match="estimate of shape"):
        r2(truth, truth[:, :, :1])


def test_a_truth_that_never_varies_has_no_r2() -> None:
    assert np.isnan(r2(np.ones((2, 3, 1)), np.ones((2, 3, 1))))
    assert np.isnan(r2(np.full((2, 3, 1), np.nan), np.ones((2, 3, 1))))


def test_rate_r2_weighs_units_alike_and_leaves_constant_ones_out() -> None:
    truth = np.stack([np.arange(4.0), 100 * np.arange(4.0), np.ones(4)], axis=-1)[None]
    estimate = truth.copy()
    estimate[..., 0] = truth[..., 0].mean()  # R2 0, 1 and undefined
    assert rate_r2(truth, estimate) == pytest.approx(0.5)


def test_psth_r2_compares_trial_averages_and_ignores_what_averages_out() -> None:
    shape = np.sin(np.arange(25))[None, :, None]
    condition = np.repeat([0, 1], 10)
    psth = np.where(condition[:, None, None] == 0, shape, -2 * shape) + 3
    noise = np.random.default_rng(0).normal(size=(20, 25, 1))
    for label in (0, 1):
        noise[condition == label] -= noise[condition == label].mean(0)
    assert psth_r2(psth + noise, psth, condition) == pytest.approx(1)
    assert psth_r2(psth + noise, np.full_like(psth, psth.mean()), condition) == pytest.approx(0)


def test_psth_of_ragged_trials_averages_the_trials_that_are_there() -> None:
    counts = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 99.0]])[..., None]
    mask = np.array([[True, True, True], [True, True, False]])
    rates = np.array([[2.0, 3.0, 3.0], [2.0, 3.0, np.nan]])[..., None]
    assert psth_r2(counts, rates, np.array([0, 0]), mask) == 1


def test_gaussian_intervals_cover_as_they_claim_and_a_narrow_posterior_is_found_out() -> None:
    generator = np.random.default_rng(0)
    mean, sd = generator.normal(size=(200, 50, 2)), np.exp(generator.normal(size=(200, 50, 2)))
    truth = mean + sd * generator.normal(size=mean.shape)
    assert interval_coverage(truth, mean, sd) == pytest.approx({0.5: 0.5, 0.9: 0.9}, abs=0.01)
    assert interval_coverage(truth, mean, sd / 2)[0.9] == pytest.approx(0.589, abs=0.01)  # P(|z| < 1.645 / 2)
    assert np.isnan(interval_coverage(truth, mean, sd, np.zeros((200, 50), bool))[0.5])


def test_bootstrap_interval_of_independent_trials_matches_the_standard_error() -> None:
    generator = np.random.default_rng(0)
    differences = generator.normal(0.2, 1.0, size=(1, 400))
    interval = paired_bootstrap(differences, np.random.default_rng(1))
    error = differences.std() / np.sqrt(400)
    assert interval.mean == pytest.approx(differences.mean())
    assert interval.low == pytest.approx(interval.mean - 1.96 * error, abs=0.2 * error)
    assert interval.high == pytest.approx(interval.mean + 1.96 * error, abs=0.2 * error)


def test_seeds_that_disagree_widen_the_interval_however_many_trials_there_are() -> None:
    differences = np.array([-1.0, 1.0, 1.0])[:, None] + np.zeros((3, 1000))
    interval = paired_bootstrap(differences, np.random.default_rng(0))
    assert interval.low < 0 < interval.mean
    with pytest.raises(ValueError, match="NaN"):
        paired_bootstrap(differences * np.nan, np.random.default_rng(0))
