"""Trials that the fitted model simulates, like the recorded ones but for an objective that is known.

Each begins as a recorded trial began, under its inputs and forces, and pursues what that trial's animal is inferred
to have pursued, but for redraws at the prior's own rate: what the posterior missed must be possible too. The
animals' gains are drawn anew within the error of a fit, so that whoever learns from these trials does not trust one
value of each.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ncyber_cli.data.batches import Batch
from ncyber_cli.inference.bin_centres import at_bin_centres
from ncyber_cli.inference.elbo import NeuroModel, draw_noise, sample_posterior
from ncyber_cli.inference.posterior import view_of
from ncyber_cli.inference.rollout import Scene, play
from ncyber_cli.inference.trial_noise import PathNoise
from ncyber_cli.model.closed_loop import ClosedLoop
from ncyber_cli.model.meta import Pooled
from ncyber_cli.spec import Inference

_GAIN_SD = 0.1  # of log gains, lags, delays and masses: how far the fits of simulated animals are off


@dataclass(frozen=True)
class SimulatedTrials:
    """`batch` is what would have been recorded; `truth` is at bin centres, time first, in normalised units."""

    batch: Batch
    steps: Float[Tensor, "time trial n_objective"]  # the objective of the step that ends in each bin, normalised
    truth: dict[str, Float[Tensor, "time trial n"]]


@torch.no_grad()
def simulate_trials(
    model: NeuroModel, batch: Batch, inference: Inference, generator: torch.Generator | None
) -> SimulatedTrials:
    """One simulated trial for each of `batch`, whose model has an objective and a controller.

    A trial that runs away from the model is masked.
    """
    objective, controller = model.loop.objective, model.loop.controller
    assert objective is not None
    assert controller is not None
    n_trial, n_time = batch.mask.shape
    like = model.loop.initial_mean
    noise = draw_noise(model, n_time, n_trial, generator)
    posterior = sample_posterior(model, batch, view_of(model, batch, inference, "both"), noise)
    assert posterior.objective is not None
    assert posterior.trajectory.actuator is not None
    pursued = posterior.objective
    if objective.prior in ("jump", "switching"):
        pursued = _redrawn(pursued, objective.jump_probability, generator)
    begun = posterior.trajectory
    scene = Scene(
        batch.animal,
        batch.session,
        batch.input,
        batch.force,
        pursued.transpose(0, 1),
        batch.body[:, 0] if begun.body is None else begun.body[0],
        begun.latent[0],
        posterior.trajectory.actuator[0],
    )
    another = NeuroModel(_another(model.loop, generator), model.encoder, model.causal_latent)
    fresh = PathNoise(draw_noise(model, n_time, n_trial, generator), like.new_ones(n_time, n_trial))
    happened = play(another, scene, fresh).trajectory
    assert happened.control is not None
    assert happened.actuator is not None
    emission = another.loop.emission
    sound = torch.isfinite(happened.latent + happened.control.sum(-1, keepdim=True)).all((0, 2))
    latent = torch.where(sound[:, None], happened.latent, 0.0).transpose(0, 1)
    drawn = emission.sample(emission.predictor(latent, batch.session, batch.when), batch.session, generator)
    recorded = replace(batch, observation=drawn * batch.observed, mask=batch.mask & sound[:, None])
    if happened.body is not None:
        body = torch.where(sound[:, None], happened.body, 0.0).transpose(0, 1)
        recorded = replace(recorded, body=body * batch.body_recorded)
    scale = controller.control_scale
    truth = {
        "objectives": at_bin_centres(objective.normalise(pursued), batch.mask),
        "controls": at_bin_centres(happened.control, batch.mask) / scale,
        "actuator": happened.actuator / scale,
    }
    return SimulatedTrials(recorded, objective.normalise(pursued), truth)


def _redrawn(
    path: Float[Tensor, "time trial n"], probability: float, generator: torch.Generator | None
) -> Float[Tensor, "time trial n"]:
    """Some bins begin to pursue what another trial pursued in the end, until the next of them."""
    n_time, n_trial, _ = path.shape
    device = path.device
    redraw = torch.rand(n_time, n_trial, generator=generator, device=device) < probability
    other = torch.randint(n_trial, (n_time, n_trial), generator=generator, device=device)
    bins = torch.arange(n_time, device=device)[:, None]
    last = torch.where(redraw & (bins > 0), bins, -1).cummax(0).values  # the redraw that holds in each bin
    chosen = path[-1][torch.gather(other, 0, last.clamp(min=0))]
    return torch.where((last >= 0)[:, :, None], chosen, path)


def _another(loop: ClosedLoop, generator: torch.Generator | None) -> ClosedLoop:
    """The loop of animals whose gains are a little different."""
    drawn = copy.deepcopy(loop)
    parts = [part for part in (drawn.controller, drawn.body, drawn.environment) if isinstance(part, nn.Module)]
    for pooled in (child for part in parts for child in part.modules() if isinstance(child, Pooled)):
        like = pooled.log_shared
        if like.requires_grad:
            like.add_(_GAIN_SD * torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype))
    return drawn
