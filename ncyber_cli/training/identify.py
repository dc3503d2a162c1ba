"""Which gains, cost weights and delays of an animal the data fix, how well, and which they cannot tell apart.

The Fisher information of the logarithms, from the score of every training trial: the derivative of its
ELBO with the encoder held, which at the optimum is that of the evidence. Two independent posterior samples a trial
keep the sampling noise of scores out of their products. A weak prior, a factor of e^2, makes every
covariance finite. What this leaves out is error of the model itself, which is no matter of more trials.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ncyber_cli.data.batches import Batch, Cohort, Picks
from ncyber_cli.inference.elbo import NeuroModel, Noise, draw_noise, elbo_terms, sample_posterior
from ncyber_cli.inference.encoder import Messages, View
from ncyber_cli.model.body import PointMass
from ncyber_cli.model.controller import Lqr, Setpoint
from ncyber_cli.model.meta import Pooled
from ncyber_cli.spec import Inference
from ncyber_cli.training.blinding import shown

_STEP = 0.05  # of a logarithm, either way: small against what matters, large against rounding
_PRIOR_SD = 2.0
_UNCERTAIN = 0.5  # sd of a logarithm, a factor of 1.65, above which a direction counts as not identified
_NAMED = 0.3  # share of a direction from which a constant is named in it
_MOST_TRIALS = 128  # of an animal
_SEED = 3


@dataclass(frozen=True)
class Quantity:
    """One positive number of every animal: an entry of a pooled parameter."""

    name: str
    pooled: Pooled
    entry: int


@dataclass(frozen=True)
class Identified:
    """What the data say of one animal's constants. Cost weights are ratios to the weight of effort."""

    names: list[str]
    log_values: NDArray[np.float64]
    covariance: NDArray[np.float64]  # of the logarithms

    @property
    def log_sd(self) -> NDArray[np.float64]:
        deviation: NDArray[np.float64] = np.sqrt(self.covariance.diagonal())
        return deviation

    def log_sd_of(self, name: str) -> float | list[float] | None:
        """Of a constant and all its axes, None where it is not learned."""
        found = [
            float(sd)
            for each, sd in zip(self.names, self.log_sd, strict=True)
            if each == name or each.rpartition("_")[0] == name
        ]
        return found[0] if name in self.names else found or None

    def not_told_apart(self) -> list[str]:
        """Directions along which one sd is a factor of 1.65 or more, in words; the widest first."""
        variance, directions = np.linalg.eigh(self.covariance)
        wide = [k for k in reversed(range(len(variance))) if variance[k] >= _UNCERTAIN**2]
        return [self._in_words(directions[:, k] * np.sqrt(variance[k])) for k in wide]

    def _in_words(self, change: NDArray[np.float64]) -> str:
        largest = np.abs(change).max()
        change = change * np.sign(change[np.abs(change).argmax()])
        moved = [
            f"{name} x {math.exp(by):.2g}"
            for name, by in zip(self.names, change, strict=True)
            if abs(by) >= _NAMED * largest
        ]
        if len(moved) == 1:
            return f"{moved[0]} is within one standard deviation"
        return f"{', '.join(moved[:-1])} and {moved[-1]}, together, are within one standard deviation"


def quantities(model: NeuroModel) -> list[Quantity]:
    """Every learned constant of controller, muscle, mass and feedback."""
    loop, found = model.loop, list[tuple[str, Pooled]]()
    if isinstance(loop.controller, Lqr):
        found += [(name, getattr(loop.controller, name)) for name in ("position_weight", "velocity_weight", "bound")]
    if isinstance(loop.controller, Setpoint):
        found += [(name, getattr(loop.controller, name)) for name in ("stiffness", "damping", "bound")]
    if loop.body is not None and loop.body.lag is not None:
        found.append(("muscle_lag", loop.body.lag))
    if isinstance(loop.body, PointMass):
        found.append(("mass", loop.body.mass))
    if loop.environment is not None:
        found.append(("feedback_delay", loop.environment.delay))
    return [
        Quantity(name if pooled.log_shared.ndim == 0 else f"{name}_{entry}", pooled, entry)
        for name, pooled in found
        if pooled.log_shared.requires_grad
        for entry in range(pooled.log_shared.numel())
    ]


@torch.no_grad()
def weight_identifiability(model: NeuroModel, cohort: Cohort, picks: Picks, inference: Inference) -> list[Identified]:
    """One record an animal, in the cohort's order; `picks` are the trials that the model was fitted to.

    Empty where the model has no such constants. A constant that acts on nothing, as a mass without a recorded force,
    keeps the prior's sd of 2.
    """
    asked = quantities(model)
    if not asked:
        return []
    animal_of = np.array(cohort.animal_of)[picks[:, 0]]
    identified = []
    for animal in range(len(cohort.animals)):
        own = picks[animal_of == animal]
        scores = _scores(model, cohort, _spread(own), asked, inference)
        information = _information(scores.double().cpu().numpy(), len(own))
        covariance = np.asarray(np.linalg.inv(information), np.float64)
        index = torch.tensor([animal], device=model.loop.initial_mean.device)
        values = [float(each.pooled(index).view(-1)[each.entry].log()) for each in asked]
        identified.append(Identified([each.name for each in asked], np.array(values), covariance))
    return identified


def _spread(picks: Picks) -> Picks:
    """At most so many of them, evenly."""
    return picks[:: max(1, -(-len(picks) // _MOST_TRIALS))]


def _scores(model: NeuroModel, cohort: Cohort, picks: Picks, asked: list[Quantity], inference: Inference) -> Tensor:
    """d ELBO / d log value of each quantity, (sample 2, quantity, trial), by central differences in the same noise."""
    device = model.loop.initial_mean.device
    batch = cohort.batch(picks).to(device)
    show_neural, show_body = shown(batch, inference)
    view = model.encoder.view(batch, show_neural=show_neural, show_body=show_body)
    messages, generator = model.encoder(view), torch.Generator(device).manual_seed(_SEED)
    samples = []
    for _ in range(2):
        noise = draw_noise(model, batch.mask.shape[1], len(picks), generator)
        slopes = []
        for each in asked:
            ends = [_elbo_at(model, batch, view, messages, noise, each, step) for step in (_STEP, -_STEP)]
            slopes.append((ends[0] - ends[1]) / (2 * _STEP))
        samples.append(torch.stack(slopes))
    return torch.stack(samples)


def _elbo_at(
    model: NeuroModel, batch: Batch, view: View, messages: Messages, noise: Noise, moved: Quantity, step: float
) -> Tensor:
    """The ELBO of each trial with one quantity moved, (trial,); the quantity is put back."""
    value = moved.pooled.log_shared.view(-1)[moved.entry]
    before = value.clone()
    value += step
    posterior = sample_posterior(model, batch, view, noise, messages=messages)
    terms = elbo_terms(model, batch, posterior, batch.observed.to(batch.observation.dtype))
    value.copy_(before)
    return terms.elbo()


def _information(scores: NDArray[np.float64], n_trial: int) -> NDArray[np.float64]:
    """Fisher information plus prior precision, (quantity, quantity), from scores (sample 2, quantity, trial)."""
    scores = scores - scores.mean(axis=2, keepdims=True)
    product = scores[0] @ scores[1].T * (n_trial / scores.shape[2])
    eigenvalues, vectors = np.linalg.eigh(0.5 * (product + product.T))
    information: NDArray[np.float64] = (vectors * (np.maximum(eigenvalues, 0) + _PRIOR_SD**-2)) @ vectors.T
    return information
