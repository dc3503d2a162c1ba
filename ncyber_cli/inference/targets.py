"""Distillation: what a teacher says of a batch, and what the likelihood makes of it (Hinton et al. 2015).

The target of an entry is the expected log density of observations that the teacher's rate would have given. For
counts it is, up to a constant, minus the KL divergence of Poisson(teacher) to Poisson(student): a recording of the
same trial without its noise. It takes a share w of the entry's own likelihood and keeps the scale of the ELBO:

    (1 - w) log p(y | x) + w E[log p(y' | x)],  y' from the teacher.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ncyber_cli.model.emission import Emission


@dataclass(frozen=True)
class Targets:
    """A teacher's rates of the trials of a batch."""

    rate: Float[Tensor, "trial time unit"]  # expected observation a bin; zeros where nothing is known
    known: Bool[Tensor, "trial time unit"]
    weight: float  # the share w, where the rate is known

    def gain(
        self,
        emission: Emission,
        predictor: Float[Tensor, "trial time unit"],
        own: Float[Tensor, "trial time unit"],
        session: Int[Tensor, " trial"],
    ) -> Float[Tensor, " trial"]:
        """What the likelihood gains, in nats, over `own`, the log density of the data as far as it is scored.

        An entry is taught whether it is scored or not: the encoder may have seen the data, never the teacher's rates.
        """
        taught = emission.expected_log_density(self.rate, predictor, session)
        return torch.where(self.known, self.weight * (taught - own), 0.0).sum((1, 2))
