"""The evidence of a run and its refits, animal by animal, and what it says of the objective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ncyber_cli.data.recording import TEST, Session
from ncyber_cli.model.controller import MLPController
from ncyber_cli.outputs.metrics import Interval
from ncyber_cli.outputs.verdict import NEURAL, Verdict, judge, unjudged
from ncyber_cli.pipeline.evidence import OWN, Gains, Nats, distances, gains, nats_of, together
from ncyber_cli.pipeline.foresight import Errors, Foresight, foresee, horizon_bins
from ncyber_cli.pipeline.open_run import OpenRun, objective_in_body_units
from ncyber_cli.reporting import Progress

ALL = "all"
_LOOP_ARMS = (OWN, "none", "shuffled")
_DISTANCES_S = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Judgement:
    """By animal, and for all of them together under ALL."""

    verdicts: dict[str, Verdict]
    gains: dict[str, Gains] = field(default_factory=dict)
    closed_loop_error: dict[str, Any] = field(default_factory=dict)


def judgement(
    run: OpenRun, seeds: Sequence[OpenRun], mlps: Sequence[OpenRun], sessions: Sequence[Session], progress: Progress
) -> Judgement:
    """Judge the objective of `run`; `seeds` are refits of its spec, `mlps` those without structure, seed by seed.

    Where nothing can be judged the verdicts say why.
    """
    animals = list(dict.fromkeys(session.animal for session in sessions))
    why = _cannot(run, sessions)
    if why is not None:
        return Judgement({name: unjudged(why) for name in (*animals, ALL)})
    arms = [*_LOOP_ARMS, *([NEURAL] if sees_both(run) else []), "motion"]
    progress.say(f"foretelling {sum(int((session.split == TEST).sum()) for session in sessions)} test trials")
    found = [_of_animals(each, sessions, arms) for each in (run, *seeds)]
    structureless = [_of_animals(each, sessions, [OWN]) for each in mlps]
    bin_s, channels = run.layout.bin_s, len(run.layout.body_names)
    nats = [{animal: nats_of(one[animal], bin_s) for animal in animals} for one in found]
    mlp_nats = [{animal: nats_of(one[animal], bin_s) for animal in animals} for one in structureless]
    every = {a: gains(a, channels, [one[a] for one in nats], [one[a] for one in mlp_nats]) for a in animals}
    every[ALL] = gains(ALL, channels, [_pooled(one) for one in nats], [_pooled(one) for one in mlp_nats])
    verdicts = {name: judge(each.over, channels) for name, each in every.items()}
    return Judgement(verdicts, every, _closed_loop_error(run, animals, found[0], structureless[:1]))


def sees_both(run: OpenRun) -> bool:
    return set(run.spec.inference.inputs) == {"neural", "behavior"}


def refits_are_needed(run: OpenRun, sessions: Sequence[Session]) -> bool:
    return _cannot(run, sessions) is None


def _cannot(run: OpenRun, sessions: Sequence[Session]) -> str | None:
    """Why there is nothing to judge, None if there is something."""
    loop = run.model.loop
    if loop.objective is None or loop.controller is None:
        return "this run's model has no objective"
    if loop.body is None:
        return "without a recorded body nothing says whether the objective is pursued"
    if isinstance(loop.controller, MLPController):
        return "the objective of an unstructured controller has no meaning of its own"
    if min(int((session.split == TEST).sum()) for session in sessions) < 2:
        return "an animal's goals cannot be exchanged with fewer than two test trials in a session"
    if not all((session.split != TEST).any() for session in sessions):
        return "a file that the run was not fitted to has no trials that set the width of a forecast"
    return None


def _of_animals(run: OpenRun, sessions: Sequence[Session], arms: Sequence[str]) -> dict[str, list[Foresight]]:
    found: dict[str, list[Foresight]] = {}
    for session in sessions:
        found.setdefault(session.animal, []).append(foresee(run, session, arms))
    return found


def _pooled(nats: dict[str, Nats]) -> Nats:
    return together(list(nats.values()))


def _closed_loop_error(
    run: OpenRun, animals: Sequence[str], found: dict[str, list[Foresight]], mlp: Sequence[dict[str, list[Foresight]]]
) -> dict[str, Any]:
    """Median distance to the recorded body, of its position where the objective is a place, else of all channels."""
    horizon, bin_s = horizon_bins(run.layout.bin_s), run.layout.bin_s
    steps = sorted({min(horizon, max(1, round(at / bin_s))) for at in _DISTANCES_S})
    objective = run.model.loop.objective if objective_in_body_units(run) else None
    columns = list(range(len(run.layout.body_names) if objective is None else objective.n_axis))
    by_animal = {}
    for animal in animals:
        errors = {arm: _all_errors(found[animal], arm) for arm in found[animal][0].scored}
        if mlp:
            errors["mlp"] = _all_errors(mlp[0][animal], OWN)
        by_animal[animal] = distances(errors, columns, steps)
    unit = "units of the body" if objective is None else run.layout.body_units[0]
    return {"horizon_s": [step * bin_s for step in steps], "unit": unit, "animals": by_animal}


def _all_errors(foresights: Sequence[Foresight], arm: str) -> list[Errors]:
    return [np.concatenate(parts) for parts in zip(*(each.scored[arm] for each in foresights), strict=True)]


def interval_dict(interval: Interval) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}
