"""`simulate --body` and `--delay`: constants of the body set by hand, as values with a unit or as multiples (x2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.errors import UsageError
from ncyber_cli.model.body import PointMass
from ncyber_cli.model.closed_loop import ClosedLoop
from ncyber_cli.model.interventions import load_body, scale_lag, scale_noise, set_delay, set_lag
from ncyber_cli.model.layout import Layout

_LONGEST_LAG_S, _LONGEST_DELAY_S = 1.0, 2.0  # as in the spec
_FORM = "write mass=x2 (twice what was fitted) or mass=2.0 (kg); lag=x2 or lag=0.1 (s); noise=x2"


@dataclass(frozen=True)
class Amount:
    """A number as written: `x2` is a multiple of what was fitted, `2` a value."""

    number: float
    multiple: bool


def change_body(loop: ClosedLoop, layout: Layout, text: str) -> ClosedLoop:
    """The loop with NAME=AMOUNT done to its body. Raises UsageError for what this run's body does not have."""
    where = f"--body {text}"
    if loop.body is None:
        raise UsageError("this run's model has no body", where=where, remedy="leave it out")
    name, _, written = text.partition("=")
    if name not in _CHANGES:
        raise UsageError(f"a body has no {name!r}", where=where, remedy=f"{did_you_mean(name, _CHANGES)}; {_FORM}")
    return _CHANGES[name](loop, layout, read_amount(written, where, _FORM), where)


def change_delay(loop: ClosedLoop, delay_s: float) -> ClosedLoop:
    """The loop with another sensory delay. Raises UsageError where the brain is told nothing or at once."""
    where = f"--delay {delay_s:g}"
    if loop.environment is None:
        remedy = "fit with model.environment: {kind: feedback, delay_s: ...}"
        raise UsageError("this run's model has no delayed feedback", where=where, remedy=remedy)
    if not 0 <= delay_s <= _LONGEST_DELAY_S:
        raise UsageError("is no delay", where=where, remedy=f"write seconds, 0 to {_LONGEST_DELAY_S:g}")
    return set_delay(loop, delay_s)


def read_amount(written: str, where: str, remedy: str) -> Amount:
    """`x2` or `2`; finite and not negative. Raises UsageError."""
    multiple = written.startswith("x")
    try:
        number = float(written.removeprefix("x"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise UsageError(f"{written!r} is no amount", where=where, remedy=remedy)
    return Amount(number, multiple)


def _mass(loop: ClosedLoop, layout: Layout, amount: Amount, where: str) -> ClosedLoop:
    body = loop.body
    if not isinstance(body, PointMass):
        raise UsageError("a linear body has no mass", where=where, remedy="it has a lag and noise")
    if amount.number == 0:
        raise UsageError("a body without mass cannot be moved", where=where, remedy=_FORM)
    if not amount.multiple and not (layout.n_force or body.command_in_newtons):
        what = "without a recorded force or model.body.mass_kg this run knows no mass"
        raise UsageError(what, where=where, remedy="write a multiple, mass=x2")
    every = torch.arange(len(layout.animals), device=loop.initial_mean.device)
    load = torch.full_like(body.mass(every), amount.number)
    return load_body(loop, (load if amount.multiple else load / body.mass(every)).detach())


def _lag(loop: ClosedLoop, layout: Layout, amount: Amount, where: str) -> ClosedLoop:
    assert loop.body is not None
    if not amount.multiple:
        if amount.number > _LONGEST_LAG_S:
            raise UsageError("is no muscle", where=where, remedy=f"write at most {_LONGEST_LAG_S:g} s")
        return set_lag(loop, amount.number)
    if loop.body.lag is None:
        raise UsageError("this run's muscle has no lag to multiply", where=where, remedy="write seconds, lag=0.1")
    return scale_lag(loop, amount.number) if amount.number else set_lag(loop, 0)


def _noise(loop: ClosedLoop, layout: Layout, amount: Amount, where: str) -> ClosedLoop:
    if not amount.multiple:
        raise UsageError("noise differs by axis and animal", where=where, remedy="write a multiple, noise=x2")
    return scale_noise(loop, amount.number)


_CHANGES: dict[str, Callable[[ClosedLoop, Layout, Amount, str], ClosedLoop]] = {
    "mass": _mass,
    "lag": _lag,
    "noise": _noise,
}
