"""What the data fix of an animal's constants: sharper with more trials, and honest about what moves nothing."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import make_tiny

from ncyber_cli.training.identify import Identified, _information, quantities, weight_identifiability


def identified(kind: str) -> list[Identified]:
    tiny = make_tiny(kind)
    return weight_identifiability(tiny.model, tiny.cohort, tiny.cohort.picks(), tiny.spec.inference)


@pytest.mark.parametrize("kind", ["reach", "lqr", "lqr_linear_body"])
def test_every_animal_has_its_constants_with_a_covariance_and_the_model_is_as_before(kind: str) -> None:
    tiny = make_tiny(kind)
    before = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    found = weight_identifiability(tiny.model, tiny.cohort, tiny.cohort.picks(), tiny.spec.inference)
    assert len(found) == len(tiny.cohort.animals)
    for each in found:
        assert each.names == [quantity.name for quantity in quantities(tiny.model)]
        assert np.linalg.eigvalsh(each.covariance).min() > 0
        assert each.log_sd.max() <= 2 + 1e-9
    assert all((value == before[name]).all() for name, value in tiny.model.state_dict().items())


def test_lqr_has_a_weight_for_every_axis_and_reports_them_together() -> None:
    found = identified("lqr")[0]
    assert found.names[:4] == ["position_weight_0", "position_weight_1", "velocity_weight_0", "velocity_weight_1"]
    sds = found.log_sd_of("position_weight")
    assert sds == found.log_sd[:2].tolist()
    assert isinstance(found.log_sd_of("bound"), float)
    assert found.log_sd_of("stiffness") is None


@pytest.mark.parametrize("kind", ["brain_only", "mlp_controller"])
def test_without_gains_only_the_body_is_left(kind: str) -> None:
    names = identified(kind)[0].names if kind != "brain_only" else identified(kind)
    assert names == ([] if kind == "brain_only" else ["muscle_lag", "mass", "feedback_delay"])


def test_the_information_is_that_of_a_gaussian_and_four_times_the_trials_halve_the_sd() -> None:
    """Scores of a mean, sd 2, under N(mean, 2^2) have the information n / 4; a dead quantity keeps the prior."""
    rng = np.random.default_rng(0)
    for n_trial in (4000, 16000):
        score = rng.normal(0, 0.5, 4000)
        scores = np.stack([np.stack([score, np.zeros(4000)])] * 2)
        information = _information(scores, n_trial)
        assert information[0, 0] == pytest.approx(n_trial / 4, rel=0.1)
        assert information[1, 1] == pytest.approx(0.25)


def test_noise_of_a_sample_that_is_no_score_carries_no_information() -> None:
    rng = np.random.default_rng(1)
    information = _information(rng.normal(size=(2, 1, 10000)), 10000)
    assert information[0, 0] < 500  # were it a score, 10000


def test_a_direction_that_the_data_leave_open_is_said_in_words() -> None:
    along = np.array([1.0, 1.0, 0.0]) / np.sqrt(2)
    covariance = 0.01 * np.eye(3) + 0.98 * np.outer(along, along)
    found = Identified(["position_weight_0", "muscle_lag", "bound"], np.zeros(3), covariance)
    (words,) = found.not_told_apart()
    assert words == "position_weight_0 x 2 and muscle_lag x 2, together, are within one standard deviation"
    assert Identified(["bound"], np.zeros(1), 0.01 * np.eye(1)).not_told_apart() == []
