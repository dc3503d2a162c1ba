"""The rows of the table that `fit` prints last: per animal, what was found on held-out trials."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ncyber_cli.outputs.provenance import plain


@dataclass(frozen=True)
class AnimalSummary:
    """One row. Numbers are of held-out trials; None is `not applicable`, NaN `could not be computed`."""

    animal: str
    trials: int
    neurons: int
    co_bps: float | None  # bits per spike of held-out neurons over their mean-rate model
    co_bps_null: float | None  # the same score of the training-mean null
    behavior_r2: float | None
    objective: str | None  # what it is, e.g. `target position, 2-D, in m`
    co_r2: float | None = None  # of held-out units with a continuous signal, over each one's mean
    co_r2_null: float | None = None
    prototypes: str | None = None  # prior `switching`: how many there are, and by how much over other numbers

    def as_dict(self) -> dict[str, Any]:
        """As `summary.json` and `--json` say it."""
        row: dict[str, Any] = plain(asdict(self))
        return row


def describe_objective(controller: str, *, dimensions: int, unit: str | None) -> str | None:
    """What the objective of a controller of this kind is, in the words of a results table.

    A setpoint lives in the body's units if there is a body (`unit`), else in a learned readout; an `mlp`
    objective has no meaning of its own, and the table says so.
    """
    if controller == "none":
        return None
    if controller == "mlp":
        return f"unstructured, {dimensions}-D, no unit"
    if unit is None:
        return f"setpoint of a learned readout, {dimensions}-D, no unit"
    return f"target position, {dimensions}-D, in {unit}"
