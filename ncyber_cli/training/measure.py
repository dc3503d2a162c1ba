"""Sizes and scales of a model, measured on training trials: nothing of validation or test is touched."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.absent import never_recorded
from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.features import input_of
from ncyber_cli.data.recording import TRAIN, Session
from ncyber_cli.data.split import NO_STEPS, show_steps
from ncyber_cli.errors import DataError
from ncyber_cli.model.layout import Layout, SessionLayout
from ncyber_cli.spec import Spec

_SPAN = 2  # bins on either side of an acceleration estimate


def measure(spec: Spec, cohort: Cohort) -> Layout:
    """The layout of a run: what the model needs to know of the data besides the spec. Raises DataError."""
    first = cohort.sessions[0]
    if not show_steps(cohort.sessions):
        raise DataError(NO_STEPS, where="data.trials", remedy="write a longer window, or a smaller data.bin_s")
    latents = spec.model.brain.latents
    areas = {"brain": latents} if isinstance(latents, int) else latents
    scales: dict[str, Any] = {"objective_mean": [0.0, 0.0], "objective_sd": [1.0, 1.0]}  # no body, no units
    if first.body_names:
        bodies = [_training_body(session) for session in cohort.sessions]
        scales |= _shown_scales(cohort, bodies)
        if spec.model.body.kind != "none":
            scales |= _body_scales(spec, cohort, bodies, np.array(scales["body_sd"]))
    return Layout(
        bin_s=first.bin_s,
        animals=cohort.animals,
        sessions=[_session_layout(session) for session in cohort.sessions],
        n_unit=cohort.n_unit,
        area_names=list(areas),
        area_latents=list(areas.values()),
        neural_kinds=list(dict.fromkeys(source.kind for source in spec.data.neural)),
        input_names=first.input_names,
        n_force=first.force.shape[2],
        force_size=_force_size(cohort),
        animal_embedding=spec.model.animals.embedding if len(cohort.animals) > 1 else 0,
        session_embedding=spec.model.animals.session_embedding if len(cohort.sessions) > len(cohort.animals) else 0,
        **_contexts(spec, cohort),
        **_areas_of_inputs(spec, cohort),
        **scales,
    )


def _force_size(cohort: Cohort) -> list[float]:
    """Root mean square of every force column over the bins of training trials in which it acts; 1 where none does."""
    training = [(session, session.split == TRAIN) for session in cohort.sessions]
    force = np.concatenate([session.force[rows][session.mask[rows]] for session, rows in training]).astype(np.float64)
    count = (force != 0).sum(0)
    mean_square = np.square(force).sum(0) / np.maximum(count, 1)
    return np.where(count > 0, np.sqrt(mean_square), 1.0).tolist()  # type: ignore[no-any-return]


def _contexts(spec: Spec, cohort: Cohort) -> dict[str, Any]:
    """Columns of the inputs that are contexts of trials, and the mean and spread by which the model knows them."""
    kinds = {name: given.kind for name, given in spec.data.inputs.items()}
    names = cohort.sessions[0].input_names
    columns: list[int] = [i for i, name in enumerate(names) if kinds.get(name.partition("=")[0]) == "context"]
    first = np.concatenate([session.input[session.split == TRAIN, 0] for session in cohort.sessions])
    is_context = np.isin(np.arange(len(names)), columns)
    sd = first.std(0, dtype=np.float64)
    return {
        "context_columns": columns,
        "input_mean": np.where(is_context, first.mean(0, dtype=np.float64), 0.0).tolist(),
        "input_sd": np.where(is_context & (sd > 0), sd, 1.0).tolist(),
    }


def _areas_of_inputs(spec: Spec, cohort: Cohort) -> dict[str, Any]:
    """Where inputs act, and what the units of silenced areas emit."""
    given = [input_of(name, spec) for name in cohort.sessions[0].input_names]
    silencing = [column for column, each in enumerate(given) if each is not None and each.kind == "silencing"]
    floor = np.zeros((len(cohort.sessions), cohort.n_unit))
    for index, session in enumerate(cohort.sessions):
        if session.floor is not None:
            floor[index, : len(session.floor)] = session.floor
    return {
        "input_area": [None if each is None else each.area for each in given],
        "silencing_columns": silencing,
        "floor": floor.tolist() if silencing else [],
    }


def _session_layout(session: Session) -> SessionLayout:
    begin = session.clock()[session.split == TRAIN]
    return SessionLayout(
        animal=session.animal,
        session=session.session,
        sha256=session.sha256,
        unit_id=session.unit_id,
        unit_area=session.unit_area,
        unit_kind=session.unit_kind,
        held_out=session.held_out.tolist(),
        trial_id=session.trial_id,
        split=session.split.tolist(),
        clock=[float(begin.min()), float(begin.max())] if len(begin) else [0.0, 0.0],
    )


def _training_body(session: Session) -> NDArray[np.float64]:
    """(trial, time, n_body) of training trials, NaN where missing or after the end."""
    chosen = session.split == TRAIN
    return np.where(session.mask[chosen][:, :, None], session.body[chosen], np.nan).astype(np.float64)


def _per_animal(cohort: Cohort, values: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Rows (trial and time flattened, feature) of each animal, from (trial, time, feature) of each session."""
    return [
        np.concatenate(
            [v.reshape(-1, v.shape[2]) for v, a in zip(values, cohort.animal_of, strict=True) if a == animal]
        )
        for animal in range(len(cohort.animals))
    ]


