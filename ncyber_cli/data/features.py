"""Behaviour and inputs on the bins, with a name and a unit for every column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        signals["velocity"] = causal_difference(signals["position"], grid.bin_s)
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

    A cue is 0 before its event's bin and 1 from it on. A context is its number, or one column a
    label of `labels` (named context=label), over the whole trial. Raises DataError for a missing
    column, a cue that is no time and an unknown label.
    """
    inputs: list[Features] = []
    forces: list[Features] = []
    for name, given in spec.data.inputs.items():
        where = _where(recording, "inputs", name)
        if given.column is None:
            values = np.nan_to_num(binned(recording.inputs[name], grid, where=where), copy=False, nan=0.0)
            (forces if given.kind == "force" else inputs).append(_series_features(name, values, "a.u."))
            continue
        column = input_column(recording.trials, name, given, where)[grid.rows]
        if given.kind == "cue":
            inputs.append(_cue(name, column, grid, where))
        else:
            inputs.append(_context(name, column, grid, labels.get(name), where))
    return _beside(inputs, grid), _beside(forces, grid)


def input_column(table: IntervalTable | None, name: str, given: InputSource, where: str) -> NDArray[Any]:
    """The trial column of a cue or context, (row,). Raises DataError if there is none."""
    columns = table.columns if table is not None else {}
    if given.column not in columns:
        remedy = did_you_mean(str(given.column), columns) if table is not None else "a trial column needs data.trials"
        raise DataError(f"there is no trial column {given.column!r}", where=where, remedy=remedy)
    return columns[given.column]


def _cue(name: str, event_s: NDArray[Any], grid: Grid, where: str) -> Features:
    if event_s.dtype.kind not in "iuf":
        raise DataError("a cue column holds event times in s", where=where, remedy="write kind: context for labels")
    first = np.floor((event_s - grid.start_s) / grid.bin_s + SLACK)  # NaN: the cue never came, and no bin is reached
    step = (np.arange(grid.n_time) >= first[:, None]) & grid.mask()
    return Features(step[..., None].astype(np.float32), [name], ["a.u."])


def _context(name: str, column: NDArray[Any], grid: Grid, labels: Sequence[str] | None, where: str) -> Features:
    if column.dtype.kind != "U":
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
