"""Scenes that begin where recorded trials begin, or that take them over part way."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ncyber_cli.data.batches import Batch
from ncyber_cli.inference.elbo import NeuroModel, given_of, sample_posterior
from ncyber_cli.inference.mixture import Mixture
from ncyber_cli.inference.past import Past
from ncyber_cli.inference.posterior import view_of
from ncyber_cli.inference.rollout import Scene, groups_of
from ncyber_cli.inference.trial_noise import PathNoise, TrialKey, path_noise, trial_noise
from ncyber_cli.model.objective import Objective
from ncyber_cli.spec import Inference


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
        when=batch.when,
    )


@torch.no_grad()
def scene_part_way(
    model: NeuroModel,
    batch: Batch,
    inference: Inference,
    keys: Sequence[TrialKey],
    bins: Int[Tensor, " trial"],
    *,
    seed: int,
    sample: int,
) -> Scene:
    """A scene that takes recorded trials over after their first `bins` bins; nothing recorded later enters.

    State and actuator are a sample of the posterior given those bins alone; so is the objective, read by the run's
    causal reader where it has learned. Inputs and forces are given, not inferred: they go on as they were recorded.
    Trials have more than `bins` bins, and those at least one.
    """
    seen = batch.until(bins)
    view = view_of(model, seen, inference, "both")
    path = path_noise(model, keys, batch.mask.shape[1], seed, sample)
    noise = path.noise
    posterior = sample_posterior(model, seen, view, noise)
    happened, objective = posterior.trajectory, batch.input.new_zeros(*batch.mask.shape, noise.objective.shape[2])
    if posterior.objective is not None:
        objective = posterior.objective.transpose(0, 1)
    given = given_of(model, seen, noise, posterior.objective, None, None)
    groups = groups_of(model, happened, posterior.objective, batch.session, batch.input, batch.when)
    past = Past(bins, groups, model.loop.history(given, happened, bins - 1))
    now = {name: past.from_here(values)[:, 0] for name, values in groups.items()}
    objective = past.from_here(objective)
    if model.loop.objective is not None and model.readers is not None and model.readers.ready:
        objective[:, 0] = _read(model.loop.objective, model.readers.causal(view)["objectives"], path, bins - 1)
    objective[:, 1:] = torch.nan
    return Scene(
        batch.animal,
        batch.session,
        past.from_here(batch.input),
        past.from_here(batch.force),
        objective,
        now.get("body", batch.body[:, 0]),
        now["latents"],
        now.get("actuator"),
        past=past,
        when=batch.when,
    )


def _read(
    objective: Objective, belief: Mixture, path: PathNoise, last: Int[Tensor, " trial"]
) -> Float[Tensor, "trial n_objective"]:
    """A draw from what a reader believes in bin `last` of each trial; that bin's noise decides which one."""
    trials = torch.arange(len(last), device=last.device)
    share = belief.log_weight[last, trials].exp().cumsum(-1)
    which = (share < path.jump[last, trials][:, None]).sum(-1).clamp(max=share.shape[1] - 1)
    mean, sd = (values[last, trials, which] for values in (belief.mean, belief.log_sd.exp()))
    return objective.mean + objective.sd * (mean + sd * path.noise.objective[last, trials])


@torch.no_grad()
def objective_sample(
    model: NeuroModel, batch: Batch, inference: Inference, keys: Sequence[TrialKey], *, seed: int, sample: int
) -> Float[Tensor, "trial time n_objective"]:
    """One posterior sample of what was pursued in recorded trials; the model has an objective."""
    noise = trial_noise(model, keys, batch.mask.shape[1], seed, sample)
    objective = sample_posterior(model, batch, view_of(model, batch, inference, "both"), noise).objective
    assert objective is not None
    return objective.transpose(0, 1)
