"""Distillation: what a teacher says of a batch, and what it adds to the likelihood (Hinton et al. 2015).

The target of an entry is the expected log density of observations that the teacher's rate would have given. For
counts it is, up to a constant, minus the KL divergence of Poisson(teacher) to Poisson(student): a recording of the
same trial without its noise. It is added to the ELBO of the data, w E[log p(y' | x)] with y' from the teacher.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from ncyber_cli.model.emission import Emission


@dataclass(frozen=True)
class Targets:
    """A teacher's rates of the trials of a batch."""

    rate: Float[Tensor, "trial time unit"]  # expected observation a bin; zeros where nothing is known
    known: Bool[Tensor, "trial time unit"]
    weight: float  # w

    def among(self, n_trial: int, n_time: int) -> Targets:
        """The same at the head of a larger batch, of whose other trials and bins nothing is known."""
        grown = (0, 0, 0, n_time - self.rate.shape[1], 0, n_trial - len(self.rate))
        return Targets(pad(self.rate, grown), pad(self.known, grown), self.weight)

    def gain(
        self, emission: Emission, predictor: Float[Tensor, "trial time unit"], session: Int[Tensor, " trial"]
    ) -> Float[Tensor, " trial"]:
        """What is added, in nats and up to a constant; an entry is taught whether the encoder saw it or not."""
        taught = emission.expected_log_density(self.rate, predictor, session)
        return self.weight * torch.where(self.known, taught, 0.0).sum((1, 2))
