"""The parametric bootstrap of a recording: what its neurons would have emitted another time (Efron & Tibshirani 1993).

Everything else of a trial stays as it was recorded, its body and inputs too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ncyber_cli.data.batches import Batch
from ncyber_cli.inference.elbo import NeuroModel, sample_posterior
from ncyber_cli.inference.posterior import view_of
from ncyber_cli.inference.trial_noise import TrialKey, trial_noise
from ncyber_cli.spec import Inference


@torch.no_grad()
def fresh_activity(
    model: NeuroModel, batch: Batch, inference: Inference, keys: Sequence[TrialKey], generator: torch.Generator
) -> Float[Tensor, "trial time unit"]:
    """What every unit emits, in each trial, on a path drawn from the model's posterior of that trial.

    `keys` fix the path, with the generator's noise of the emission on it.
    """
    noise = trial_noise(model, keys, batch.mask.shape[1], 0, 0)
    drawn = sample_posterior(model, batch, view_of(model, batch, inference, "both"), noise)
    latent, emission = drawn.trajectory.latent.transpose(0, 1), model.loop.emission
    return emission.sample(emission.predictor(latent, batch.session, batch.when), batch.session, generator)
