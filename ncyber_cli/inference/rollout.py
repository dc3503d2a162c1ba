"""The generative model on its own: from a first bin, under given inputs, with the objective drawn or set by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ncyber_cli.data.batches import Batch
from ncyber_cli.inference.elbo import NeuroModel, sample_posterior
from ncyber_cli.inference.posterior import view_of
from ncyber_cli.inference.trial_noise import PathNoise, TrialKey, trial_noise
from ncyber_cli.model.closed_loop import Given, Plant, Trajectory
from ncyber_cli.model.gauss_markov import Correction, no_correction
from ncyber_cli.spec import Inference


@dataclass(frozen=True)
class Scene:
    """What a rollout is given. NaN in `objective` leaves that bin to the prior, which goes on from the bin before."""

    animal: Int[Tensor, " trial"]
    session: Int[Tensor, " trial"]  # whose neurons are read out
    input: Float[Tensor, "trial time n_input"]
    force: Float[Tensor, "trial time n_force"]
    objective: Float[Tensor, "trial time n_objective"]
    body: Float[Tensor, "trial n_body"]  # in the first bin
    latent: Float[Tensor, "trial n_latent"] | None = None  # in the first bin; None: drawn from p(x_1)
    actuator: Float[Tensor, "trial n_control"] | None = None  # in the first bin; None: the muscle at rest


@dataclass(frozen=True)
class Happening:
    """One sample of the model's future, time first; `objective` is None where the model has none."""

    trajectory: Trajectory
    objective: Float[Tensor, "time trial n_objective"] | None


def play(
    model: NeuroModel,
    scene: Scene,
    noise: PathNoise,
    *,
    closed: bool = True,
    noisy: bool = True,
    plant: Plant | None = None,
) -> Happening:
    """Run the loop from a scene, differentiably.

    Args:
        closed: False opens the loop: the brain is told nothing of its body after the first bin.
        noisy: False silences brain, body and objective after the first bin; the start is drawn all the same.
        plant: moves the body in place of the model's own; the scene's forces and the body's noise are then its affair.
    """
    loop = model.loop
    path = noise if noisy else _silenced(noise)
    objective = None
    if loop.objective is not None:
        objective = loop.objective.sample(path.noise.objective, path.jump, scene.objective.transpose(0, 1))
    body = known = body_noise = actuator = None
    if loop.controller is not None:
        at_rest = scene.input.new_zeros(len(scene.animal), loop.controller.n_control)
        actuator = at_rest if scene.actuator is None else scene.actuator
    if loop.body is not None:
        body = scene.body.expand(scene.input.shape[1], -1, -1)
        known = torch.zeros_like(body, dtype=torch.bool)
        body_noise = loop.body.residual.scale[scene.animal] * path.noise.body
    forced = loop.body is not None and scene.force.shape[2] > 0 and plant is None
    force = scene.force.transpose(0, 1) if forced else None
    inputs = scene.input.transpose(0, 1)
    given = Given(scene.animal, inputs, force, objective, actuator, body, known, body_noise, sensed=closed, plant=plant)
    return Happening(loop.unroll(given, _starting_at(scene.latent, _prior(model, path))), objective)


@torch.no_grad()
def rollout(
    model: NeuroModel,
    scene: Scene,
    noise: PathNoise,
    *,
    closed: bool = True,
    noisy: bool = True,
    plant: Plant | None = None,
) -> dict[str, Float[Tensor, "trial time feature"]]:
    """One sample of the model's future, as the groups of a results file; the arguments are those of `play`."""
    happening = play(model, scene, noise, closed=closed, noisy=noisy, plant=plant)
    happened, emission = happening.trajectory, model.loop.emission
    groups = {
        "latents": happened.latent,
        "controls": happened.control,
        "actuator": happened.actuator,
        "objectives": happening.objective,
        "body": happened.body,
    }
    found = {name: values.transpose(0, 1) for name, values in groups.items() if values is not None}
    predictor = emission.predictor(found["latents"], scene.session)
    return found | {"rates": emission.rate(predictor, scene.session)}


@torch.no_grad()
def scene_of(
    model: NeuroModel, batch: Batch, inference: Inference, keys: Sequence[TrialKey], *, seed: int, sample: int
) -> Scene:
    """A scene that begins as recorded trials do: a posterior sample of their first bin, their inputs and forces."""
    noise = trial_noise(model, keys, batch.mask.shape[1], seed, sample)
    posterior = sample_posterior(model, batch, view_of(model, batch, inference, "both"), noise)
    happened, n_objective = posterior.trajectory, noise.objective.shape[2]
    objective = batch.input.new_full((*batch.mask.shape, n_objective), torch.nan)
    if posterior.objective is not None:
        objective[:, 0] = posterior.objective[0]
    return Scene(
        batch.animal,
        batch.session,
        batch.input,
        batch.force,
        objective,
        batch.body[:, 0] if happened.body is None else happened.body[0],
        happened.latent[0],
        None if happened.actuator is None else happened.actuator[0],
    )


def set_objective(scene: Scene, schedule: Float[Tensor, "time n_objective"]) -> Scene:
    """The scene with the objective held where `schedule` is not NaN; bins after its last one keep that one."""
    n_time = scene.input.shape[1]
    index = torch.arange(n_time, device=schedule.device).clamp(max=len(schedule) - 1)
    held = schedule[index].expand(len(scene.animal), -1, -1)
    return replace(scene, objective=torch.where(held.isnan(), scene.objective, held))


def _prior(model: NeuroModel, path: PathNoise) -> Correction:
    noise = path.noise.latent
    return no_correction(model.loop.latent_variance(len(noise)), noise)


def _starting_at(latent: Tensor | None, prior: Correction) -> Correction:
    """The prior's own steps after a first bin that is known."""
    if latent is None:
        return prior
    first = torch.arange(len(prior.noise), device=latent.device)[:, None, None] == 0
    target = torch.where(first, latent, prior.target)
    return Correction(target, first.to(latent.dtype).expand_as(target), torch.where(first, 0.0, prior.noise))


def _silenced(path: PathNoise) -> PathNoise:
    """No noise and no redraw after the first bin."""
    noise = path.noise
    later = torch.arange(len(noise.latent), device=noise.latent.device)[:, None, None] > 0
    silent = replace(
        noise,
        latent=noise.latent.masked_fill(later, 0),
        objective=noise.objective.masked_fill(later, 0),
        body=noise.body.masked_fill(later, 0),
    )
    return PathNoise(silent, torch.ones_like(path.jump))
