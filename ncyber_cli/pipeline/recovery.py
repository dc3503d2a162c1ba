"""What a run recovered of an animal whose truth is known: objective, command and actuator, raw, beside the nulls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.recording import TEST, TRAIN, VALIDATION, Session
from ncyber_cli.errors import DataError
from ncyber_cli.inference.posterior import Moments, Sources, causal_moments, posterior_moments
from ncyber_cli.outputs.metrics import control_r2, interval_coverage, objective_r2_by_time, r2
from ncyber_cli.outputs.metrics.nulls import BehaviorAlone, EndPoint, HandPosition, Null, SmoothedSpikes, Trials
from ncyber_cli.pipeline.open_run import OpenRun, trial_batches
from ncyber_cli.worlds.truth import Truth, read_truth

AT_S = (-0.2, -0.1, -0.04, 0.0, 0.04, 0.1, 0.2, 0.3, 0.4)  # from each event
EVENTS = {"cue": "target_on_time", "go": "go_time", "jump's arrival": "jump_arrival_time"}
_SAMPLES, _SEED, _TRIALS = 16, 0, 64
_GROUPS = {"objective": "objectives", "control": "controls", "actuator": "actuator"}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Inferred:
    """Means and sds of every group over a session, (trial, time, feature), NaN outside the mask."""

    mean: dict[str, Floats]
    sd: dict[str, Floats]


def known_truth(session: Session) -> Truth | None:
    """The truth of a file made by `ncyber synth`, None for any other."""
    try:
        return read_truth(session.path)
    except DataError:
        return None


def smoothed(run: OpenRun, session: Session, trials: NDArray[np.int64]) -> Inferred:
    """Smoothing moments of the named trials; the others stay NaN."""
    return _gathered(
        session,
        (
            (
                some.trials,
                posterior_moments(run.model, some.batch, run.spec.inference, some.keys, samples=_SAMPLES, seed=_SEED),
            )
            for some in trial_batches(run, session, trials, _TRIALS)
        ),
    )


def causal(run: OpenRun, session: Session, trials: NDArray[np.int64], sources: Sources = "both") -> Inferred:
    """Causal moments of the named trials; the others stay NaN."""
    return _gathered(
        session,
        (
            (some.trials, causal_moments(run.model, some.batch, run.spec.inference, sources=sources))
            for some in trial_batches(run, session, trials, _TRIALS)
        ),
    )


def recovery(run: OpenRun, session: Session, truth: Truth, *, both: bool, raw: bool) -> dict[str, Any]:
    """Scores of test trials against the truth; `both` where the run sees neurons and behaviour.

    `raw` where the objective is in the body's units; elsewhere only command and actuator can be compared.
    """
    test = np.flatnonzero(session.split == TEST)
    true = {name: series.at(session.time_s) for name, series in truth.series.items() if name in _GROUPS}
    late, now = smoothed(run, session, test), causal(run, session, test)
    found: dict[str, Any] = {}
    for name in ("control", "actuator") if raw else ():
        if name in true:
            mask = session.mask[test]
            found[f"{name}_r2"] = control_r2(true[name][test], late.mean[_GROUPS[name]][test], mask)
    if "objective" not in true or not raw:
        return found
    goal = true["objective"]
    by_run = {"model, smoothed": late, "model, causal": now}
    if both:
        by_run["behavior alone, causal"] = causal(run, session, test, "behavior")
    estimates = {name: each.mean["objectives"][:, :, : goal.shape[2]] for name, each in by_run.items()}
    if (session.split == TRAIN).any():  # a null has to be fitted to the session's own neurons
        estimates |= {name: predicted(null, session, goal) for name, null in _nulls(both).items()}
    found["objective_r2"] = {name: r2(goal[test], each[test], session.mask[test]) for name, each in estimates.items()}
    found["objective_r2_by_time"] = _courses(session, truth, goal, estimates)
    found["calibration"] = {
        name: _coverage(session, goal, inferred) for name, inferred in (("smoothed", late), ("causal", now))
    }
    return found


def _nulls(both: bool) -> dict[str, Null]:
    nulls: dict[str, Null] = {"end point (not causal)": EndPoint(), "hand position": HandPosition()}
    if both:
        nulls["behavior ridge, mapped"] = BehaviorAlone(causal=True)
    nulls["smoothed spikes, mapped"] = SmoothedSpikes(causal=True)
    return nulls


def predicted(null: Null, session: Session, target: Floats) -> Floats:
    """A null's prediction of `target` for test trials: fitted on training trials, tuned on validation trials.

    Like an encoder, it sees no held-out unit.
    """

    def trials(part: int) -> Trials:
        rows = session.split == part
        counts = session.observation[rows][:, :, ~session.held_out].astype(np.float64)
        return Trials(counts, session.body[rows], target[rows], session.mask[rows])

    train, validation = trials(TRAIN), trials(VALIDATION)
    predict = null.fit(train, validation if len(validation.mask) else train)
    found = np.full(target.shape, np.nan)
    found[session.split == TEST] = predict(trials(TEST))
    return found


def _courses(session: Session, truth: Truth, goal: Floats, estimates: Mapping[str, Floats]) -> dict[str, Any]:
    """R2 as a function of time from each event that the trials have; needs the rows of the file's trial table."""
    if session.trials is None or "start_time" not in truth.trials:
        return {}
    begun = np.asarray(session.trials.columns["start_time"], np.float64)
    rows = np.abs(truth.trials["start_time"][None, :] - begun[:, None]).argmin(1)
    test, found = session.split == TEST, {}
    for event, column in EVENTS.items():
        if column not in truth.trials or np.isnan(truth.trials[column][rows][test]).all():
            continue
        course: dict[str, Any] = {"at_s": list(AT_S)}
        for name, estimate in estimates.items():
            by_time = objective_r2_by_time(
                goal[test],
                estimate[test],
                time_s=session.time_s[test],
                event_s=truth.trials[column][rows][test],
                at_s=np.array(AT_S),
                bin_s=session.bin_s,
                mask=session.mask[test],
            )
            course["trials"] = by_time.trials.tolist()
            course[name] = by_time.r2.tolist()
        found[event] = course
    return found


def _coverage(session: Session, goal: Floats, inferred: Inferred) -> dict[str, float]:
    test = session.split == TEST
    n_axis = goal.shape[2]  # a velocity of the goal may follow
    mean, sd = inferred.mean["objectives"][test, :, :n_axis], inferred.sd["objectives"][test, :, :n_axis]
    shares = interval_coverage(goal[test], mean, sd, session.mask[test])
    return {f"{level:.0%}": share for level, share in shares.items()}


def _gathered(session: Session, pieces: Iterator[tuple[NDArray[np.int64], dict[str, Moments]]]) -> Inferred:
    """Batches end with their longest trial; here every group has the session's number of bins."""
    mean: dict[str, Floats] = {}
    sd: dict[str, Floats] = {}
    for trials, moments in pieces:
        for name, found in moments.items():
            for kept, values in ((mean, found.mean), (sd, found.sd)):
                n_time, n_feature = values.shape[1:]
                wide = kept.setdefault(name, np.full((*session.mask.shape, n_feature), np.nan))
                wide[trials, :n_time] = values.double().cpu().numpy()
    for kept in (mean, sd):
        for wide in kept.values():
            wide[~session.mask] = np.nan
    return Inferred(mean, sd)