def _recorded_mean(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the rows that are recorded, (feature,); NaN where none is."""
    n_row = (~np.isnan(rows)).sum(axis=0)
    mean: NDArray[np.float64] = np.full(rows.shape[1], np.nan)
    np.divide(np.nansum(rows, axis=0), n_row, out=mean, where=n_row > 0)
    return mean


def _of_others(means: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """(animal, feature), where what is never recorded of an animal is the mean over the others."""
    every = np.array(means)
    return np.where(np.isnan(every), _recorded_mean(every), every)


def _shown_scales(cohort: Cohort, bodies: list[NDArray[np.float64]]) -> dict[str, Any]:
    """What the encoder is shown of behaviour, body or not. Raises DataError where a channel is never recorded."""
    first = cohort.sessions[0]
    pooled = np.concatenate([body.reshape(-1, body.shape[2]) for body in bodies])
    if empty := never_recorded(cohort.sessions):
        raise DataError(
            f"{', '.join(empty)} has no recorded value in any training trial",
            where="data.behavior",
            remedy="leave it out of the spec, or check data.split",
        )
    steps = np.concatenate([np.diff(body, axis=1).reshape(-1, body.shape[2]) for body in bodies])
    sd = np.maximum(np.nanstd(pooled, axis=0), 1e-9)
    count = np.isfinite(steps).sum(0)
    mean_square = np.nansum(steps**2, axis=0) / np.maximum(count, 1)
    step_sd = np.where(count > 0, np.maximum(np.sqrt(mean_square), 1e-6 * sd), sd)  # no step in trials of a bin or two
    return {
        "body_names": first.body_names,
        "body_units": first.body_units,
        "body_mean": np.nanmean(pooled, axis=0).tolist(),
        "body_sd": sd.tolist(),
        "body_step_sd": step_sd.tolist(),
    }


def _body_scales(
    spec: Spec, cohort: Cohort, bodies: list[NDArray[np.float64]], sd: NDArray[np.float64]
) -> dict[str, Any]:
    """Ranges, residuals and accelerations of the recorded body."""
    first = cohort.sessions[0]
    point_mass = spec.model.body.kind == "point_mass"
    n_position = sum(name.startswith("position_") for name in first.body_names)
    if point_mass and first.force.shape[2] not in (0, n_position):
        raise DataError(
            f"{first.force.shape[2]} force columns for {n_position} position axes",
            where="data.inputs",
            remedy="give the columns of one force, one for each axis of position",
        )
    pooled = np.concatenate([body.reshape(-1, body.shape[2]) for body in bodies])
    goal = slice(0, n_position or None)
    low, high = np.nanpercentile(pooled[:, goal], [1, 99], axis=0)
    surprised = slice(n_position, None) if point_mass else slice(None)
    steps = [np.diff(body[:, :, surprised], axis=1) for body in bodies]
    residual = np.sqrt(_of_others([_recorded_mean(step**2) for step in _per_animal(cohort, steps)]))
    residual = np.where(np.isnan(residual), sd[surprised], residual)
    starts = _of_others([_recorded_mean(start) for start in _per_animal(cohort, [body[:, :1] for body in bodies])])
    has_velocity = 0 < n_position == sum(name.startswith("velocity_") for name in first.body_names)
    moved = slice(n_position, 2 * n_position) if has_velocity else slice(None)
    scale = np.ones(sd[moved].shape) if point_mass else sd[moved]
    changes = [np.abs(body[:, 2 * _SPAN :, moved] - body[:, : -2 * _SPAN, moved]) for body in bodies]
    rates = np.concatenate([change.reshape(-1, len(scale)) for change in changes]) / scale
    known = rates[np.isfinite(rates)]
    fast = np.percentile(known if known.size else sd[moved] / scale, 99) / (2 * _SPAN * first.bin_s)
    return {
        "objective_mean": (0.5 * (low + high)).tolist(),
        "objective_sd": np.maximum(0.5 * (high - low), 1e-9).tolist(),
        "control_scale": float(max(fast, 1e-9)),
        "residual_scale": np.maximum(residual, 1e-6 * sd[surprised]).tolist(),
        "body_start": np.nan_to_num(starts).tolist(),
    }
