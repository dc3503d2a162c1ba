"""Pulses into a named input of the spec, written NAME:VALUE,...@ONSET+DURATION[:SHAPE], as means over bins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.errors import UsageError
from ncyber_cli.model.layout import Layout
from ncyber_cli.spec import Data, InputSource

_FORM = "write NAME:VALUE,...@ONSET+DURATION, e.g. force:1.5,0@0.1+0.08 or force:1.5,0@0.1+0.08:half-sine"
_PULSED = ("force", "stimulation", "silencing", "stimulus")  # cues and contexts are events of a task, not signals
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pulse:
    """`values` times a shape of height 1 from `onset_s` for `duration_s`, s from the event trials are aligned on."""

    text: str  # as it was written
    force: bool  # into the forces, else into the inputs
    columns: list[int]  # of forces or inputs
    values: Floats  # (column,)
    onset_s: float
    duration_s: float
    shape: str

    def over_bins(self, centre_s: Floats, bin_s: float) -> Floats:
        """Mean of the shape over the bins around `centre_s`; NaN centres get nothing."""
        area = _AREAS[self.shape]
        edges = [(np.nan_to_num(centre_s, nan=np.inf) + side - self.onset_s) for side in (-bin_s / 2, bin_s / 2)]
        before, after = (area(np.clip(edge / self.duration_s, 0.0, 1.0)) for edge in edges)
        return self.duration_s / bin_s * (after - before)


# Integral of each shape from 0 to a phase in [0, 1].
_AREAS: dict[str, Callable[[Floats], Floats]] = {
    "square": lambda phase: phase,
    "half-sine": lambda phase: (1 - np.cos(np.pi * phase)) / np.pi,
}


def read_pulse(text: str, data: Data, layout: Layout) -> Pulse:
    """A pulse as written on the command line. Raises UsageError for what is no pulse into an input of this run."""
    where = f"--perturb {text}"
    name, colon, rest = text.partition(":")
    written, at, when = rest.partition("@")
    when, _, shape = when.partition(":")
    onset, plus, duration = when.rpartition("+")
    if not (colon and at and plus):
        raise UsageError("is no pulse", where=where, remedy=_FORM)
    if (shape or "square") not in _AREAS:
        raise UsageError(f"there is no shape {shape!r}", where=where, remedy=did_you_mean(shape, _AREAS))
    source = _source(name, data, where)
    columns = _columns(name, source, data, layout, where)
    values = np.array([_number(cell, where) for cell in written.split(",")])
    if len(values) != len(columns):
        what = f"values for {len(values)} of the {len(columns)} columns of {name}"
        raise UsageError(what, where=where, remedy="write one for each")
    length_s = _number(duration, where)
    if length_s <= 0:
        raise UsageError("lasts no time", where=where, remedy="write a duration above 0 s")
    return Pulse(text, source.kind == "force", columns, values, _number(onset, where), length_s, shape or "square")


def total(pulses: Sequence[Pulse], centre_s: Floats, bin_s: float, n_column: int) -> Floats:
    """What pulses add to the columns of the forces (or inputs) in each bin, (trial, time, n_column)."""
    added = np.zeros((*centre_s.shape, n_column))
    for pulse in pulses:
        added[..., pulse.columns] += pulse.over_bins(centre_s, bin_s)[..., None] * pulse.values
    return added


def _source(name: str, data: Data, where: str) -> InputSource:
    known = {key: given for key, given in data.inputs.items() if given.kind in _PULSED}
    if name in known:
        return known[name]
    if name in data.inputs:
        raise UsageError(
            f"{name} is a {data.inputs[name].kind}, and a pulse goes into a {', '.join(_PULSED)}",
            where=where,
            remedy=did_you_mean(name, known),
        )
    raise UsageError(f"this run has no input {name!r}", where=where, remedy=did_you_mean(name, known))


def _columns(name: str, source: InputSource, data: Data, layout: Layout, where: str) -> list[int]:
    if source.kind != "force":
        return [i for i, column in enumerate(layout.input_names) if name in (column, column.rpartition("_")[0])]
    forces = {key: given for key, given in data.inputs.items() if given.kind == "force"}
    widths = {key: len(given.columns) for key, given in forces.items() if given.columns is not None}
    if unsaid := [key for key in forces if key not in widths]:
        if len(unsaid) > 1:
            what = f"this run does not say which of its {layout.n_force} force columns are {' and '.join(unsaid)}"
            raise UsageError(what, where=where, remedy="fit with data.inputs.NAME.columns written out")
        widths[unsaid[0]] = layout.n_force - sum(widths.values())
    before = list(forces)[: list(forces).index(name)]
    first = sum(widths[key] for key in before)
    return list(range(first, first + widths[name]))


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise UsageError(f"{cell.strip()!r} is not a number", where=where, remedy=_FORM)
    return value
