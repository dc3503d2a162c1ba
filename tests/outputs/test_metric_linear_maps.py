import numpy as np
import pytest
from sklearn.linear_model import Ridge

from ncyber_cli.outputs.metrics import Examples, affine_map_r2, behavior_r2, fit_affine, fit_ridge, r2


def examples(trials: int, seed: int, noise: float = 0.0, inputs: int = 4) -> Examples:
    generator = np.random.default_rng(seed)
    weights = np.random.default_rng(99).normal(size=(inputs, 2))
    x = generator.normal(2.0, 3.0, size=(trials, 15, inputs))
    mask = np.arange(15) < generator.integers(4, 16, size=trials)[:, None]
    return Examples(x, x @ weights + [1.0, -7.0] + noise * generator.normal(size=(trials, 15, 2)), mask)


def test_an_affine_world_is_recovered_exactly_on_new_trials() -> None:
    train, test = examples(10, 0), examples(10, 1)
    np.testing.assert_allclose(fit_affine(train).offset, [1, -7], atol=1e-10)
    assert affine_map_r2(train, test) == pytest.approx(1)


def test_mapped_r2_does_not_depend_on_the_basis_of_the_estimate() -> None:
    train, test = examples(10, 0, noise=3.0), examples(10, 1, noise=3.0)
    turn = np.random.default_rng(5).normal(size=(4, 4))
    turned = [Examples(one.inputs @ turn + 8, one.targets, one.mask) for one in (train, test)]
    assert affine_map_r2(*turned) == pytest.approx(affine_map_r2(train, test))


def test_the_map_is_fitted_on_training_trials_alone() -> None:
    train, test = examples(10, 0), examples(10, 1)
    elsewhere = Examples(test.inputs, -test.targets, test.mask)
    assert affine_map_r2(train, elsewhere) < 0


def test_more_inputs_than_bins_still_have_one_answer() -> None:
    train = Examples(np.random.default_rng(0).normal(size=(1, 5, 20)), np.ones((1, 5, 1)))
    assert np.isfinite(fit_affine(train).weights).all()


def test_ridge_of_one_penalty_equals_scikit_learn_on_standardised_inputs() -> None:
    train, validation = examples(10, 0, noise=2.0), examples(4, 1, noise=2.0)
    penalty = 0.3
    mapped = fit_ridge(train, validation, np.array([penalty]))
    x, y = train.inputs[train.mask], train.targets[train.mask]
    center, scale = x.mean(0), x.std(0)
    twin = Ridge(alpha=penalty * len(x)).fit((x - center) / scale, y)
    np.testing.assert_allclose(mapped(validation.inputs[0]), twin.predict((validation.inputs[0] - center) / scale))


def test_the_penalty_is_the_one_that_validation_prefers() -> None:
    train = examples(2, 0, noise=30.0, inputs=20)
    validation, test = examples(40, 1, noise=30.0, inputs=20), examples(40, 2, inputs=20)
    penalties = np.logspace(-6, 2, 17)
    chosen = r2(validation.targets, fit_ridge(train, validation)(validation.inputs), validation.mask)
    for penalty in penalties:
        alone = fit_ridge(train, validation, np.array([penalty]))(validation.inputs)
        assert r2(validation.targets, alone, validation.mask) <= chosen
    assert behavior_r2(train, validation, test) > affine_map_r2(train, test)


def test_bins_with_anything_missing_are_not_fitted_and_masked_bins_change_nothing() -> None:
    train, validation, test = examples(10, 0), examples(4, 1), examples(10, 2)
    train.inputs[0, 0, 0] = np.nan
    train.targets[1, 1, 1] = np.nan
    assert train.mask is not None
    train.inputs[~train.mask] = 1e9
    assert behavior_r2(train, validation, test) == pytest.approx(1, abs=1e-6)


def test_an_input_that_never_varies_is_harmless() -> None:
    train, validation, test = (
        Examples(np.concatenate([one.inputs, np.full((*one.inputs.shape[:2], 1), 5.0)], axis=-1), one.targets, one.mask)
        for one in (examples(10, 0), examples(4, 1), examples(10, 2))
    )
    assert behavior_r2(train, validation, test) == pytest.approx(1, abs=1e-6)
