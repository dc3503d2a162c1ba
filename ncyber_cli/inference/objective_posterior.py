"""The posterior of the objective: a Gauss-Markov chain that the encoder corrects, and what its prior charges.

The objective does not depend on the brain, so that its path is sampled before the recursion. Each prior is one
function of `_POSTERIORS`: from the chain to a path and the KL of every bin.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ncyber_cli.inference.encoder import Messages
from ncyber_cli.inference.filter import correction_kl, diagonal_correction
from ncyber_cli.model.gauss_markov import Correction, correct
from ncyber_cli.model.objective import Objective, ObjectiveTransition


@dataclass(frozen=True)
class ObjectivePosterior:
    """One sampled path, in the objective's units, and what each bin costs given the bins before it, in nats."""

    path: Float[Tensor, "time trial n_objective"]
    kl: Float[Tensor, "time trial"]


@dataclass(frozen=True)
class _Chain:
    """The prior's drift corrected by the messages; `redraw_variance` is what a redrawn bin adds of its own."""

    correction: Correction
    constant: Float[Tensor, "time trial"]  # of the KL, see `diagonal_correction`
    variance: Float[Tensor, "time 1 n_objective"]  # of the prior's drift
    redraw_variance: Float[Tensor, "time trial n_objective"]
    noise: Float[Tensor, "time trial n_objective"]  # standard


def objective_posterior(
    objective: Objective,
    messages: Messages,
    noise: Float[Tensor, "time trial n_objective"],
    seen: Bool[Tensor, "time trial"],
) -> ObjectivePosterior:
    """Sample the posterior of the objective; bins that are not `seen` keep the prior's drift. `noise` is standard."""
    variance = chain_variance(objective.transition(), seen.shape[0])
    target = objective.mean + objective.sd * messages.objective
    correction, constant = diagonal_correction(target, messages.objective_log_ratio, variance, noise, seen)
    redraw = (correction.gain * objective.sd * messages.objective_log_redraw.exp()).square()
    return _POSTERIORS[objective.prior](objective, _Chain(correction, constant, variance, redraw, noise))


def _drifting(objective: Objective, chain: _Chain) -> ObjectivePosterior:
    """Priors `slow` and `static`: the drift is all there is."""
    path, prior = sample_objective(objective, chain.correction)
    return ObjectivePosterior(path, correction_kl(prior, chain.correction, chain.variance, chain.constant))


def _redrawn(objective: Objective, chain: _Chain) -> ObjectivePosterior:
    """Prior `jump`: a redraw has a width of its own."""
    target, gain = chain.correction.target, chain.correction.gain
    variance = chain.variance * (1 - gain) + chain.redraw_variance
    path, prior = sample_objective(objective, Correction(target, gain, variance.sqrt() * chain.noise))
    mean = correct(prior, target, gain, torch.zeros_like(chain.noise))
    return ObjectivePosterior(path, jump_kl(objective, mean, variance, prior, chain.variance))


_POSTERIORS: dict[str, Callable[[Objective, _Chain], ObjectivePosterior]] = {
    "slow": _drifting,
    "static": _drifting,
    "jump": _redrawn,
}


def chain_variance(step: ObjectiveTransition, n_time: int) -> Float[Tensor, "time 1 n_objective"]:
    """Prior variance of every bin of the objective's chain given the bin before."""
    rest = step.variance.expand(n_time - 1, 1, -1)
    return torch.cat([step.stationary_variance.expand(1, 1, -1), rest])


def sample_objective(objective: Objective, correction: Correction) -> tuple[Tensor, Tensor]:
    """An objective path (time, trial, n) from the posterior chain, and the prior mean of each bin."""
    step = objective.transition()
    prior = step.mean.expand_as(correction.target[0])
    means, path = [prior], [correct(prior, correction.target[0], correction.gain[0], correction.noise[0])]
    offset = (1 - step.decay) * step.mean
    for target, gain, noise in zip(
        correction.target[1:].unbind(0), correction.gain[1:].unbind(0), correction.noise[1:].unbind(0), strict=True
    ):
        prior = torch.addcmul(offset, step.decay, path[-1])
        means.append(prior)
        path.append(correct(prior, target, gain, noise))
    return torch.stack(path), torch.stack(means)


def jump_kl(
    objective: Objective, mean: Tensor, variance: Tensor, slow_mean: Tensor, slow_variance: Tensor
) -> Float[Tensor, "time trial"]:
    """KL from N(mean, variance) to the `jump` prior, in nats, bounded from above in closed form.

    KL(q || sum_k w_k p_k) <= -log sum_k w_k exp(-KL(q || p_k)) (Hershey & Olsen 2007), so the ELBO stays
    a lower bound. Bin 0 has no bin before it: its prior is the stationary law alone.
    """
    slow = _gaussian_kl(mean, variance, slow_mean, slow_variance)
    redraw = _gaussian_kl(mean, variance, objective.mean, objective.sd.square())
    jump = objective.jump_probability
    mixed = -torch.logaddexp(math.log1p(-jump) - slow, math.log(jump) - redraw)
    return torch.cat([slow[:1], mixed[1:]])


def _gaussian_kl(mean: Tensor, variance: Tensor, prior_mean: Tensor, prior_variance: Tensor) -> Tensor:
    """KL between diagonal Gaussians, summed over the last axis."""
    ratio = variance / prior_variance
    return 0.5 * (ratio - 1 - ratio.log() + (mean - prior_mean).square() / prior_variance).sum(-1)
