"""One step of a Gauss-Markov chain, with or without a correction.

The prior of a bin is N(m, Q). A Gaussian pseudo-observation with mean k and precision L corrects it
to N(m + G (k - m), (I - G) Q) with gain G = (Q^-1 + L)^-1 L. Zero gain leaves the prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Correction:
    """Messages combined with the prior variance: what the recursion needs, for every bin at once.

    gain is (..., n) for diagonal or (..., n, n) for full precision.
    """

    target: Float[Tensor, "*batch n"]
    gain: Tensor
    noise: Float[Tensor, "*batch n"]  # posterior sd times standard noise


def correct(prior_mean: Tensor, target: Tensor, gain: Tensor, noise: Tensor) -> Tensor:
    """One sample of the corrected bin; the last axis of `prior_mean` is the state."""
    if gain.ndim == prior_mean.ndim:
        return torch.lerp(prior_mean, target, gain) + noise
    return prior_mean + (gain @ (target - prior_mean)[..., None])[..., 0] + noise


def no_correction(prior_variance: Tensor, standard_noise: Float[Tensor, "*batch n"]) -> Correction:
    """The prior itself."""
    zero = torch.zeros_like(standard_noise)
    return Correction(zero, zero, prior_variance.sqrt() * standard_noise)
