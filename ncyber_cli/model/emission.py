"""What a unit emits given its predictor: one likelihood per kind of signal."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from ncyber_cli.model.readout import Emission as Emission

_LARGEST_LOG_RATE = 8.0  # exp(8) counts in a bin is no neuron; keeps a first bad step finite
_NOISE_RATE = 0.05  # share of the closed-form variance update taken per step
_VARIANCE_FLOOR = 1e-4  # of the unit's own variance
_TOUCHING = 1.001  # a variance this close to its floor has hit it


class Poisson(Emission):
    """Spike counts, log-linear: log rate = eta."""

    kind = "poisson"
    counts = log_linear = True

    def rate(self, predictor: Tensor, session: Tensor) -> Tensor:
        return predictor.clamp(max=_LARGEST_LOG_RATE).exp()

    def sample(self, predictor: Tensor, session: Tensor, generator: torch.Generator | None) -> Tensor:
        return torch.poisson(self.rate(predictor, session), generator)

    def log_density(self, observation: Tensor, observed: Tensor, predictor: Tensor, session: Tensor) -> Tensor:
        bounded = predictor.clamp(max=_LARGEST_LOG_RATE)
        return observation * bounded - bounded.exp() - torch.lgamma(observation + 1)

    def information(self, predictor: Tensor, session: Tensor) -> Tensor:
        return self.rate(predictor, session)

    def expected_log_density(self, rate: Tensor, predictor: Tensor, session: Tensor) -> Tensor:
        bounded = predictor.clamp(max=_LARGEST_LOG_RATE)
        return rate * bounded - bounded.exp()


class NegativeBinomial(Emission):
    """Over-dispersed counts with mean exp(eta) and variance mean + mean^2 / r, r per unit."""

    kind = "negative_binomial"
    counts = log_linear = True

    def __init__(self, n_session: int, n_unit: int, n_latent: int) -> None:
        super().__init__(n_session, n_unit, n_latent)
        self.log_r = nn.Parameter(torch.full((n_session, n_unit), math.log(10.0)))

    def rate(self, predictor: Tensor, session: Tensor) -> Tensor:
        return predictor.clamp(max=_LARGEST_LOG_RATE).exp()

    def sample(self, predictor: Tensor, session: Tensor, generator: torch.Generator | None) -> Tensor:
        shape = self.log_r.exp()[session][:, None].expand_as(predictor)
        return torch.poisson(self.rate(predictor, session) * _gamma(shape, generator) / shape, generator)

    def log_density(self, observation: Tensor, observed: Tensor, predictor: Tensor, session: Tensor) -> Tensor:
        log_mean = predictor.clamp(max=_LARGEST_LOG_RATE)
        log_r = self.log_r[session][:, None]
        r = log_r.exp()
        log_odds = log_mean - log_r
        counting = torch.lgamma(observation + r) - torch.lgamma(r) - torch.lgamma(observation + 1)
        return counting + observation * logsigmoid(log_odds) + r * logsigmoid(-log_odds)

    def information(self, predictor: Tensor, session: Tensor) -> Tensor:
        mean, r = self.rate(predictor, session), self.log_r[session][:, None].exp()
        return mean * r / (mean + r)

    def expected_log_density(self, rate: Tensor, predictor: Tensor, session: Tensor) -> Tensor:
        log_r = self.log_r.detach()[session][:, None]  # a mean says nothing of how counts are dispersed around it
        log_odds = predictor.clamp(max=_LARGEST_LOG_RATE) - log_r
        return rate * logsigmoid(log_odds) + log_r.exp() * logsigmoid(-log_odds)


class Gaussian(Emission):
    """A continuous signal with private noise per unit, AR(1) in time (or white): n_t = rho n_{t-1} + e_t.

    Density of y_t given the unit's last observed value k bins ago: mean eta_t + rho^k n_{t-k},
    variance s^2 (1 - rho^{2k}) with s^2 the stationary variance; s^2 for the first one.
    """

    kind = "gaussian"
    has_variance = True
    variance: Tensor
    variance_floor: Tensor

    def __init__(self, n_session: int, n_unit: int, n_latent: int, private_noise: str = "ar1") -> None:
        super().__init__(n_session, n_unit, n_latent)
        self.correlated = private_noise == "ar1"
        self.raw_rho = nn.Parameter(torch.ones(n_session, n_unit), requires_grad=self.correlated)
        self.register_buffer("variance", torch.ones(n_session, n_unit))  # stationary
        self.register_buffer("variance_floor", torch.full((n_session, n_unit), _VARIANCE_FLOOR))

    def start_variance(self, session: int, variance: Float[Tensor, " unit"]) -> None:
        self.variance[session] = variance.clamp(min=1e-12).to(self.variance.dtype)
        self.variance_floor[session] = _VARIANCE_FLOOR * self.variance[session]

    def sample(self, predictor: Tensor, session: Tensor, generator: torch.Generator | None) -> Tensor:
        own = torch.randn(predictor.shape, generator=generator, device=predictor.device, dtype=predictor.dtype)
        if self.correlated:
            own = ar1_noise(own, torch.sigmoid(self.raw_rho)[session])
        return predictor + self.variance.sqrt()[session][:, None] * own

    def private(
        self, observation: Tensor, observed: Bool[Tensor, "trial time unit"], predictor: Tensor, session: Tensor
    ) -> tuple[Tensor, Tensor]:
        """rho^k n_{t-k} and 1 - rho^{2k}."""
        residual = (observation - predictor) * observed
        if not self.correlated:
            return torch.zeros_like(residual), torch.ones_like(residual)
        rho = torch.sigmoid(self.raw_rho)[session][:, None]
        n_time = observation.shape[1]
        bins = torch.arange(n_time, device=observation.device)[None, :, None]
        last = torch.where(observed, bins, -1).cummax(1).values
        last = torch.cat([torch.full_like(last[:, :1], -1), last[:, :-1]], 1)  # strictly before the bin
        carried = torch.gather(residual, 1, last.clamp(min=0))
        age = (bins - last).to(rho.dtype)
        decay = torch.where(last >= 0, rho**age, 0.0)
        return decay * carried, 1 - decay.square()

    def log_density(self, observation: Tensor, observed: Tensor, predictor: Tensor, session: Tensor) -> Tensor:
        expected, share = self.private(observation, observed, predictor, session)
        variance = self.variance[session][:, None] * share
        surprise = observation - predictor - expected
        return -0.5 * (surprise.square() / variance + torch.log(2 * math.pi * variance))

    def information(self, predictor: Tensor, session: Tensor) -> Tensor:
        rho = torch.sigmoid(self.raw_rho) if self.correlated else torch.zeros_like(self.raw_rho)
        bin_share = (1 - rho) / (1 + rho)  # neighbouring bins repeat each other
        return (bin_share / self.variance)[session][:, None].expand_as(predictor)

    def at_floor(self) -> Tensor:
        return self.variance <= _TOUCHING * self.variance_floor

    def expected_log_density(self, rate: Tensor, predictor: Tensor, session: Tensor) -> Tensor:
        return -0.5 * (rate - predictor).square() / self.variance[session][:, None]

    @torch.no_grad()
    def update_variance(self, observation: Tensor, observed: Tensor, predictor: Tensor, session: Tensor) -> None:
        """Damped closed-form step: s^2 <- mean of surprise^2 / (1 - rho^{2k}), per unit."""
        expected, share = self.private(observation, observed, predictor, session)
        square = ((observation - predictor - expected).square() / share * observed).sum(1)
        total = torch.zeros_like(self.variance).index_add_(0, session, square)
        count = torch.zeros_like(self.variance).index_add_(0, session, observed.sum(1).to(square.dtype))
        fitted = torch.where((count > 0) & torch.isfinite(total), total / count.clamp(min=1), self.variance)
        self.variance.copy_(torch.lerp(self.variance, fitted, _NOISE_RATE).maximum(self.variance_floor))


def ar1_noise(
    standard: Float[Tensor, "trial time unit"], rho: Float[Tensor, "trial unit"]
) -> Float[Tensor, "trial time unit"]:
    """Stationary AR(1) noise of variance one, from independent standard noise."""
    fresh = (1 - rho.square()).sqrt()
    noise = [standard[:, 0]]
    for step in standard[:, 1:].unbind(1):
        noise.append(torch.addcmul(fresh * step, rho, noise[-1]))
    return torch.stack(noise, 1)


class ZeroInflatedGamma(Emission):
    """Deconvolved calcium events: zero, or gamma with log mean eta; the chance of an event is logistic in eta.

    Wei et al. 2020 (zero-inflated gamma for calcium). Data must be non-negative.
    """

    kind = "zero_inflated_gamma"
    log_linear = True

    def __init__(self, n_session: int, n_unit: int, n_latent: int) -> None:
        super().__init__(n_session, n_unit, n_latent)
        self.event_slope = nn.Parameter(torch.zeros(n_session, n_unit))
        self.event_offset = nn.Parameter(torch.zeros(n_session, n_unit))
        self.log_shape = nn.Parameter(torch.zeros(n_session, n_unit))

    def _shape(self, session: Tensor) -> Float[Tensor, "trial 1 unit"]:
        shape: Tensor = softplus(self.log_shape[session][:, None]) + 1e-2
        return shape

    def event_logit(self, predictor: Tensor, session: Tensor) -> Tensor:
        return self.event_offset[session][:, None] + self.event_slope[session][:, None] * predictor

    def rate(self, predictor: Tensor, session: Tensor) -> Tensor:
        mean = predictor.clamp(max=_LARGEST_LOG_RATE).exp()
        return torch.sigmoid(self.event_logit(predictor, session)) * mean

    def sample(self, predictor: Tensor, session: Tensor, generator: torch.Generator | None) -> Tensor:
        mean = predictor.clamp(max=_LARGEST_LOG_RATE).exp()
        lot = torch.rand(predictor.shape, generator=generator, device=predictor.device, dtype=predictor.dtype)
        shape = self._shape(session).expand_as(predictor)
        size = mean * _gamma(shape, generator) / shape
        return torch.where(lot < torch.sigmoid(self.event_logit(predictor, session)), size, 0.0)

    def silence(self, units: Bool[Tensor, "session unit"]) -> None:
        super().silence(units)
        self.event_slope.data[units] = 0
        self.event_offset.data[units] = -torch.inf

    def log_density(self, observation: Tensor, observed: Tensor, predictor: Tensor, session: Tensor) -> Tensor:
        log_mean = predictor.clamp(min=-_LARGEST_LOG_RATE, max=_LARGEST_LOG_RATE)
        logit = self.event_logit(predictor, session)
        shape = self._shape(session)
        size = torch.where(observation > 0, observation, torch.ones_like(observation))
        log_scale = log_mean - shape.log()
        gamma = (shape - 1) * size.log() - size / log_scale.exp() - torch.lgamma(shape) - shape * log_scale
        return torch.where(observation > 0, logsigmoid(logit) + gamma, logsigmoid(-logit))

    def information(self, predictor: Tensor, session: Tensor) -> Tensor:
        chance = torch.sigmoid(self.event_logit(predictor, session))
        slope = self.event_slope[session][:, None]
        return chance * self._shape(session) + slope.square() * chance * (1 - chance)

    def expected_log_density(self, rate: Tensor, predictor: Tensor, session: Tensor) -> Tensor:
        """As for counts: of the divergences whose minimum is the mean, the one for rates that are positive."""
        log_rate = logsigmoid(self.event_logit(predictor, session)) + predictor.clamp(max=_LARGEST_LOG_RATE)
        return rate * log_rate - log_rate.exp()


def _gamma(shape: Tensor, generator: torch.Generator | None) -> Tensor:
    """Gamma draws of scale one; torch.distributions takes no generator."""
    drawn: Tensor = torch._standard_gamma(shape, generator)
    return drawn


EMISSIONS: dict[str, type[Emission]] = {
    emission.kind: emission for emission in (Poisson, NegativeBinomial, Gaussian, ZeroInflatedGamma)
}
DEFAULT_EMISSION: dict[str, Literal["poisson", "gaussian", "zero_inflated_gamma"]] = {
    "spikes": "poisson",
    "calcium": "gaussian",
    "lfp": "gaussian",
    "events": "zero_inflated_gamma",
}
