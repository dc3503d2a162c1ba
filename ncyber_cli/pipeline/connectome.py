"""A connectome from CSV: which areas (or classes of neurons) speak to which, with which sign, and how much.

A row is a directed edge. Columns: `source` and `target`, names of `model.brain.latents`; and of one's choice
`weight` or `synapses`, which learned strengths are compared with; `sign`; `strength`, how strong an edge may become.
Counts between classes of neurons are the same table: name each class as an area with one latent.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.open_hdf5 import file_sha256
from ncyber_cli.errors import DataError
from ncyber_cli.spec import Connectome, ConnectomeEdge, Spec

_NUMBERS = ("weight", "synapses", "strength")
_COLUMNS = ("source", "target", "sign", *_NUMBERS)
_SIGNS = {
    **dict.fromkeys(("+", "+1", "1", "e", "exc", "excitatory"), "excitatory"),
    **dict.fromkeys(("-", "-1", "i", "inh", "inhibitory"), "inhibitory"),
}


def with_connectome(spec: Spec, spec_path: Path) -> Spec:
    """The spec with the rows of its connectome's file in place of the file's name, so that a run needs no CSV.

    Raises DataError for a file that is not there or says something that no connectome of this brain can mean.
    """
    brain = spec.model.brain
    given = Connectome(file=brain.connectome) if isinstance(brain.connectome, str) else brain.connectome
    if given is None or given.file is None:
        return spec
    areas = list(brain.latents) if isinstance(brain.latents, dict) else []
    path = spec_path.parent / Path(given.file).expanduser()
    known = given.model_copy(update={"file": None, "edges": read_connectome(path, areas), "sha256": file_sha256(path)})
    model = spec.model.model_copy(update={"brain": brain.model_copy(update={"connectome": known})})
    return spec.model_copy(update={"model": model})


def read_connectome(path: Path, areas: Sequence[str]) -> list[ConnectomeEdge]:
    """The edges of a CSV, in its order. Raises DataError, naming the line, for the first that cannot be meant."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "is not UTF-8 text"
        remedy = "check model.brain.connectome; paths are relative to the spec"
        raise DataError(what, where=str(path), remedy=remedy) from error
    table = csv.DictReader(lines, skipinitialspace=True)
    _check_columns(table.fieldnames or [], str(path))
    edges: dict[tuple[str, str], int] = {}
    found = []
    for row in table:
        where = f"{path}:{table.line_num}"
        edge = _edge(row, areas, where)
        before = edges.setdefault((edge.source, edge.target), table.line_num)
        if before != table.line_num:
            what = f"names the edge {edge.source} to {edge.target} again, after line {before}"
            raise DataError(what, where=where, remedy="give each directed edge one row")
        found.append(edge)
    if not found:
        raise DataError("holds no edge", where=str(path), remedy="leave model.brain.connectome out")
    return found


def _check_columns(names: Sequence[str], where: str) -> None:
    for name in names:
        if name not in _COLUMNS:
            raise DataError(f"has a column {name!r}", where=where, remedy=did_you_mean(name, _COLUMNS))
    for name in ("source", "target"):
        if name not in names:
            remedy = f"begin with a line of names: source, target, and any of {', '.join(_COLUMNS[2:])}"
            raise DataError(f"has no column {name}", where=where, remedy=remedy)
    if "weight" in names and "synapses" in names:
        raise DataError("has weight and synapses", where=where, remedy="keep one of them")


def _edge(row: dict[str, str | None], areas: Sequence[str], where: str) -> ConnectomeEdge:
    if None in row or None in row.values():
        remedy = "write a comma for every column, with nothing after it where nothing is known"
        raise DataError("has not as many cells as the first line", where=where, remedy=remedy)
    cells = {name: (text or "").strip() for name, text in row.items()}
    source, target = cells["source"], cells["target"]
    for name in (source, target):
        if name not in areas:
            raise DataError(f"no area of the brain is called {name!r}", where=where, remedy=did_you_mean(name, areas))
    if source == target:
        remedy = "leave it out: dynamics within an area are always learned"
        raise DataError(f"is an edge from {source} to itself", where=where, remedy=remedy)
    numbers = {name: _number(cells[name], name, where) for name in _NUMBERS if cells.get(name)}
    sign = cells.get("sign", "").lower()
    if sign and sign not in _SIGNS:
        remedy = "write excitatory or inhibitory, or leave it empty"
        raise DataError(f"sign {sign!r} is none", where=where, remedy=remedy)
    return ConnectomeEdge(
        source=source,
        target=target,
        weight=numbers.get("weight", numbers.get("synapses")),
        sign=_SIGNS[sign] if sign else None,  # type: ignore[arg-type]
        strength=numbers.get("strength"),
    )


def _number(text: str, name: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise DataError(f"{name} {text!r} is no number", where=where, remedy="write a number above 0") from error
    if not (math.isfinite(value) and value > 0):
        remedy = "write a number above 0; leave the row out where there is no edge, signs have a column of their own"
        raise DataError(f"{name} is {text}", where=where, remedy=remedy)
    return value
