"""A start from data alone: principal components of smoothed activity, turned to a common basis.

Without it log-linear Poisson models at low rates collapse to the mean rate. Everything here sees
training trials only. The readout is fitted from all units, the read-in from those that may be
encoded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.data.batches import Cohort
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.training.activity import (
    Activity,
    log_linear_units,
    moments,
    principal_scores,
    smoothed_activity,
    unit_area_index,
)
from ncyber_cli.training.common_basis import AreaBasis, SessionAlignment, align_sessions
from ncyber_cli.training.missing_areas import SessionLatents, over_sessions, paths_to_missing

_RIDGE = 1e-2
Array = NDArray[np.float64]


def warm_start(model: NeuroModel, cohort: Cohort) -> list[SessionAlignment]:
    """Set readout, read-in, noise and dynamics scales of `model` from the training trials of `cohort`.

    Says how each session was turned.
    """
    alignments = aligned(model, cohort)
    loop, latents = model.loop, start_sessions(model, cohort, alignments)
    with torch.no_grad():
        _set(loop.log_process_variance, np.log(over_sessions(latents, lambda each: each.steps(), np.var) + 1e-4))
        _set(loop.initial_mean, over_sessions(latents, lambda each: each.starts(), np.mean))
        start_variance = over_sessions(latents, lambda each: each.starts(), np.var)
        _set(loop.log_initial_variance, np.log(start_variance + 1e-2))
        if loop.window_start is not None:
            _set(loop.window_start.mean, over_sessions(latents, SessionLatents.everywhere, np.mean))
            variance = over_sessions(latents, SessionLatents.everywhere, np.var)
            _set(loop.window_start.log_variance, np.log(variance + 1e-2))
    return alignments


def aligned(model: NeuroModel, cohort: Cohort, basis: Sequence[AreaBasis] | None = None) -> list[SessionAlignment]:
    """How the sessions' principal components are turned to one basis, or to that of a fitted model."""
    log_linear = log_linear_units(model.loop.emission, cohort.sessions)
    return align_sessions(cohort, model.loop.brain.areas, log_linear, basis)


def start_sessions(model: NeuroModel, cohort: Cohort, alignments: Sequence[SessionAlignment]) -> list[SessionLatents]:
    """Set what belongs to the sessions, each turned as its alignment says. The latents that they start with."""
    loop, encoder = model.loop, model.encoder
    areas = loop.brain.areas
    log_linear = log_linear_units(loop.emission, cohort.sessions)
    latents = []
    for index, session in enumerate(cohort.sessions):
        activity = smoothed_activity(session, log_linear[index])
        unit_areas = unit_area_index(session.unit_area, areas.names)
        scores = principal_scores(activity, unit_areas, areas.n_latent)
        scores = alignments[index].turned(scores, activity.inside)
        readout, offset = _readout(activity, scores, unit_areas, areas.n_latent, log_linear[index])
        n_unit = len(session.unit_id)
        with torch.no_grad():
            _set(loop.emission.readout[index, :n_unit], readout)
            _set(loop.emission.offset[index, :n_unit], offset)
            _set(encoder.unit_mean[index, :n_unit], activity.mean)
            _set(encoder.unit_scale[index, :n_unit], activity.scale)
            _set(encoder.latent_path[index, :n_unit], _read_in(activity, scores, ~session.held_out))
            variance = torch.ones(loop.emission.n_unit, dtype=torch.float64)
            _set(variance[:n_unit], moments(activity.observation)[1])
            loop.emission.start_variance(index, variance)
            if loop.emission.drift is not None:
                loop.emission.drift.start_scale(index, variance.sqrt())
        shown = np.isin(areas.latent_area().numpy(), unit_areas)
        latents.append(SessionLatents(scores, activity.inside, shown))
    with torch.no_grad():
        for index, weights in paths_to_missing(latents).items():
            encoder.latent_path[index] += encoder.latent_path[index] @ torch.as_tensor(weights).to(encoder.latent_path)
    return latents


def _set(target: torch.Tensor, values: Array) -> None:
    target.copy_(torch.as_tensor(values, dtype=target.dtype))


def _readout(
    activity: Activity,
    scores: Array,
    unit_areas: NDArray[np.int64],
    n_latent: tuple[int, ...],
    log_linear: NDArray[np.bool_],
) -> tuple[Array, Array]:
    """C and d by Poisson regression (log-linear units) or least squares, each unit from the latents of its own area."""
    cuts = np.cumsum((0, *n_latent))
    readout = np.zeros((scores.shape[2], activity.mean.size)).T
    offset = np.where(log_linear, np.log(np.maximum(activity.mean, 1e-4)), activity.mean)
    design_all = scores[activity.inside]
    observation = activity.observation[activity.inside]
    for area in range(len(n_latent)):
        part = slice(cuts[area], cuts[area + 1])
        design = np.concatenate([np.ones((len(design_all), 1)), design_all[:, part]], axis=1)
        for fit, chosen in ((_poisson_regression, log_linear), (_least_squares, ~log_linear)):
            units = np.flatnonzero((unit_areas == area) & chosen)
            if units.size:
                weights = fit(design, observation[:, units], offset[units])
                offset[units], readout[units, part] = weights[0], weights[1:].T
    return readout, offset


def _least_squares(design: Array, observation: Array, start: Array) -> Array:
    """Ridge weights (1 + latent, unit); missing entries count as the unit's mean."""
    filled = np.where(np.isnan(observation), start, observation)
    gram = design.T @ design + _RIDGE * len(design) * np.diag([0.0] + [1.0] * (design.shape[1] - 1))
    return np.asarray(np.linalg.solve(gram, design.T @ filled))


def _poisson_regression(design: Array, observation: Array, start: Array, steps: int = 6) -> Array:
    """Ridge Poisson regression of every unit at once by Newton steps, weights (1 + latent, unit)."""
    n, k = design.shape
    there = ~np.isnan(observation)
    counts = np.where(there, observation, 0.0)
    weights = np.zeros((k, counts.shape[1]))
    weights[0] = start
    penalty = _RIDGE * np.diag([0.0] + [1.0] * (k - 1))
    for _ in range(steps):
        rate = np.exp(np.clip(design @ weights, -12, 4)) * there
        gradient = design.T @ (counts - rate) / n - penalty @ weights
        curvature = np.einsum("ni,nu,nj->uij", design, rate, design, optimize=True) / n + penalty + 1e-6 * np.eye(k)
        step = np.linalg.solve(curvature, gradient.T[:, :, None])[:, :, 0].T
        weights = weights + np.clip(step, -1.0, 1.0)
    return weights


def _read_in(activity: Activity, scores: Array, encodable: NDArray[np.bool_]) -> Array:
    """Ridge from the smoothed activity of encodable units to the scores, (unit, latent); zeros for the others."""
    rows, targets = activity.smooth[activity.inside], scores[activity.inside]
    inputs = rows[:, encodable]
    gram = inputs.T @ inputs
    ridge = _RIDGE * np.trace(gram) / max(1, len(gram)) + 1e-9
    path = np.zeros((rows.shape[1], scores.shape[2]))
    path[encodable] = np.linalg.solve(gram + ridge * np.eye(len(gram)), inputs.T @ targets)
    return path
