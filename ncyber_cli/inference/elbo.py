"""The evidence lower bound of a batch: what the model explains, less what its posterior costs.

One function samples the posterior (`sample_posterior`), one scores the sample (`elbo_terms`).
Both are pure in the tensors they are given: noise comes in, nothing is read back to the host.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ncyber_cli.data.batches import Batch
from ncyber_cli.inference.encoder import Encoder, Messages, View
from ncyber_cli.inference.filter import correction_kl, diagonal_correction
from ncyber_cli.inference.mixture import MixtureHead
from ncyber_cli.inference.objective_posterior import objective_posterior, prototype_probability
from ncyber_cli.inference.prototype_head import PrototypeHead
from ncyber_cli.inference.read_in_law import ReadInLaw
from ncyber_cli.inference.readers import Readers, Reading
from ncyber_cli.inference.targets import Targets
from ncyber_cli.model.body import recorded_residuals
from ncyber_cli.model.closed_loop import ClosedLoop, Given, Trajectory


class NeuroModel(nn.Module):
    """Everything a checkpoint holds: generative model, encoder, and what reads it.

    `causal_latent` is q_c(x_t | data <= t), trained by log-likelihood on samples of the smoothing posterior and not by
    the prior's KL: a change of belief is not a change of state. `readers` (with an objective) learn after the fit.
    """

    def __init__(
        self,
        loop: ClosedLoop,
        encoder: Encoder,
        causal_latent: MixtureHead,
        causal_prototypes: PrototypeHead | None = None,
        readers: Readers | None = None,
    ) -> None:
        super().__init__()
        self.loop, self.encoder, self.readers = loop, encoder, readers
        self.causal_latent, self.causal_prototypes = causal_latent, causal_prototypes
        self.read_in_law: ReadInLaw | None = None  # where neurons of other animals say how new ones are read

    def log_prior(self) -> Float[Tensor, ""]:
        """Priors of every part, up to a constant."""
        total = self.loop.log_prior()
        return total if self.read_in_law is None else total + self.read_in_law.log_density(self)


@dataclass(frozen=True)
class Noise:
    """Standard noise of one posterior sample, time first."""

    latent: Float[Tensor, "time trial n_latent"]
    objective: Float[Tensor, "time trial n_objective"]
    actuator: Float[Tensor, "trial n_control"]
    body: Float[Tensor, "time trial n_residual"]  # Student-t already, in units of its scale
    embedding: Float[Tensor, "trial size"]


def noise_sizes(model: NeuroModel) -> tuple[int, int, int, int, int]:
    """Features of latent, objective, actuator, body and embedding noise."""
    loop = model.loop
    return (
        loop.brain.areas.size,
        0 if loop.objective is None else loop.objective.size,
        0 if loop.controller is None else loop.controller.n_control,
        0 if loop.body is None else loop.body.residual.scale.shape[1],
        loop.brain.individuals.size,
    )


def draw_noise(model: NeuroModel, n_time: int, n_trial: int, generator: torch.Generator | None) -> Noise:
    """Fresh noise in the model's dtype and device, all from one generator (None: a meta device has none)."""
    like = model.loop.initial_mean
    n_latent, n_objective, n_control, n_residual, n_embedding = noise_sizes(model)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)

    student = normal(n_time, n_trial, n_residual)
    # Three degrees of freedom, as the body's residual.
    chi_square = normal(3, n_time, n_trial, n_residual).square().sum(0)
    return Noise(
        normal(n_time, n_trial, n_latent),
        normal(n_time, n_trial, n_objective),
        normal(n_trial, n_control),
        student / (chi_square / 3).clamp(min=1e-4).sqrt(),
        normal(n_trial, n_embedding),
    )


