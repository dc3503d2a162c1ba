"""The basis of a fitted model's latents, as its training trials show it: what `ncyber adapt` turns new sessions to."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.data.batches import Cohort
from ncyber_cli.inference.elbo import NeuroModel, no_noise, sample_posterior
from ncyber_cli.spec import Inference
from ncyber_cli.training.activity import log_linear_units, smoothed_activity
from ncyber_cli.training.align import mean_of
from ncyber_cli.training.blinding import shown
from ncyber_cli.training.common_basis import AreaBasis, area_evidence, area_parts

MOST_TRIALS = 256  # of a session; its averages are known well enough
_TRIALS = 64  # at once
_FLOOR = 1e-6  # of the largest variance: a latent that never moves has no direction
Array = NDArray[np.float64]


def describe_latents(model: NeuroModel, cohort: Cohort, inference: Inference) -> list[AreaBasis]:
    """Mean and spread of every area's latents over training trials, and what the sessions say of them together.

    Trials in which the model's latents are not finite are passed over.
    """
    areas = model.loop.brain.areas
    log_linear = log_linear_units(model.loop.emission, cohort.sessions)
    activities, latents = [], []
    for index, (session, units) in enumerate(zip(cohort.sessions, log_linear, strict=True)):
        activity = smoothed_activity(session, units)
        found = mean_latents(model, cohort, index, activity.trials[:MOST_TRIALS], inference)
        sound = np.flatnonzero(np.isfinite(found).all(axis=(1, 2)))
        activities.append(activity.of(sound))
        latents.append(found[sound])
    rows = np.concatenate([each[activity.inside] for each, activity in zip(latents, activities, strict=True)])
    mean, parts = rows.mean(axis=0), area_parts(areas)
    spread = [_root(np.cov(rows[:, part].T).reshape(part.stop - part.start, -1)) for part in parts]
    evidence = []
    for session, activity, each in zip(cohort.sessions, activities, latents, strict=True):
        whitened = np.concatenate(
            [(each[:, :, part] - mean[part]) @ np.linalg.inv(root) for part, root in zip(parts, spread, strict=True)], 2
        )
        evidence.append(area_evidence(session, activity, whitened, areas))
    return [
        AreaBasis(mean[part], root, mean_of([each[area] for each in evidence if area in each]))
        for area, (part, root) in enumerate(zip(parts, spread, strict=True))
    ]


@torch.no_grad()
def mean_latents(
    model: NeuroModel, cohort: Cohort, session: int, trials: NDArray[np.int64], inference: Inference
) -> Array:
    """Latents (trial, time, latent) of some trials of a session: the posterior without noise, zeros after the end."""
    device, n_time = model.loop.initial_mean.device, cohort.sessions[session].mask.shape[1]
    found = np.zeros((len(trials), n_time, model.loop.brain.areas.size))
    for begin in range(0, len(trials), _TRIALS):
        chosen = trials[begin : begin + _TRIALS]
        batch = cohort.batch(np.stack([np.full_like(chosen, session), chosen], axis=1)).to(device)
        show_neural, show_body = shown(batch, inference)
        view = model.encoder.view(batch, show_neural=show_neural, show_body=show_body)
        posterior = sample_posterior(model, batch, view, no_noise(model, batch.mask.shape[1], len(chosen)))
        latent = posterior.trajectory.latent.transpose(0, 1).double().cpu().numpy()
        found[begin : begin + len(chosen), : latent.shape[1]] = latent
    return found


def _root(covariance: Array) -> Array:
    """The symmetric square root."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, _FLOOR * max(float(values.max()), 1e-12))
    root: Array = vectors * np.sqrt(values) @ vectors.T
    return root
