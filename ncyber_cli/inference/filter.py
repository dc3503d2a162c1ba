"""The filter posterior: the prior's own dynamics, corrected in every bin, and the price of each correction.

The messages (k_t, L_t) stand for the information in bin t AND what follows. Given them as backward
information messages in full precision the posterior is the exact smoother of a linear-Gaussian
chain and the ELBO its log evidence; with diagonal precision the ELBO stays below it.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import softplus

from ncyber_cli.model.gauss_markov import Correction, correct


def diagonal_correction(
    target: Float[Tensor, "time trial n"],
    log_ratio: Float[Tensor, "time trial n"],
    prior_variance: Tensor,
    standard_noise: Float[Tensor, "time trial n"],
    seen: Bool[Tensor, "time trial"],
    silent: Bool[Tensor, "time trial n"] | None = None,
) -> tuple[Correction, Float[Tensor, "time trial"]]:
    """The correction, and the part of its KL that does not depend on the sample; blind bins keep the prior.

    So do `silent` latents, of which nothing can be learned. `log_ratio` is log(L Q), the message's precision over the
    prior's: as Q shrinks in training the gain stays, and Q is felt through the noise that it injects.
    """
    here = seen[..., None] if silent is None else seen[..., None] & ~silent
    gain = torch.sigmoid(log_ratio) * here
    noise = (prior_variance * (1 - gain)).sqrt() * standard_noise
    return Correction(target, gain, noise), 0.5 * (softplus(log_ratio) * here - gain).sum(-1)


def full_correction(
    target: Float[Tensor, "time trial n"],
    precision: Float[Tensor, "time trial n n"],
    prior_variance: Tensor,
    standard_noise: Float[Tensor, "time trial n"],
) -> tuple[Correction, Float[Tensor, "time trial"]]:
    """As `diagonal_correction`, with full precision: the exact case."""
    prior_precision = torch.diag_embed((1 / prior_variance).expand(target.shape))
    factor = torch.linalg.cholesky(prior_precision + precision)
    covariance = torch.cholesky_inverse(factor)
    gain = covariance @ precision
    noise = (torch.linalg.cholesky(covariance) @ standard_noise[..., None])[..., 0]
    log_shrink = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + prior_variance.log().expand(target.shape).sum(-1)
    return Correction(target, gain, noise), 0.5 * (log_shrink - gain.diagonal(dim1=-2, dim2=-1).sum(-1))


def correction_kl(
    prior_mean: Float[Tensor, "time trial n"],
    correction: Correction,
    prior_variance: Tensor,
    constant: Float[Tensor, "time trial"],
) -> Float[Tensor, "time trial"]:
    """KL of each corrected bin from its prior, in nats, closed form given the sample at t-1."""
    shift = correct(prior_mean, correction.target, correction.gain, torch.zeros_like(prior_mean)) - prior_mean
    return constant + 0.5 * (shift.square() / prior_variance).sum(-1)