def no_noise(model: NeuroModel, n_time: int, n_trial: int) -> Noise:
    """Zeros: the posterior's, or the prior's, own mean path."""
    like = model.loop.initial_mean
    n_latent, n_objective, n_control, n_residual, n_embedding = noise_sizes(model)
    latent, objective, body = (like.new_zeros(n_time, n_trial, n) for n in (n_latent, n_objective, n_residual))
    return Noise(latent, objective, like.new_zeros(n_trial, n_control), body, like.new_zeros(n_trial, n_embedding))


@dataclass(frozen=True)
class Posterior:
    """One sample of everything latent, with the KL of every bin (nats); time first."""

    trajectory: Trajectory
    objective: Float[Tensor, "time trial n_objective"] | None
    chain: Float[Tensor, "time trial n_objective"] | None  # the objective as the ELBO has it, before it is read
    kl_latent: Float[Tensor, "time trial"]
    kl_objective: Float[Tensor, "time trial"]
    kl_actuator: Float[Tensor, " trial"]
    messages: Messages
    bins_ahead: Int[Tensor, "trial time"]  # since the body fed back was a recorded one; 1 is one step ahead


def sample_posterior(
    model: NeuroModel,
    batch: Batch,
    view: View,
    noise: Noise,
    *,
    own_body: Bool[Tensor, "trial time"] | None = None,
    messages: Messages | None = None,
    reading: Reading | None = None,
) -> Posterior:
    """Run the filter posterior. In `own_body` bins the model's own body replaces the recorded one as feedback.

    `messages` are those of the view where they are known: many samples need the encoder once. With a `reading` of
    them the objective is as uncertain as the run's reader has learned; the ELBO knows nothing of it.
    """
    loop = model.loop
    messages = model.encoder(view) if messages is None else messages
    seen = view.seen.T
    variance = loop.latent_variance(seen.shape[0], batch.midway)
    correction, constant = diagonal_correction(
        messages.latent, messages.latent_log_ratio, variance, noise.latent, seen, loop.silent(batch.input)
    )
    objective, chain, kl_objective = None, None, torch.zeros_like(constant)
    if loop.objective is not None:
        found = objective_posterior(loop.objective, messages, noise.objective, seen)
        objective, chain, kl_objective = found.path, found.path, found.kl
        if reading is not None:
            objective = reading.of(objective)
    actuator, kl_actuator = _first_actuator(loop, messages, noise.actuator)
    trajectory = loop.unroll(given_of(model, batch, noise, objective, actuator, own_body), correction)
    kl_latent = correction_kl(trajectory.prior_latent, correction, variance, constant)
    ahead = bins_ahead(torch.zeros_like(batch.mask) if own_body is None else own_body)
    return Posterior(trajectory, objective, chain, kl_latent, kl_objective, kl_actuator, messages, ahead)


def bins_ahead(own_body: Bool[Tensor, "trial time"]) -> Int[Tensor, "trial time"]:
    """How many bins each prediction of the body reaches: since the last bin before it that was not the model's own."""
    bins = torch.arange(own_body.shape[1], device=own_body.device)
    told = torch.where(own_body, -1, bins).cummax(1).values
    return bins - torch.cat([torch.full_like(told[:, :1], -1), told[:, :-1]], 1)


def given_of(
    model: NeuroModel,
    batch: Batch,
    noise: Noise,
    objective: Tensor | None,
    actuator: Tensor | None,
    own_body: Tensor | None,
) -> Given:
    """The recorded side of a rollout; where the body is not recorded the model's own fills in."""
    loop = model.loop
    body = known = body_noise = None
    if loop.body is not None:
        first = torch.where(batch.body_recorded[:, 0], batch.body[:, 0], model.encoder.body_mean)
        body = torch.cat([first[:, None], batch.body[:, 1:]], 1).transpose(0, 1)
        known = batch.body_recorded if own_body is None else batch.body_recorded & ~own_body[:, :, None]
        known = known.transpose(0, 1)
        body_noise = loop.body.residual.scale[batch.animal] * noise.body
    force = batch.force.transpose(0, 1) if batch.force.shape[2] else None
    embedding = loop.brain.individuals(batch.animal, batch.session, noise.embedding)
    inputs = batch.input.transpose(0, 1)
    return Given(
        batch.animal, inputs, embedding, force, objective, actuator, body, known, body_noise,
        silent=loop.silent(batch.input), midway=batch.midway,
    )  # fmt: skip


