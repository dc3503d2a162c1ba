"""An objective set by hand: one value for all time, or one line a bin of a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.errors import UsageError

_WHERE = "--objective"


def read_schedule(text: str, n_objective: int) -> NDArray[np.float64]:
    """(time, n_objective), NaN where the prior decides. `text` is numbers (0.05,-0.02) or the path of a CSV file.

    A CSV file may begin with a line of names. Raises UsageError for what is not a number, and for a wrong number
    of dimensions.
    """
    path = Path(text)
    if path.suffix.lower() == ".csv" or path.is_file():
        return _read_csv(path, n_objective)
    return _row(text.split(","), n_objective, f"{_WHERE} {text}")[None]


def _read_csv(path: Path, n_objective: int) -> NDArray[np.float64]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [(number, line) for number, line in enumerate(csv.reader(file), 1) if "".join(line).strip()]
    except (OSError, UnicodeDecodeError) as error:
        remedy = "give numbers (0.05,-0.02), or a CSV file with one line a bin"
        raise UsageError("cannot be read as a CSV file", where=f"{_WHERE} {path}", remedy=remedy) from error
    if lines and not any(_is_number(cell) for cell in lines[0][1]):
        lines = lines[1:]  # names of the axes
    if not lines:
        raise UsageError("holds no line of numbers", where=f"{_WHERE} {path}", remedy="write one line a bin")
    return np.stack([_row(line, n_objective, f"{path}:{number}") for number, line in lines])


def _row(cells: list[str], n_objective: int, where: str) -> NDArray[np.float64]:
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
