"""Do fits from other seeds find the same objective and the same constants?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ncyber_cli.data.recording import TEST, Session
from ncyber_cli.outputs.metrics.agreement import concordance
from ncyber_cli.pipeline.constants import animal_constants
from ncyber_cli.pipeline.open_run import OpenRun
from ncyber_cli.pipeline.recovery import smoothed

Constants = dict[str, dict[str, dict[str, Any]]]  # by animal and name: values (one a seed) and unit
_LOOSE = 0.2  # a constant that differs by more between seeds, relative to its mean, is not told by the data


def agreement(kinds: dict[str, Sequence[OpenRun]], sessions: Sequence[Session]) -> dict[str, dict[str, list[float]]]:
    """Concordance of smoothed objectives on test trials, of every two seeds, by animal and kind of run."""
    found: dict[str, dict[str, list[float]]] = {}
    for kind, runs in kinds.items():
        if len(runs) < 2:
            continue
        for session in sessions:
            test = np.flatnonzero(session.split == TEST)
            goals = [smoothed(run, session, test).mean["objectives"][test] for run in runs]
            values = [concordance(one, other, session.mask[test]) for one, other in combinations(goals, 2)]
            found.setdefault(session.animal, {}).setdefault(kind, []).extend(values)
    return found


def constants_of(runs: Sequence[OpenRun], animals: Sequence[str]) -> Constants:
    """Every constant of every animal, one value a seed, with its unit."""
    found: Constants = {}
    for animal in animals:
        each = [animal_constants(run.model, run.layout, run.layout.animals.index(animal)) for run in runs]
        found[animal] = {
            name: {"values": [one[name]["value"] for one in each], "unit": first["unit"]}
            for name, first in each[0].items()
        }
    return found


def differing(constants: Constants) -> dict[str, list[str]]:
    """Names of the constants whose largest entries differ between seeds by more than a fifth of their mean."""
    return {animal: [name for name, each in one.items() if _loose(each["values"])] for animal, one in constants.items()}


def _loose(values: Sequence[Any]) -> bool:
    largest = np.array([np.abs(np.asarray(value, float)).max() for value in values])
    return len(largest) > 1 and bool(np.ptp(largest) > _LOOSE * largest.mean())