def _first_actuator(loop: ClosedLoop, messages: Messages, noise: Tensor) -> tuple[Tensor | None, Tensor]:
    """The muscle's value in the first bin, prior N(0, control scale^2), and its KL."""
    if loop.controller is None:
        return None, messages.actuator.new_zeros(messages.actuator.shape[0])
    sd = messages.actuator_log_sd.exp()
    kl = 0.5 * (messages.actuator.square() + sd.square() - 1 - 2 * messages.actuator_log_sd).sum(-1)
    return loop.controller.control_scale * (messages.actuator + sd * noise), kl


@dataclass(frozen=True)
class ElboTerms:
    """Nats per trial; ELBO = neural + body - kl."""

    neural: Float[Tensor, " trial"]
    body: Float[Tensor, " trial"]
    kl_latent: Float[Tensor, " trial"]
    kl_objective: Float[Tensor, " trial"]
    causal: Float[Tensor, " trial"]
    taught: Float[Tensor, " trial"]  # what a teacher's targets add to the likelihood; no part of the ELBO

    def elbo(self, kl_weight: float | Tensor = 1.0) -> Float[Tensor, " trial"]:
        return self.neural + self.body - kl_weight * (self.kl_latent + self.kl_objective)


def elbo_terms(
    model: NeuroModel,
    batch: Batch,
    posterior: Posterior,
    scored: Float[Tensor, "trial time unit"],
    targets: Targets | None = None,
) -> ElboTerms:
    """Score one posterior sample; `scored` weighs each neural entry (zero where it is not to be scored)."""
    loop, trajectory = model.loop, posterior.trajectory
    latent = trajectory.latent.transpose(0, 1)
    predictor = loop.emission.predictor(latent, batch.session, batch.when)
    density = loop.emission.log_density(batch.observation, batch.observed, predictor, batch.session)
    neural = torch.where(scored > 0, density * scored, 0.0).sum((1, 2))
    taught = torch.zeros_like(neural)
    if targets is not None:
        taught = targets.gain(loop.emission, predictor, batch.session)
    in_trial = batch.mask.T
    kl_latent = (posterior.kl_latent * in_trial).sum(0)
    kl_objective = (posterior.kl_objective * in_trial).sum(0) + posterior.kl_actuator
    body = torch.zeros_like(neural)
    if loop.body is not None:
        residual, recorded = body_residuals(loop, batch, trajectory)
        body = loop.body.residual.log_density(residual, batch.animal, recorded, posterior.bins_ahead).sum(1)
    state = posterior.messages.causal_state
    causal = model.causal_latent(state).log_density(trajectory.latent.detach())
    probability = prototype_probability(loop.objective, posterior.chain, batch.mask, batch.mask)
    if model.causal_prototypes is not None and probability is not None:
        causal = causal + model.causal_prototypes.log_likelihood(state, probability)
    return ElboTerms(neural, body, kl_latent, kl_objective, (causal * in_trial).sum(0), taught)


def body_residuals(loop: ClosedLoop, batch: Batch, trajectory: Trajectory) -> tuple[Tensor, Tensor]:
    """Recorded minus predicted, one step ahead, (trial, time, n_residual), and where it counts (not in bin 0)."""
    assert loop.body is not None
    assert trajectory.predicted_body is not None
    residual = loop.body.residual_of(batch.body, trajectory.predicted_body.transpose(0, 1))
    recorded = recorded_residuals(batch.body_recorded, residual.shape[2])
    later = torch.arange(recorded.shape[1], device=recorded.device) > 0
    return residual, recorded & later[None, :, None]
