"""A start from data alone: principal components of smoothed activity, turned to a common basis.

Without it log-linear Poisson models at low rates collapse to the mean rate. Everything here sees
training trials only. The readout is fitted from all units, the read-in from those that may be
encoded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.recording import TRAIN, Session
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.model.emission import Gaussian, NegativeBinomial, Poisson, ZeroInflatedGamma

_SMOOTHING_S = 0.05
_MOST_ENTRIES = 20_000_000  # of the activity that the start looks at; more trials add nothing to a start
_RIDGE = 1e-2
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Activity:
    """Standardised, smoothed activity of a session's training trials, and the counts behind it."""

    observation: Array  # (trial, time, unit), NaN as missing
    smooth: Array  # (trial, time, unit), zeros as missing
    mean: Array  # (unit,)
    scale: Array  # (unit,)
    inside: NDArray[np.bool_]  # (trial, time)


def warm_start(model: NeuroModel, cohort: Cohort) -> None:
    """Set readout, read-in, noise and dynamics scales of `model` from the training trials of `cohort`."""
    loop, encoder = model.loop, model.encoder
    areas = loop.brain.areas
    is_count = isinstance(loop.emission, Poisson | NegativeBinomial | ZeroInflatedGamma)
    reference: Array | None = None
    steps, starts = [], []
    for index, session in enumerate(cohort.sessions):
        activity = _activity(session, is_count)
        unit_areas = unit_area_index(session.unit_area, areas.names)
        scores = _scores(activity, unit_areas, areas.n_latent)
        signature = _signature(session, activity, scores)
        if reference is None:
            reference = signature
        else:
            scores = _aligned(scores, signature, reference, areas.n_latent)
        readout, offset = _readout(activity, scores, unit_areas, areas.n_latent, is_count)
        path = _read_in(activity, scores, ~session.held_out)
        n_unit = len(session.unit_id)
        with torch.no_grad():
            _set(loop.emission.readout[index, :n_unit], readout)
            _set(loop.emission.offset[index, :n_unit], offset)
            _set(encoder.unit_mean[index, :n_unit], activity.mean)
            _set(encoder.unit_scale[index, :n_unit], activity.scale)
            _set(encoder.latent_path[index, :n_unit], path)
            if isinstance(loop.emission, Gaussian):
                table = torch.ones(loop.emission.n_unit, dtype=torch.float64)
                _set(table[:n_unit], _moments(activity.observation)[1])
                loop.emission.start_variance(index, table)
        both = activity.inside[:, 1:] & activity.inside[:, :-1]
        steps.append(np.diff(scores, axis=1)[both])
        starts.append(scores[:, 0])
    with torch.no_grad():
        _set(loop.log_process_variance, np.log(np.concatenate(steps).var(axis=0) + 1e-4))
        _set(loop.initial_mean, np.concatenate(starts).mean(axis=0))
        _set(loop.log_initial_variance, np.log(np.concatenate(starts).var(axis=0) + 1e-2))


def unit_area_index(unit_area: list[str], names: tuple[str, ...]) -> NDArray[np.int64]:
    """The area of each unit; with a single block every unit belongs to it whatever its label."""
    if len(names) == 1:
        return np.zeros(len(unit_area), np.int64)
    return np.array([names.index(area) for area in unit_area], np.int64)


def _set(target: torch.Tensor, values: Array) -> None:
    target.copy_(torch.as_tensor(values, dtype=target.dtype))


def _moments(observation: Array) -> tuple[Array, Array]:
    """Mean and variance of each unit over its recorded entries; zeros for a unit that has none."""
    there = ~np.isnan(observation)
    count = np.maximum(there.sum(axis=(0, 1)), 1)
    mean = np.where(there, observation, 0.0).sum(axis=(0, 1)) / count
    variance = np.square(np.where(there, observation - mean, 0.0)).sum(axis=(0, 1)) / count
    return mean, variance


