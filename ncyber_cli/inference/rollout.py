"""The generative model on its own: from a first bin, under given inputs, with the objective drawn or set by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.past import Past
from ncyber_cli.inference.trial_noise import PathNoise
from ncyber_cli.model.closed_loop import Given, Plant, Trajectory
from ncyber_cli.model.gauss_markov import Correction, no_correction


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
    silent: Bool[Tensor, " n_latent"] | None = None  # latents that are held at zero
    past: Past | None = None  # of trials that are taken over part way
    when: Float[Tensor, " trial"] | None = None  # on the sessions' clocks; None: their readouts do not drift

    def from_here(self, whole: Float[Tensor, "trial time feature"]) -> Float[Tensor, "trial later feature"]:
        """Values of whole trials in the scene's own bins."""
        return whole if self.past is None else self.past.from_here(whole)


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
    path = noise if scene.past is None else _from_here(scene.past, noise)
    path = path if noisy else _silenced(path)
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
    line = None if scene.past is None else scene.past.line
    given = Given(
        scene.animal,
        inputs,
        loop.brain.individuals(scene.animal, scene.session),
        force,
        objective,
        actuator,
        body,
        known,
        body_noise,
        line,
        sensed=closed,
        before=None if scene.past is None else scene.past.before(),
        silent=_silent(model, scene),
        plant=plant,
    )
    correction = _starting_at(scene.latent, _prior(model, path))
    return Happening(loop.unroll(given, correction), objective)


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
    found = groups_of(model, happening.trajectory, happening.objective, scene.session, scene.input, scene.when)
    return found if scene.past is None else scene.past.followed_by(found)


def groups_of(
    model: NeuroModel,
    happened: Trajectory,
    objective: Tensor | None,
    session: Int[Tensor, " trial"],
    given: Float[Tensor, "trial time n_input"],
    when: Float[Tensor, " trial"] | None,
) -> dict[str, Float[Tensor, "trial time feature"]]:
    """The groups of a results file, with controls and objectives of the step that ends in each bin."""
    groups = {
        "latents": happened.latent,
        "controls": happened.control,
        "actuator": happened.actuator,
        "objectives": objective,
        "body": happened.body,
    }
    found = {name: values.transpose(0, 1) for name, values in groups.items() if values is not None}
    emission = model.loop.emission
    rates = emission.rate(emission.predictor(found["latents"], session, when), session)
    return found | {"rates": model.loop.at_floor(rates, session, given)}


def set_objective(scene: Scene, schedule: Float[Tensor, "#trial time n_objective"]) -> Scene:
    """The scene with the objective held where `schedule` is not NaN; what was before the scene stays as it was."""
    held = schedule.expand_as(scene.objective)
    if scene.past is not None:
        held = torch.cat([torch.full_like(held[:, :1], torch.nan), held[:, 1:]], 1)
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


def _silent(model: NeuroModel, scene: Scene) -> Bool[Tensor, "time trial n_latent"] | None:
    """Latents that are silenced by an intervention, or by the scene's inputs."""
    by_input = model.loop.silent(scene.input)
    if scene.silent is None:
        return by_input
    everywhere = scene.silent.expand(scene.input.shape[1], len(scene.animal), -1)
    return everywhere if by_input is None else everywhere | by_input


def _from_here(past: Past, path: PathNoise) -> PathNoise:
    """The noise of the bins that are still to come."""

    def later(values: Tensor) -> Tensor:
        return past.from_here(values.transpose(0, 1)).transpose(0, 1)

    noise = path.noise
    rest = replace(noise, latent=later(noise.latent), objective=later(noise.objective), body=later(noise.body))
    return PathNoise(rest, later(path.jump))


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
    return PathNoise(silent, path.jump.masked_fill(later[:, :, 0], 1))
