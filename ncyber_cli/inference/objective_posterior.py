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

from ncyber_cli.inference.bin_centres import at_bin_centres
from ncyber_cli.inference.encoder import Messages
from ncyber_cli.inference.filter import correction_kl, diagonal_correction
from ncyber_cli.model.gauss_markov import Correction, correct
from ncyber_cli.model.objective import Objective, ObjectiveTransition
from ncyber_cli.model.prototypes import PrototypeLaw


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


@dataclass(frozen=True)
class _Redraws:
    """A sampled path, the drift's mean of each bin, and the posterior's mean and variance given the bin before."""

    path: Float[Tensor, "time trial n_objective"]
    prior_mean: Float[Tensor, "time trial n_objective"]
    mean: Float[Tensor, "time trial n_objective"]
    variance: Float[Tensor, "time trial n_objective"]


def objective_posterior(
    objective: Objective,
    messages: Messages,
    noise: Float[Tensor, "time trial n_objective"],
    seen: Bool[Tensor, "time trial"],
) -> ObjectivePosterior:
    """Sample the posterior of the objective; bins that are not `seen` keep the prior's drift. `noise` is standard."""
    return _POSTERIORS[objective.prior](objective, _chain(objective, messages, noise, seen))


def objective_chain(
    objective: Objective, messages: Messages, seen: Bool[Tensor, "time trial"]
) -> tuple[Float[Tensor, "time trial n_objective"], Float[Tensor, "time trial n_objective"]]:
    """Mean and sd of every bin of the posterior, a Gauss-Markov chain whatever the prior is."""
    chain = _chain(objective, messages, torch.zeros_like(messages.objective), seen)
    mean, _ = sample_objective(objective, chain.correction)
    gain, step = chain.correction.gain, objective.transition().matrix()
    own = chain.variance * (1 - gain)
    if _POSTERIORS[objective.prior] is not _drifting:
        own = own + chain.redraw_variance
    covariance = [torch.diag_embed(own[0])]
    for kept, added in zip((1 - gain[1:]).unbind(0), own[1:].unbind(0), strict=True):
        through = kept[:, :, None] * step
        covariance.append(through @ covariance[-1] @ through.mT + torch.diag_embed(added))
    return mean, torch.stack(covariance).diagonal(dim1=-2, dim2=-1).sqrt()


def _chain(objective: Objective, messages: Messages, noise: Tensor, seen: Tensor) -> _Chain:
    variance = chain_variance(objective.transition(), seen.shape[0])
    target = objective.mean + objective.sd * messages.objective
    correction, constant = diagonal_correction(target, messages.objective_log_ratio, variance, noise, seen)
    redraw = (correction.gain * objective.sd * messages.objective_log_redraw.exp()).square()
    return _Chain(correction, constant, variance, redraw, noise)


@torch.no_grad()
def prototype_probability(
    objective: Objective | None,
    path: Float[Tensor, "time trial n_objective"] | None,
    told: Bool[Tensor, "trial time"],
    mask: Bool[Tensor, "trial time"],
) -> Float[Tensor, "time trial state"] | None:
    """p(z_t | a sampled path) at the centre of each bin, z summed out exactly; None without placed prototypes.

    Bins that are not `told` say nothing of z, so that in a forecast the prior's transitions take over.
    """
    law = None if objective is None else objective.prototype_law()
    if objective is None or law is None or path is None:
        return None
    return at_bin_centres(law.smoothed(objective.normalise(path), told & mask), mask)


def _drifting(objective: Objective, chain: _Chain) -> ObjectivePosterior:
    """Priors `slow`, `static` and `moving`: the drift is all there is."""
    path, prior = sample_objective(objective, chain.correction)
    return ObjectivePosterior(path, correction_kl(prior, chain.correction, chain.variance, chain.constant))


def _redrawn(objective: Objective, chain: _Chain) -> ObjectivePosterior:
    """Prior `jump`: a bin either drifts or is drawn from the stationary law."""
    found = _redraw(objective, chain)
    price = jump_kl(objective, found.mean, found.variance, found.prior_mean, chain.variance)
    return ObjectivePosterior(found.path, price)


def _switching(objective: Objective, chain: _Chain) -> ObjectivePosterior:
    """Prior `switching`: as `jump`, with redraws from prototypes that a hidden chain chooses."""
    law = objective.prototype_law()
    if law is None:
        return _redrawn(objective, chain)
    found = _redraw(objective, chain)
    path, mean = objective.normalise(found.path), objective.normalise(found.mean)
    return ObjectivePosterior(found.path, switching_kl(law, path, mean, found.variance / objective.sd.square()))


def _redraw(objective: Objective, chain: _Chain) -> _Redraws:
    """A redraw has a width of its own."""
    target, gain = chain.correction.target, chain.correction.gain
    variance = chain.variance * (1 - gain) + chain.redraw_variance
    path, prior = sample_objective(objective, Correction(target, gain, variance.sqrt() * chain.noise))
    return _Redraws(path, prior, correct(prior, target, gain, torch.zeros_like(chain.noise)), variance)


_POSTERIORS: dict[str, Callable[[Objective, _Chain], ObjectivePosterior]] = {
    "slow": _drifting,
    "static": _drifting,
    "moving": _drifting,
    "jump": _redrawn,
    "switching": _switching,
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
    for target, gain, noise in zip(
        correction.target[1:].unbind(0), correction.gain[1:].unbind(0), correction.noise[1:].unbind(0), strict=True
    ):
        prior = step.ahead(path[-1])
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


def switching_kl(
    law: PrototypeLaw,
    path: Float[Tensor, "time trial n_objective"],
    mean: Float[Tensor, "time trial n_objective"],
    variance: Float[Tensor, "time trial n_objective"],
) -> Float[Tensor, "time trial"]:
    """KL of each bin's N(mean, variance) from the `switching` prior given the sampled path before it, in nats.

    The chain rule of KL: bin t is charged KL(q(o_t | o_{t-1}) || p(o_t | o_1 ... o_{t-1})). The second is a mixture
    over the prototypes before and after the step, whose weights are the exact filter's given the path: the discrete
    path is summed out, never sampled. The KL to the mixture is bounded as in `jump_kl`, by an expression without
    sampling noise that is exact where one component explains the bin, which is all bins but those of a change. The
    ELBO stays a lower bound. One sample of log p(path) - log q(path) would be unbiased, but in every bin of a dwell it
    has a noise of its own; a posterior over discrete paths would have to be sampled to drive the body, and a discrete
    sample passes no gradient.
    """
    within = _gaussian_kl(mean[1:, :, None], variance[1:, :, None], law.held_mean(path[:-1]), law.step_variance)
    nearby, anywhere = (
        _gaussian_kl(mean[:, :, None], variance[:, :, None], law.position, around)
        for around in (law.spread.square(), torch.ones_like(law.spread))
    )
    entry = law.entry(-nearby, -anywhere)
    first = math.log(len(law.position)) - torch.logsumexp(entry[0], -1)
    known = law.filtered(path).log_state[:-1, :, :, None]
    later = -torch.logsumexp((known + law.log_moves() + law.by_step(-within, entry[1:])).flatten(2), -1)
    return torch.cat([first[None], later])


def _gaussian_kl(mean: Tensor, variance: Tensor, prior_mean: Tensor, prior_variance: Tensor) -> Tensor:
    """KL between diagonal Gaussians, summed over the last axis."""
    ratio = variance / prior_variance
    return 0.5 * (ratio - 1 - ratio.log() + (mean - prior_mean).square() / prior_variance).sum(-1)
