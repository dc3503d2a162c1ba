"""One training step: loss, gradient, update. No Python work per animal, no host sync."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ncyber_cli.data.batches import Batch
from ncyber_cli.inference.elbo import (
    ElboTerms,
    NeuroModel,
    Noise,
    Posterior,
    body_residuals,
    elbo_terms,
    sample_posterior,
)
from ncyber_cli.inference.targets import Targets
from ncyber_cli.memory import too_large_told
from ncyber_cli.training.blinding import Blinding

_LARGEST_GRADIENT = 1.0  # norm, of a loss in nats per bin
_CAUSAL_WEIGHT = 0.1  # the causal heads read the encoder's forward pass; enough to serve them, too little to steer it


@dataclass(frozen=True)
class StepResult:
    """Device tensors; read them when the host has time."""

    loss: Float[Tensor, ""]
    elbo: Float[Tensor, ""]  # nats per bin
    finite: Float[Tensor, ""]  # 1 where the step was taken


def loss_of(
    model: NeuroModel,
    batch: Batch,
    blinding: Blinding,
    noise: Noise,
    kl_weight: float,
    n_trial: int,
    targets: Targets | None = None,
) -> tuple[Tensor, ElboTerms, Posterior]:
    """Negative ELBO, causal heads and priors, in nats per bin; `n_trial` trials share the priors.

    A teacher's `targets` are added to it.
    """
    view = model.encoder.view(
        batch,
        keep=blinding.keep,
        keep_scale=blinding.keep_scale,
        visible=blinding.visible,
        show_neural=blinding.show_neural,
        show_body=blinding.show_body,
    )
    # A body that is fed back is its mean: samples of its noise would be scored against what really happened.
    silent = noise.body.masked_fill(blinding.own_body.T[:, :, None], 0.0)
    posterior = sample_posterior(model, batch, view, replace(noise, body=silent), own_body=blinding.own_body)
    terms = elbo_terms(model, batch, posterior, blinding.scored, targets)
    objective = terms.elbo(kl_weight) + terms.taught + _CAUSAL_WEIGHT * terms.causal
    prior = model.log_prior() * (len(batch.session) / n_trial)
    cost = model.loop.message_cost(posterior.trajectory.latent, batch.mask.T)
    if cost is not None:
        prior = prior - cost
    n_bin = batch.mask.sum().clamp(min=1)
    return -(objective.sum() + prior) / n_bin, terms, posterior


def train_step(
    model: NeuroModel,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    blinding: Blinding,
    noise: Noise,
    kl_weight: float,
    n_trial: int,
    targets: Targets | None = None,
    n_recorded: int | None = None,
) -> StepResult:
    """Update the model in place; a step whose loss or gradient is not finite leaves every parameter as it was.

    The first `n_recorded` trials of the batch (default all) were recorded: variances are theirs alone. Noise that a
    model has made up is as large as it believed already, and grew by a fifth from a fit to its student.

    Raises TooLarge where memory does not suffice for loss and gradient, before anything has changed.
    """
    optimizer.zero_grad(set_to_none=True)
    with too_large_told():
        loss, terms, posterior = loss_of(model, batch, blinding, noise, kl_weight, n_trial, targets)
        loss.backward()  # type: ignore[no-untyped-call]
    parameters = [p for p in model.parameters() if p.grad is not None]
    norm = torch.nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT)
    finite = torch.isfinite(norm) & torch.isfinite(loss)
    before = [p.detach().clone() for p in parameters]
    for p in parameters:
        p.grad = torch.where(finite, p.grad, 0.0) if p.grad is not None else None
    optimizer.step()
    with torch.no_grad():
        for p, old in zip(parameters, before, strict=True):
            p.copy_(torch.where(finite, p, old))
    _update_variances(model, batch if n_recorded is None else _recorded(batch, n_recorded), posterior)
    model.loop.orient()
    elbo = terms.elbo().sum() / batch.mask.sum().clamp(min=1)
    return StepResult(loss.detach(), elbo.detach(), finite.to(loss.dtype))


def _recorded(batch: Batch, number: int) -> Batch:
    """The batch with its first trials alone observed."""
    first = (torch.arange(len(batch.session), device=batch.session.device) < number)[:, None, None]
    return replace(batch, observed=batch.observed & first, body_recorded=batch.body_recorded & first)


def _update_variances(model: NeuroModel, batch: Batch, posterior: Posterior) -> None:
    """Closed-form steps of every variance; they ignore what is not finite."""
    loop = model.loop
    with torch.no_grad():
        if loop.body is not None:
            residual, recorded = body_residuals(loop, batch, posterior.trajectory)
            recorded = recorded & (posterior.bins_ahead == 1)[:, :, None]
            loop.body.residual.update(residual, batch.animal, recorded)
        emission = loop.emission
        if emission.has_variance or emission.drift is not None:
            latent = posterior.trajectory.latent.transpose(0, 1)
            predictor = emission.predictor(latent, batch.session, batch.when)
            emission.update_variance(batch.observation, batch.observed, predictor, batch.session)
            emission.update_drift(batch.observed, predictor, batch.session)
