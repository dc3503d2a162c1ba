import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import t as student

from ncyber_cli.outputs.metrics import fit_spread
from ncyber_cli.outputs.metrics.agreement import concordance
from ncyber_cli.outputs.metrics.predictive import DEGREES, Spread


def test_the_scale_has_the_largest_likelihood() -> None:
    errors = 0.3 * np.random.default_rng(0).standard_t(DEGREES, (40, 5, 2))
    scale = fit_spread(errors).scale
    for feature in range(2):
        values = errors[..., feature]

        def surprise(scale: float, values: np.ndarray = values) -> float:
            return float(values.size * np.log(scale) - student.logpdf(values / scale, DEGREES).sum())

        best = minimize_scalar(surprise, bounds=(0.05, 2.0), method="bounded", options={"xatol": 1e-8})
        np.testing.assert_allclose(scale[:, feature], best.x, rtol=1e-4)


def test_a_density_in_other_units_shifts_by_the_log_of_the_unit() -> None:
    errors = np.random.default_rng(1).normal(size=(30, 12, 3))
    metres, millimetres = fit_spread(errors).nats(errors), fit_spread(1000 * errors).nats(1000 * errors)
    np.testing.assert_allclose(metres - millimetres, 3 * np.log(1000))


def test_each_group_of_horizons_has_its_own_scale() -> None:
    errors = np.random.default_rng(2).normal(size=(200, 20, 1)) * np.repeat([1.0, 5.0], 10)[None, :, None]
    scale = fit_spread(errors).scale[:, 0]
    assert scale[:10].std() == scale[10:].std() == 0
    assert scale[10] / scale[0] == pytest.approx(5, rel=0.1)


def test_missing_errors_are_left_out_of_the_scale_and_stay_missing() -> None:
    errors = np.random.default_rng(3).normal(size=(50, 4, 1))
    with_gap = np.concatenate([errors, np.full((5, 4, 1), np.nan)])
    np.testing.assert_array_equal(fit_spread(with_gap).scale, fit_spread(errors).scale)
    nats = Spread(np.ones((4, 1))).nats(with_gap)
    assert np.isnan(nats[50:]).all()
    assert np.isfinite(nats[:50]).all()


def test_no_errors_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="needs errors"):
        fit_spread(np.full((3, 2, 1), np.nan))


def test_a_forecast_without_error_keeps_a_finite_density() -> None:
    errors = np.stack([np.zeros((6, 3)), np.ones((6, 3))], axis=-1)
    assert np.isfinite(fit_spread(errors).nats(errors)).all()


def test_concordance_is_one_for_equals_and_pays_for_a_shift() -> None:
    values = np.random.default_rng(4).normal(size=(5, 20, 2))
    assert concordance(values, values) == pytest.approx(1)
    assert concordance(values, -values) < 0
    assert concordance(values, values + 1) == pytest.approx(2 / 3, abs=0.1)
    assert 0.5 < concordance(values, 2 * values) < 0.9
    assert abs(concordance(values, np.random.default_rng(5).normal(size=values.shape))) < 0.2
    assert np.isnan(concordance(np.zeros((1, 2, 1)), np.zeros((1, 2, 1))))
