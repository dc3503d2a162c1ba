"""Exact inference in a linear-Gaussian state-space model: the oracle of the tests and the linear case.

    x_1 ~ N(m0, diag P0),  x_t = A x_{t-1} + b + N(0, diag Q),  y_t = C x_t + d + N(0, diag R)

Missing observations are NaN. Means are kept as deviations from the prior's own path, so that a
prior mean of 1e4 costs no digits. Equations: Sarkka & Svensson, Bayesian Filtering and Smoothing
(2nd ed.), chapters 6 and 12; the backward information message is Mayne's (1966) two-filter form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class LinearGaussian:
    initial_mean: Float[Tensor, " n"]
    initial_variance: Float[Tensor, " n"]
    transition: Float[Tensor, "n n"]
    offset: Float[Tensor, " n"]
    process_variance: Float[Tensor, " n"]
    readout: Float[Tensor, "unit n"]
    readout_offset: Float[Tensor, " unit"]
    noise_variance: Float[Tensor, " unit"]

    def prior_path(self, n_time: int) -> Float[Tensor, "time n"]:
        """The mean of x without any observation."""
        path = [self.initial_mean]
        for _ in range(n_time - 1):
            path.append(self.transition @ path[-1] + self.offset)
        return torch.stack(path)


@dataclass(frozen=True)
class Marginals:
    mean: Float[Tensor, "time n"]
    covariance: Float[Tensor, "time n n"]
    log_likelihood: Float[Tensor, ""]


@dataclass(frozen=True)
class InformationMessages:
    """What y_t and everything after it say of x_t: a Gaussian factor with mean `target`."""

    target: Float[Tensor, "time n"]
    precision: Float[Tensor, "time n n"]


def _residuals(system: LinearGaussian, observation: Tensor) -> tuple[Tensor, Tensor]:
    """Observations minus what the prior path predicts, and whether each is there (NaN is missing)."""
    present = ~torch.isnan(observation)
    predicted = system.prior_path(len(observation)) @ system.readout.T + system.readout_offset
    return torch.where(present, observation - predicted, 0.0), present


def kalman_filter(system: LinearGaussian, observation: Float[Tensor, "time unit"]) -> Marginals:
    """Filtering marginals p(x_t | y_1..t) and log p(y)."""
    residuals, present = _residuals(system, observation)
    mean, covariance = torch.zeros_like(system.initial_mean), torch.diag(system.initial_variance)
    means, covariances = [], []
    log_likelihood = torch.zeros((), dtype=mean.dtype)
    for t, (residual, there) in enumerate(zip(residuals, present, strict=True)):
        if t > 0:
            mean = system.transition @ mean
            covariance = system.transition @ covariance @ system.transition.T + torch.diag(system.process_variance)
        readout, noise = system.readout[there], torch.diag(system.noise_variance[there])
        factor = torch.linalg.cholesky(readout @ covariance @ readout.T + noise)
        surprise = residual[there] - readout @ mean
        whitened = torch.linalg.solve_triangular(factor, surprise[:, None], upper=False)[:, 0]
        gain = torch.cholesky_solve(readout @ covariance, factor).T
        mean = mean + gain @ surprise
        shrink = torch.eye(len(mean), dtype=mean.dtype) - gain @ readout
        covariance = shrink @ covariance @ shrink.T + gain @ noise @ gain.T  # Joseph form stays positive
        log_normaliser = factor.diagonal().log().sum() + 0.5 * len(surprise) * math.log(2 * math.pi)
        log_likelihood = log_likelihood - 0.5 * whitened.square().sum() - log_normaliser
        means.append(mean)
        covariances.append(covariance)
    return Marginals(torch.stack(means) + system.prior_path(len(residuals)), torch.stack(covariances), log_likelihood)


def kalman_smoother(system: LinearGaussian, observation: Float[Tensor, "time unit"]) -> Marginals:
    """Smoothing marginals p(x_t | y_1..T) (Rauch-Tung-Striebel) and log p(y)."""
    filtered = kalman_filter(system, observation)
    path = system.prior_path(len(observation))
    means, covariances = [filtered.mean[-1] - path[-1]], [filtered.covariance[-1]]
    for t in range(len(path) - 2, -1, -1):
        mean, covariance = filtered.mean[t] - path[t], filtered.covariance[t]
        predicted = system.transition @ covariance @ system.transition.T + torch.diag(system.process_variance)
        factor = torch.linalg.cholesky(predicted)
        gain = torch.cholesky_solve(system.transition @ covariance, factor).T
        means.append(mean + gain @ (means[-1] - system.transition @ mean))
        covariances.append(covariance + gain @ (covariances[-1] - predicted) @ gain.T)
    return Marginals(torch.stack(means[::-1]) + path, torch.stack(covariances[::-1]), filtered.log_likelihood)


def backward_information(system: LinearGaussian, observation: Float[Tensor, "time unit"]) -> InformationMessages:
    """The message of y_t..T to x_t, for every t: with it the filter posterior is the smoother."""
    residuals, present = _residuals(system, observation)
    identity = torch.eye(len(system.initial_mean), dtype=observation.dtype)
    process = torch.diag(system.process_variance)
    precision, information = torch.zeros_like(identity), torch.zeros_like(system.initial_mean)
    targets, precisions = [], []
    for residual, there in zip(residuals.flip(0), present.flip(0), strict=True):
        through = torch.linalg.solve((identity + precision @ process).T, system.transition).T  # A'(I + L Q)^-1
        information = through @ information
        precision = through @ precision @ system.transition
        weighted = system.readout[there].T / system.noise_variance[there]
        information = information + weighted @ residual[there]
        precision = precision + weighted @ system.readout[there]
        precision = 0.5 * (precision + precision.T)
        targets.append(torch.linalg.pinv(precision, hermitian=True) @ information)
        precisions.append(precision)
    path = system.prior_path(len(observation))
    return InformationMessages(torch.stack(targets[::-1]) + path, torch.stack(precisions[::-1]))
