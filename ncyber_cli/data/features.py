"""Behaviour and inputs on the bins, with a name and a unit for every column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.check_times import LARGEST
from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.grid import SLACK, Grid
from ncyber_cli.data.recording import IntervalTable, Recording
from ncyber_cli.data.resample import binned, causal_difference
from ncyber_cli.errors import DataError
from ncyber_cli.spec import InputSource, Spec


@dataclass(frozen=True)
class Features:
    """Columns on the bins; `units` are physical units where the spec gives them."""

    values: NDArray[np.float32]  # (trial, time, feature)
    names: list[str]
    units: list[str]


def body_features(recording: Recording, spec: Spec, grid: Grid) -> Features:
    """Behaviour on the bins, NaN as missing: position first, velocity second, the rest in the spec's order.

    A body whose position is recorded and its velocity not gets it as a causal difference.
    """
    signals = dict(recording.behavior)
    units = {name: source.unit for name, source in spec.data.behavior.items()}
    if spec.model.body.kind != "none" and "position" in signals and "velocity" not in signals:
        signals["velocity"] = causal_difference(signals["position"], grid.bin_s, grid.start_s)
        units["velocity"] = f"{units['position']}/s"
    order = sorted(signals, key=lambda name: {"position": 0, "velocity": 1}.get(name, 2))
    parts = [
        _series_features(name, binned(signals[name], grid, where=_where(recording, "behavior", name)), units[name])
        for name in order
    ]
    return _beside(parts, grid)


def input_features(
    recording: Recording, spec: Spec, grid: Grid, labels: Mapping[str, Sequence[str]]
) -> tuple[Features, Features]:
    """(inputs, forces) on the bins; zero where nothing is given.

    A cue is 0 before its event's bin and 1 from it on; a stimulation or silencing by its onset and end is 1 between.
    A context is its number, or one column a label of `labels` (named context=label), over the whole trial. Raises
    DataError for a missing column, an event that is no time and an unknown label.
    """
    inputs: list[Features] = []
    forces: list[Features] = []
    for name, given in spec.data.inputs.items():
        where = _where(recording, "inputs", name)
        if given.column is None:
            values = np.nan_to_num(binned(recording.inputs[name], grid, where=where), copy=False, nan=0.0)
            (forces if given.kind == "force" else inputs).append(_series_features(name, values, "a.u."))
            continue
        column = input_column(recording.trials, given.column, where)[grid.rows]
        if given.kind == "cue":
            inputs.append(_step(name, _since(column, grid, where), grid))
        elif given.until is not None:
            over = _since(input_column(recording.trials, given.until, where)[grid.rows], grid, where)
            inputs.append(_step(name, _since(column, grid, where) & ~over, grid))
        else:
            inputs.append(_context(name, column, grid, labels.get(name), where))
    return _beside(inputs, grid), _beside(forces, grid)


def input_of(column: str, spec: Spec) -> InputSource | None:
    """The spec's input that a column of `input_features` comes from; None if it is none of them."""
    names = (column, column.partition("=")[0], column.rpartition("_")[0])
    return next((spec.data.inputs[name] for name in names if name in spec.data.inputs), None)


def input_column(table: IntervalTable | None, column: str, where: str) -> NDArray[Any]:
    """A column of the trial table, (row,). Raises DataError if there is none."""
    columns = table.columns if table is not None else {}
    if column not in columns:
        remedy = did_you_mean(column, columns) if table is not None else "a trial column needs data.trials"
        raise DataError(f"there is no trial column {column!r}", where=where, remedy=remedy)
    return columns[column]


def _since(event_s: NDArray[Any], grid: Grid, where: str) -> NDArray[np.bool_]:
    """(trial, time): the bin of each trial's event and those after it; none where it never came (NaN)."""
    if event_s.dtype.kind not in "iuf":
        raise DataError("a column of event times holds s", where=where, remedy="write kind: context for labels")
    first = np.floor((event_s - grid.start_s) / grid.bin_s + SLACK)
    reached: NDArray[np.bool_] = np.arange(grid.n_time) >= first[:, None]
    return reached


def _step(name: str, on: NDArray[np.bool_], grid: Grid) -> Features:
    return Features((on & grid.mask())[..., None].astype(np.float32), [name], ["a.u."])


def _context(name: str, column: NDArray[Any], grid: Grid, labels: Sequence[str] | None, where: str) -> Features:
    if column.dtype.kind != "U":
        if not (np.isnan(column) | (np.abs(column) < LARGEST)).all():
            raise DataError("a context is infinite in some trial", where=where, remedy="write a finite number or NaN")
        values, names = np.nan_to_num(column.astype(np.float32), nan=0.0)[:, None], [name]
    else:
        known = list(labels) if labels is not None else sorted(set(column.tolist()))
        for label in column.tolist():
            if label not in known:
                raise DataError(f"context label {label!r} is new", where=where, remedy=did_you_mean(label, known))
        values = (column[:, None] == np.array(known)).astype(np.float32)
        names = [f"{name}={label}" for label in known]
    return Features(values[:, None, :] * grid.mask()[..., None].astype(np.float32), names, ["a.u."] * len(names))


def _series_features(name: str, values: NDArray[np.float32], unit: str) -> Features:
    n_feature = values.shape[-1]
    return Features(values, [f"{name}_{i}" for i in range(n_feature)], [unit] * n_feature)


def _beside(parts: Sequence[Features], grid: Grid) -> Features:
    empty = np.zeros((grid.n_trial, grid.n_time, 0), dtype=np.float32)
    values = np.concatenate([empty, *(part.values for part in parts)], axis=-1)
    names = [name for part in parts for name in part.names]
    return Features(values, names, [unit for part in parts for unit in part.units])


def _where(recording: Recording, group: str, name: str) -> str:
    return f"{recording.path.name}: {group}.{name}"