def _activity(session: Session, is_count: bool) -> Activity:
    trials = np.flatnonzero(session.split == TRAIN)
    most = max(1, _MOST_ENTRIES // max(1, session.mask.shape[1] * len(session.unit_id)))
    trials = trials[:: max(1, -(-len(trials) // most))]
    inside = session.mask[trials]
    observation = np.where(inside[:, :, None], session.observation[trials], np.nan).astype(np.float64)
    mean, variance = _moments(observation)
    spread = np.sqrt(np.maximum(mean, 0)) if is_count else np.sqrt(variance)
    scale = np.where(spread > 0, spread, 1.0)
    there = ~np.isnan(observation)
    standard = np.where(there, (observation - mean) / scale, 0.0)
    width = _SMOOTHING_S / session.bin_s
    if width > 0.3:  # bins wider than the kernel need no smoothing
        weight = gaussian_filter1d(there.astype(np.float64), width, axis=1, mode="constant")
        standard = gaussian_filter1d(standard, width, axis=1, mode="constant") / np.maximum(weight, 1e-3)
    return Activity(observation, standard * inside[:, :, None], mean, scale, inside)


def _scores(activity: Activity, unit_areas: NDArray[np.int64], n_latent: tuple[int, ...]) -> Array:
    """Leading principal components of each area, unit variance, (trial, time, latent).

    Latents beyond an area's number of units are zeros.
    """
    rows = activity.smooth[activity.inside]
    columns = []
    for area, wanted in enumerate(n_latent):
        chosen = rows[:, unit_areas == area]
        got = min(wanted, chosen.shape[1])
        scores = np.zeros((len(rows), wanted))
        if got:
            _, vectors = np.linalg.eigh(chosen.T @ chosen)
            leading = vectors[:, ::-1][:, :got]
            leading = leading * np.sign(leading.sum(axis=0) + 1e-12)
            projected = chosen @ leading
            scores[:, :got] = projected / np.maximum(projected.std(axis=0), 1e-9)
        columns.append(scores)
    scattered = np.zeros((*activity.inside.shape, sum(n_latent)))
    scattered[activity.inside] = np.concatenate(columns, axis=1)
    return scattered


def _signature(session: Session, activity: Activity, scores: Array) -> Array:
    """What identifies a latent across sessions: its average over trials, its covariance with behaviour and inputs."""
    count = activity.inside.sum(axis=0)[:, None]
    profile = scores.sum(axis=0) / np.maximum(count, 1)
    trials = np.flatnonzero(session.split == TRAIN)
    trials = trials[:: max(1, -(-len(trials) // len(scores)))]
    seen = np.concatenate([session.body[trials], session.input[trials], session.force[trials]], axis=2)
    rows = np.nan_to_num(seen[activity.inside].astype(np.float64))
    standard = (rows - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), 1e-9)
    shared = standard.T @ scores[activity.inside] / len(rows)
    return np.concatenate([profile / np.sqrt(len(profile)), shared])


def _aligned(scores: Array, signature: Array, reference: Array, n_latent: tuple[int, ...]) -> Array:
    """Turn the scores so that their signature meets the reference (orthogonal Procrustes, area by area)."""
    rows = min(len(signature), len(reference))
    turned, start = np.empty_like(scores), 0
    for size in n_latent:
        part = slice(start, start + size)
        left, _, right = np.linalg.svd(signature[-rows:, part].T @ reference[-rows:, part])
        turned[:, :, part] = scores[:, :, part] @ (left @ right)
        start += size
    return turned


def _readout(
    activity: Activity, scores: Array, unit_areas: NDArray[np.int64], n_latent: tuple[int, ...], is_count: bool
) -> tuple[Array, Array]:
    """C and d by Poisson regression (counts) or least squares, each unit from the latents of its own area."""
    cuts = np.cumsum((0, *n_latent))
    readout = np.zeros((scores.shape[2], activity.mean.size)).T
    offset = np.log(np.maximum(activity.mean, 1e-4)) if is_count else activity.mean.copy()
    design_all = scores[activity.inside]
    observation = activity.observation[activity.inside]
    for area in range(len(n_latent)):
        units = np.flatnonzero(unit_areas == area)
        if not units.size:
            continue
        part = slice(cuts[area], cuts[area + 1])
        design = np.concatenate([np.ones((len(design_all), 1)), design_all[:, part]], axis=1)
        fit = _poisson_regression if is_count else _least_squares
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
