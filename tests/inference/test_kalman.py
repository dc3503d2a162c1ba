"""The Kalman recursions equal an exact dense Gaussian over every latent and observation at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from linear_gaussian import dense_joint, dense_posterior, example

from ncyber_cli.inference.kalman import backward_information, kalman_filter, kalman_smoother

MEANS = pytest.mark.parametrize("initial_mean", [0.0, 1e4])
TOLERANCE = {"rtol": 1e-9, "atol": 1e-9}


def assert_close(ours: torch.Tensor, theirs: np.ndarray, scale: float = 1.0) -> None:
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=1e-9 * scale)


@MEANS
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_the_smoother_is_the_dense_posterior(initial_mean: float, missing: float) -> None:
    system, observation = example(initial_mean=initial_mean, missing=missing)
    mean, covariance, log_evidence = dense_posterior(system, observation, until=len(observation))
    smoothed = kalman_smoother(system, observation)
    assert_close(smoothed.mean, mean, max(1.0, initial_mean))
    assert_close(smoothed.covariance, covariance)
    assert float(smoothed.log_likelihood) == pytest.approx(log_evidence, rel=1e-9)


@MEANS
def test_the_filter_is_the_dense_posterior_given_the_past(initial_mean: float) -> None:
    system, observation = example(initial_mean=initial_mean, missing=0.3)
    filtered = kalman_filter(system, observation)
    for t in range(len(observation)):
        mean, covariance, _ = dense_posterior(system, observation, until=t + 1)
        assert_close(filtered.mean[t], mean[t], max(1.0, initial_mean))
        assert_close(filtered.covariance[t], covariance[t])


def test_a_bin_without_any_observation_keeps_the_prediction() -> None:
    system, observation = example()
    observation[3] = torch.nan
    filtered = kalman_filter(system, observation)
    torch.testing.assert_close(filtered.mean[3], system.transition @ filtered.mean[2] + system.offset)


def test_without_observations_the_prior_remains_and_the_evidence_is_one() -> None:
    system, observation = example()
    smoothed = kalman_smoother(system, torch.full_like(observation, torch.nan))
    mean, covariance = dense_joint(system, len(observation))[:2]
    assert_close(smoothed.mean, mean)
    assert_close(smoothed.covariance, np.stack([covariance[t, :, t] for t in range(len(mean))]))
    assert float(smoothed.log_likelihood) == 0


@MEANS
def test_backward_messages_times_predictions_are_the_smoother(initial_mean: float) -> None:
    """p(x_t | all) is p(x_t | y before t) times the message of y from t on."""
    system, observation = example(initial_mean=initial_mean, missing=0.3)
    messages = backward_information(system, observation)
    for t in range(len(observation)):
        predicted_mean, predicted_covariance, _ = dense_posterior(system, observation, until=t)
        mean, covariance, _ = dense_posterior(system, observation, until=len(observation))
        prior_precision = np.linalg.inv(predicted_covariance[t])
        precision, target = messages.precision[t].numpy(), messages.target[t].numpy()
        combined = np.linalg.inv(prior_precision + precision)
        shift = combined @ precision @ (target - predicted_mean[t])
        np.testing.assert_allclose(combined, covariance[t], **TOLERANCE)
        np.testing.assert_allclose(predicted_mean[t] + shift, mean[t], rtol=0, atol=1e-8 * max(1.0, initial_mean))
