import numpy as np
import pytest
from scipy.stats import poisson

from ncyber_cli.outputs.metrics import co_bps, expected_bits_per_spike, fp_bps, mean_counts, poisson_bits_per_spike


def simulated(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rates, counts (trial, time, unit) and a mask with ragged trials."""
    generator = np.random.default_rng(seed)
    rates = np.exp(generator.normal(-1.0, 0.8, size=(30, 40, 6)))
    mask = np.arange(40) < generator.integers(10, 41, size=30)[:, None]
    return rates, generator.poisson(rates), mask


def test_equals_the_definition_written_out() -> None:
    rates, counts, mask = simulated()
    scored, null = counts[mask], counts[mask].mean(0)
    gain = poisson.logpmf(scored, rates[mask]).sum() - poisson.logpmf(scored, null).sum()
    expected = gain / scored.sum() / np.log(2)
    assert poisson_bits_per_spike(counts, rates, mask=mask) == pytest.approx(expected, rel=1e-12)


def test_a_hand_made_case() -> None:
    # One unit, one spike in four bins, rate exactly 1 where it falls and 0 elsewhere: the mean model says 1/4,
    # so the spike costs 2 bits less, and both expect one spike in all.
    counts = np.array([0, 1, 0, 0]).reshape(1, 4, 1)
    assert poisson_bits_per_spike(counts, counts.astype(float)) == pytest.approx(2.0, abs=1e-6)


def test_the_null_itself_scores_zero() -> None:
    rates, counts, mask = simulated()
    mean = np.broadcast_to(mean_counts(counts, mask), counts.shape)
    assert poisson_bits_per_spike(counts, mean, mask=mask) == pytest.approx(0, abs=1e-12)
    assert poisson_bits_per_spike(counts, rates, null_rates=rates, mask=mask) == 0


def test_expected_bits_of_the_truth_are_the_divergence_from_its_mean_and_the_most_there_is() -> None:
    rates, counts, _ = simulated()
    mean = rates.mean((0, 1))
    divergence = (rates * np.log(rates / mean) - rates + mean).sum()
    best = expected_bits_per_spike(rates, rates)
    assert best == pytest.approx(divergence / rates.sum() / np.log(2), rel=1e-12)
    for wrong in (rates * 1.01, np.sqrt(rates), counts.astype(float)):
        assert expected_bits_per_spike(rates, wrong) < best


def test_seen_spikes_as_rates_beat_the_truth_on_spikes_but_not_in_expectation() -> None:
    rates, counts, _ = simulated()
    refit = 0.5 * rates + 0.5 * counts
    assert poisson_bits_per_spike(counts, refit) > poisson_bits_per_spike(counts, rates)
    assert expected_bits_per_spike(rates, refit) < expected_bits_per_spike(rates, rates)


def test_masked_bins_and_order_of_trials_change_nothing() -> None:
    rates, counts, mask = simulated()
    score = poisson_bits_per_spike(counts, rates, mask=mask)
    dirty_counts, dirty_rates = counts.copy(), rates.copy()
    dirty_counts[~mask], dirty_rates[~mask] = 99, np.nan
    assert poisson_bits_per_spike(dirty_counts, dirty_rates, mask=mask) == score
    order = np.random.default_rng(1).permutation(len(counts))
    assert poisson_bits_per_spike(counts[order], rates[order], mask=mask[order]) == pytest.approx(score, rel=1e-12)


def test_a_missing_count_is_not_scored_and_a_silent_unit_costs_what_was_expected_of_it() -> None:
    counts, rates = np.array([[[1.0], [np.nan], [0.0]]]), np.array([[[0.5], [np.nan], [0.5]]])
    assert poisson_bits_per_spike(counts, rates) == pytest.approx(0)
    with_silent = np.concatenate([counts, np.zeros_like(counts)], axis=2)
    expectation = np.concatenate([rates, np.full_like(rates, 0.1)], axis=2)
    assert poisson_bits_per_spike(with_silent, expectation) == pytest.approx(-0.3 / np.log(2), abs=1e-6)


def test_no_spike_gives_nan_and_impossible_rates_are_refused() -> None:
    nothing = np.zeros((2, 3, 1))
    assert np.isnan(poisson_bits_per_spike(nothing, nothing + 0.1))
    with pytest.raises(ValueError, match="negative"):
        poisson_bits_per_spike(nothing, nothing - 1)
    with pytest.raises(ValueError, match="NaN in 6 of 6"):
        poisson_bits_per_spike(nothing, nothing * np.nan)


def test_a_spike_at_rate_zero_costs_much_but_not_everything() -> None:
    counts = np.ones((1, 10, 1))
    rates = counts.copy()
    rates[0, 0] = 0
    assert -10 < poisson_bits_per_spike(counts, rates) < 0


def test_co_bps_scores_held_out_units_alone_over_both_nulls() -> None:
    rates, counts, mask = simulated()
    held_out = np.array([False, True, False, True, False, False])
    training_mean = mean_counts(simulated(seed=1)[1])
    rates_elsewhere_wrong = rates.copy()
    rates_elsewhere_wrong[..., ~held_out] = 100
    score = co_bps(counts, rates_elsewhere_wrong, held_out, training_mean=training_mean, mask=mask)
    chosen = counts[..., held_out], rates[..., held_out]
    assert score.bits == poisson_bits_per_spike(*chosen, mask=mask)
    assert score.training_mean_null <= 0
    assert score.over_training_mean == pytest.approx(score.bits - score.training_mean_null, rel=1e-9)


def test_fp_bps_scores_forecast_bins_alone() -> None:
    rates, counts, _ = simulated()
    forecast = np.zeros((30, 40), bool)
    forecast[:, 25:] = True
    score = fp_bps(counts, rates, forecast, training_mean=mean_counts(counts))
    assert score.bits == poisson_bits_per_spike(counts[:, 25:], rates[:, 25:])
