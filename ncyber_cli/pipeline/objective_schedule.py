"""An objective set by hand: one value for all time, lines of a CSV file by bin or by second, or another trial's."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.errors import UsageError

INFERRED = "inferred"  # --objective inferred stays what it is where the rollouts begin
TRIAL = "trial:"  # --objective trial:ID is the inferred objective of that trial
_WHERE = "--objective"
_TIME = "time_s"  # a CSV file with a column of this name is a schedule in seconds
_SLACK_S = 1e-6
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Schedule:
    """Values (line, n_objective), NaN where the prior decides; each holds until the next, the last one to the end.

    Lines begin at `time_s`, in s from the event that trials are aligned on; without it they are the bins of a trial.
    """

    values: Floats
    time_s: Floats | None = None  # (line,) ascending

    def at(self, bins: NDArray[np.integer], time_s: Floats) -> Floats:
        """Values (trial, time, n_objective) in these bins (trial, time), whose centres are at `time_s`."""
        if self.time_s is None:
            by_bin: Floats = self.values[np.minimum(bins, len(self.values) - 1)]
            return by_bin
        line = np.searchsorted(self.time_s, np.nan_to_num(time_s) + _SLACK_S, side="right") - 1
        return np.where((line >= 0)[..., None], self.values[np.maximum(line, 0)], np.nan)


def read_schedule(text: str, n_objective: int) -> Schedule:
    """`text` is numbers (0.05,-0.02) or the path of a CSV file: one line a bin, or a first column time_s.

    A CSV file may begin with a line of names, and does where it has times. Raises UsageError for what is not a
    number, for a wrong number of dimensions and for times that do not ascend.
    """
    path = Path(text)
    if path.suffix.lower() == ".csv" or path.is_file():
        return _read_csv(path, n_objective)
    return Schedule(_row(text.split(","), n_objective, f"{_WHERE} {text}")[None])


def _read_csv(path: Path, n_objective: int) -> Schedule:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [(number, line) for number, line in enumerate(csv.reader(file), 1) if "".join(line).strip()]
    except (OSError, UnicodeDecodeError) as error:
        remedy = "give numbers (0.05,-0.02), a CSV file with one line a bin, trial:ID or inferred"
        raise UsageError("cannot be read as a CSV file", where=f"{_WHERE} {path}", remedy=remedy) from error
    names = [cell.strip() for cell in lines[0][1]] if lines else []
    if names and not any(_is_number(cell) for cell in names):
        lines = lines[1:]
    if not lines:
        raise UsageError("holds no line of numbers", where=f"{_WHERE} {path}", remedy="write one line a bin")
    if _TIME not in names:
        return Schedule(np.stack([_row(line, n_objective, f"{path}:{number}") for number, line in lines]))
    column = names.index(_TIME)
    time_s = np.array([_time(line, column, f"{path}:{number}") for number, line in lines])
    if (np.diff(time_s) <= 0).any():
        number = lines[int(np.flatnonzero(np.diff(time_s) <= 0)[0]) + 1][0]
        raise UsageError("time_s does not ascend", where=f"{path}:{number}", remedy="sort the lines by time")
    rest = [(number, line[:column] + line[column + 1 :]) for number, line in lines]
    return Schedule(np.stack([_row(line, n_objective, f"{path}:{number}") for number, line in rest]), time_s)


def _time(line: list[str], column: int, where: str) -> float:
    cell = line[column] if column < len(line) else ""
    if not _is_number(cell) or np.isnan(float(cell)):
        raise UsageError(f"time_s {cell.strip()!r} is not a number", where=where, remedy="write seconds")
    return float(cell)


def _row(cells: list[str], n_objective: int, where: str) -> Floats:
    axes = f"this run's objective has {n_objective} dimensions"
    for cell in cells:
        if not _is_number(cell):
            remedy = f"{axes}; nan leaves one to the prior"
            raise UsageError(f"{cell.strip()!r} is not a number", where=where, remedy=remedy)
    if len(cells) != n_objective:
        raise UsageError(f"has {len(cells)} numbers", where=where, remedy=f"{axes}, write as many")
    return np.array([float(cell) for cell in cells])


def _is_number(cell: str) -> bool:
    """A finite number or nan; infinity is no place to go to."""
    try:
        return not np.isinf(float(cell))
    except ValueError:
        return False
