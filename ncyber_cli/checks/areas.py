"""Checks of the areas that the spec's model names against those that the units have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ncyber_cli.checks.registry import Grade, Remark, cohort_check, session_check
from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.recording import Session
from ncyber_cli.spec import Lqr, Setpoint, Spec

_STILL_FIRING = 0.5  # of the usual rate: silencing leaves a tenth or less


@session_check(Grade.error)
def units_outside_the_named_areas(session: Session, spec: Spec) -> Iterator[Remark]:
    latents = spec.model.brain.latents
    if isinstance(latents, dict):
        for area in sorted(set(session.unit_area) - set(latents)):
            n_unit = session.unit_area.count(area)
            what = f"names no area {area}, which {n_unit} units are in"
            yield "model.brain.latents", what, f"add {area}: 4, or drop the units: units: {{where: ...}}"


@session_check(Grade.warning)
def named_areas_without_units(session: Session, spec: Spec) -> Iterator[Remark]:
    latents = spec.model.brain.latents
    if isinstance(latents, dict):
        for area in sorted(set(latents) - set(session.unit_area)):
            what = f"area {area} has no units in this session: it is inferred from the others"
            remedy = f"nothing, if it was not recorded; else {did_you_mean(area, session.unit_area)}"
            yield "model.brain.latents", what, remedy


@cohort_check(Grade.error)
def named_areas_in_no_session(sessions: Sequence[Session], spec: Spec) -> Iterator[Remark]:
    latents, controller = spec.model.brain.latents, spec.model.controller
    known = {area for session in sessions for area in session.unit_area}
    named = {"model.brain.latents": list(latents) if isinstance(latents, dict) else []}
    if isinstance(controller, Setpoint | Lqr):
        named["model.controller.areas"] = list(controller.areas or ())
    for where, areas in named.items():
        for area in areas if known else ():
            if area not in known:
                yield where, f"no session has units in area {area}", did_you_mean(area, known)


@session_check(Grade.warning)
def silenced_areas_that_are_not_silent(session: Session, spec: Spec) -> Iterator[Remark]:
    for name, given in spec.data.inputs.items():
        here = np.array(session.unit_area) == given.area
        if given.kind == "silencing" and session.floor is not None and here.any():
            usual = float(np.nanmean(session.observation[session.mask][:, here]))
            left = float(session.floor[here].mean())
            if left > _STILL_FIRING * usual:
                what = f"while it is silenced {given.area} emits {left / usual:.0%} of what it does otherwise"
                remedy = "check its times and that it is above 0.5 while it acts; what only weakens is a stimulation"
                yield f"data.inputs.{name}", what, remedy
