"""What the closed loop makes of the body when the objective is frozen: a goal predicts to the end of a movement.

The causal posterior says where brain, muscle and objective stand at a start; nothing recorded later enters but the
given inputs and forces. From there the loop runs on its own body, with the objective held at one value: the inferred
one, or any other put in its place. The smoothing encoder would not do: stopped early it sees an end of data that it was
never trained on, and finds half as much of the goal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ncyber_cli.data.batches import Batch
from ncyber_cli.inference.elbo import NeuroModel, no_noise
from ncyber_cli.inference.posterior import Moments, Sources, causal_moments
from ncyber_cli.inference.rollout import Scene, rollout
from ncyber_cli.inference.trial_noise import PathNoise, TrialKey, trial_noise
from ncyber_cli.spec import Inference


@dataclass(frozen=True)
class Outset:
    """Where trials stand in one bin each, from what was recorded up to it."""

    batch: Batch
    keys: Sequence[TrialKey]
    bin: Int[Tensor, " trial"]
    latent: Moments  # (trial, 1, n_latent)
    actuator: Float[Tensor, "trial n_control"]
    objective: Float[Tensor, "trial n_objective"]


@torch.no_grad()
def outset(
    model: NeuroModel,
    batch: Batch,
    inference: Inference,
    keys: Sequence[TrialKey],
    bins: Int[Tensor, " trial"],
    *,
    sources: Sources = "both",
) -> Outset:
    """The causal posterior in bin `bins` of each trial; `sources` narrows what it is shown."""
    moments = causal_moments(model, batch, inference, sources=sources)
    here = {name: Moments(_at(moments[name].mean, bins), _at(moments[name].sd, bins)) for name in _NEEDED}
    actuator, objective = (here[name].mean[:, 0] for name in ("actuator", "objectives"))
    return Outset(batch, keys, bins, here["latents"], actuator, objective)


_NEEDED = ("latents", "actuator", "objectives")


@torch.no_grad()
def forecast_body(
    model: NeuroModel,
    start: Outset,
    objective: Float[Tensor, "trial n_objective"],
    horizon: int,
    *,
    samples: int,
    seed: int,
) -> Float[Tensor, "trial horizon n_body"]:
    """Mean of the body in the `horizon` bins after the start, with the objective held at `objective`.

    A goal that has a velocity moves on with it. Samples differ in where the brain is at the start; what happens
    later is the loop's own mean step. Bins after a trial's end are forecast with the inputs of its last bin.
    """
    n_trial, n_step = len(start.bin), horizon + 1
    batch, index = start.batch, start.bin[:, None] + torch.arange(n_step, device=start.bin.device)
    index = torch.minimum(index, batch.mask.sum(1, keepdim=True) - 1)
    noise = [trial_noise(model, start.keys, 1, seed, sample).latent[0] for sample in range(samples)]
    path = objective.repeat(samples, 1)[:, None].expand(-1, n_step, -1)
    if model.loop.objective is not None and model.loop.objective.moving:
        path = torch.cat([path[:, :1], torch.full_like(path[:, 1:], torch.nan)], 1)  # it goes on as it moves
    latent = torch.cat([start.latent.mean[:, 0] + start.latent.sd[:, 0] * sample for sample in noise])
    scene = Scene(
        animal=batch.animal.repeat(samples),
        session=batch.session.repeat(samples),
        input=_along(batch.input, index).repeat(samples, 1, 1),
        force=_along(batch.force, index).repeat(samples, 1, 1),
        objective=path,
        body=_at(batch.body, start.bin)[:, 0].repeat(samples, 1),
        latent=latent,
        actuator=start.actuator.repeat(samples, 1),
    )
    still = PathNoise(no_noise(model, n_step, len(latent)), latent.new_ones(n_step, len(latent)))
    body = rollout(model, scene, still, noisy=False)["body"]
    return body.reshape(samples, n_trial, n_step, -1).mean(0)[:, 1:]


def _at(values: Float[Tensor, "trial time n"], bins: Int[Tensor, " trial"]) -> Float[Tensor, "trial 1 n"]:
    return _along(values, bins[:, None])


def _along(values: Float[Tensor, "trial time n"], index: Int[Tensor, "trial step"]) -> Float[Tensor, "trial step n"]:
    return values.gather(1, index[:, :, None].expand(-1, -1, values.shape[2]))
