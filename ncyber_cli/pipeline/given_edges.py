"""Learned edges beside those that a connectome gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ncyber_cli.outputs.metrics.wiring import share_on_given, strength_agreement
from ncyber_cli.spec import Connectome, Spec

_STRENGTH = "nats_per_bin"


def with_given(spec: Spec, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `edge_strengths` with what the connectome says of each: its weight (0 where absent), and its sign."""
    known = spec.model.brain.connectome
    if not isinstance(known, Connectome):
        return [dict(row) for row in rows]
    edges = {(edge.source, edge.target): edge for edge in known.edges or ()}
    found = []
    for row in rows:
        edge = edges.get((row["from"], row["to"]))
        given = 0.0 if edge is None else edge.weight or edge.strength or 1.0
        found.append({**row, "given": given, "sign": None if edge is None else edge.sign})
    return found


def against_connectome(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rank correlation of learned with given strengths, and the share of strength on given edges; {} without any.

    A score is None where it says nothing: given weights that are all alike, or edges that were off unless given.
    """
    if not rows or "given" not in rows[0]:
        return {}
    learned, given = (np.array([row[name] for row in rows], np.float64) for name in (_STRENGTH, "given"))
    present = given > 0
    scores = {
        "rank_correlation": strength_agreement(learned[present], given[present]),
        "share_on_given": share_on_given(learned, present),
    }
    return {name: None if score is None else asdict(score) for name, score in scores.items()}
