"""Checks of the areas that the spec's model names against those that the units have."""

from __future__ import annotations

from collections.abc import Iterator

from ncyber_cli.checks.registry import Grade, Remark, session_check
from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.recording import Session
from ncyber_cli.spec import Lqr, Setpoint, Spec


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
            what = f"area {area} has no units in this session"
            yield "model.brain.latents", what, did_you_mean(area, session.unit_area)


@session_check(Grade.error)
def controller_areas_without_units(session: Session, spec: Spec) -> Iterator[Remark]:
    controller = spec.model.controller
    if isinstance(controller, Setpoint | Lqr):
        for area in sorted(set(controller.areas or ()) - set(session.unit_area)):
            yield "model.controller.areas", f"there is no area {area}", did_you_mean(area, session.unit_area)
