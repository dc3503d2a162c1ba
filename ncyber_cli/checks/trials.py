"""Checks of the trials as the model will see them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ncyber_cli.checks.naming import some
from ncyber_cli.checks.registry import Grade, Remark, recording_check, session_check
from ncyber_cli.data.recording import SPLIT_NAMES, TRAIN, Recording, Session
from ncyber_cli.spec import Spec

_FEWEST_TRAINING_TRIALS = 10
_SPARSE = 0.5


@recording_check(Grade.warning)
def trials_without_an_event(recording: Recording, spec: Spec) -> Iterator[Remark]:
    trials = spec.data.trials
    if trials is None or recording.trials is None or trials.align not in recording.trials.columns:
        return
    event = recording.trials.columns[trials.align]
    missing = int(np.isnan(event).sum()) if event.dtype.kind == "f" else 0
    if missing:
        where = f"{trials.table}.{trials.align}"
        yield where, f"{missing} of {len(event)} trials have no such event and are left out", "align to another column"


@recording_check(Grade.warning)
def trials_that_end_before_they_begin(recording: Recording, spec: Spec) -> Iterator[Remark]:
    trials, columns = spec.data.trials, recording.trials.columns if recording.trials is not None else {}
    start_s, stop_s = columns.get("start_time"), columns.get("stop_time")
    if trials is None or start_s is None or stop_s is None or {start_s.dtype.kind, stop_s.dtype.kind} - set("iuf"):
        return
    if backwards := int((stop_s < start_s).sum()):
        what = f"{backwards} of {len(start_s)} trials stop before they start"
        yield f"{trials.table}.stop_time", what, "mend the table, or write trials.window_s around an event"


@recording_check(Grade.warning)
def contexts_without_a_number(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for name, given in spec.data.inputs.items():
        columns = recording.trials.columns if recording.trials is not None else {}
        values = columns.get(given.column or "")
        if given.kind == "context" and values is not None and values.dtype.kind == "f" and np.isnan(values).any():
            what = f"is NaN in {int(np.isnan(values).sum())} of {len(values)} trials, and taken for 0 there"
            yield f"data.inputs.{name}", what, "leave such trials out with trials.where, or write the number"


@session_check(Grade.warning)
def overlapping_trials(session: Session, spec: Spec) -> Iterator[Remark]:
    """Bins that belong to two trials can be in training and test at once, which flatters every score."""
    first_s, last_s = np.nanmin(session.time_s, axis=1), np.nanmax(session.time_s, axis=1)
    train = session.split == TRAIN
    early, late = np.sort(first_s[train]), np.sort(last_s[train])
    # training trials that have begun by a trial's last bin, less those that have ended before its first
    meet = np.searchsorted(early, last_s, side="right") - np.searchsorted(late, first_s, side="left")
    overlaps = int((meet[~train] > 0).sum())
    if overlaps and len(np.unique(first_s)) > 1:
        what = f"{overlaps} of {int((~train).sum())} trials that do not train overlap one that does"
        yield "data.trials", what, "write a shorter trials.window_s, or split: {by: block}"


@session_check(Grade.warning)
def trials_without_spikes(session: Session, spec: Spec) -> Iterator[Remark]:
    counts = [kind == "spikes" for kind in session.unit_kind]
    if not any(counts):
        return
    fired = np.array([np.nansum(trial[:, counts]) > 0 for trial in session.observation])
    if not fired.all():
        silent = [trial for trial, any_spike in zip(session.trial_id, fired, strict=True) if not any_spike]
        what = f"in {len(silent)} of {len(fired)} trials no unit fires ({some(silent)})"
        yield "data.trials", what, "leave them out with trials.where if the neurons were not recorded"


@session_check(Grade.warning)
def few_trials(session: Session, spec: Spec) -> Iterator[Remark]:
    counts = np.bincount(session.split, minlength=len(SPLIT_NAMES))
    if counts[0] < _FEWEST_TRAINING_TRIALS:
        what = f"only {counts[0]} training trials of {len(session.split)}"
        yield "data.split", what, "give more trials, or write shorter windows.length_s"
    for name, count in zip(SPLIT_NAMES[1:], counts[1:], strict=True):
        if count == 0:
            yield "data.split", f"no {name} trials of {len(session.split)}", f"write a larger split.{name}"


@session_check(Grade.warning)
def missing_behavior(session: Session, spec: Spec) -> Iterator[Remark]:
    inside = session.body[session.mask]
    for name, column in zip(session.body_names, inside.T, strict=True):
        missing = float(np.isnan(column).mean())
        if missing > _SPARSE:
            what = f"is missing in {missing:.0%} of the bins"
            yield f"data.behavior {name}", what, "check its times against those of the trials"


@session_check(Grade.warning)
def missing_activity(session: Session, spec: Spec) -> Iterator[Remark]:
    if session.observation.dtype.kind != "f":
        return
    missing = np.isnan(session.observation[session.mask]).mean(axis=0)
    if (sparse := int((missing > _SPARSE).sum())) > 0:
        what = f"{sparse} of {len(missing)} units are missing in more than half of the bins"
        yield "data.neural", what, "drop them with units: {where: ...}"
