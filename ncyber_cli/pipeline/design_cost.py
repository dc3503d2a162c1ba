"""`--cost end=1,effort=1e-3`: weights of named terms, read and checked."""

from __future__ import annotations

import math

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.errors import UsageError
from ncyber_cli.inference.task_cost import TERMS, TaskCost
from ncyber_cli.pipeline.open_run import OpenRun, features_of
from ncyber_cli.spec import LinearBody


def read_cost(text: str, run: OpenRun) -> TaskCost:
    """The cost that `text` writes down. Raises UsageError for what is no term, no weight, or not of this body."""
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        where = f"--cost {part.strip()}"
        if name not in TERMS:
            raise UsageError(f"there is no term {name!r}", where=where, remedy=did_you_mean(name, TERMS))
        if name in weights:
            raise UsageError("is written twice", where=where, remedy="keep one of the two")
        weights[name] = _weight(number if equals else "", where)
    if not any(weights.values()):
        raise UsageError("every weight is zero", where=f"--cost {text}", remedy="give one term a positive weight")
    if isinstance(run.spec.model.body, LinearBody) and "end_speed" in weights:
        what = "a linear body's velocity is not among its states"
        raise UsageError(what, where="--cost end_speed", remedy="leave it out; effort and jerk slow a movement too")
    return TaskCost(weights)


def _weight(number: str, where: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight >= 0):
        raise UsageError(
            "is no weight", where=where, remedy="write name=number, the number at least 0: end=1,effort=1e-3"
        )
    return weight


def meanings(cost: TaskCost, run: OpenRun) -> dict[str, str]:
    """What each term of a cost is, in this run's units."""
    units = {"L": run.layout.body_units[0], "U": features_of(run, [], [])["controls"].units[0]}
    return {name: _in_units(TERMS[name][1], units) for name in cost.weights}


def _in_units(text: str, units: dict[str, str]) -> str:
    meaning, _, unit = text.rpartition(", ")
    for letter, word in units.items():
        unit = unit.replace(letter, f"({word})" if "/" in word or " " in word else word)
    return f"{meaning}, {unit}"
