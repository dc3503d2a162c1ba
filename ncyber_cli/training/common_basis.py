"""One basis for the sessions of a model, area by area: that of their start, or of a model that is fitted already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.recording import Session
from ncyber_cli.model.brain import Areas
from ncyber_cli.training.activity import Activity, principal_scores, smoothed_activity, unit_area_index
from ncyber_cli.training.align import Alignment, align
from ncyber_cli.training.evidence import Evidence, evidence_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class AreaBasis:
    """Latents of one area of a fitted model: `mean + whitened @ spread`, and what sessions say of the whitened ones."""

    mean: Array  # (latent,)
    spread: Array  # (latent, latent), symmetric
    evidence: Evidence

    def to_plain(self) -> dict[str, Any]:
        """For a checkpoint: lists, numbers and names."""
        plain = {"mean": self.mean.tolist(), "spread": self.spread.tolist()}
        return {**plain, "evidence": self.evidence.to_plain()}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> AreaBasis:
        mean, spread = (np.array(plain[name], np.float64) for name in ("mean", "spread"))
        return cls(mean, spread, Evidence.from_plain(plain["evidence"]))


@dataclass(frozen=True)
class SessionAlignment:
    """How one session's latents were turned, by area; areas in which it has no unit are left out."""

    animal: str
    session: str
    areas: dict[str, Alignment]
    maps: list[tuple[slice, Array, Array | float]]  # latents of an area become `x @ matrix + offset`

    def turned(self, scores: Array, inside: NDArray[np.bool_]) -> Array:
        """Latents (trial, time, latent) in the common basis, zeros outside."""
        if not self.maps:
            return scores
        turned = scores.copy()
        for part, matrix, offset in self.maps:
            turned[:, :, part] = (scores[:, :, part] @ matrix + offset) * inside[:, :, None]
        return turned

    @property
    def named(self) -> bool:
        """Whether an area of it should have been aligned and could not be."""
        return any(each.named for each in self.areas.values())

    def turned_anyhow(self, generator: np.random.Generator) -> SessionAlignment:
        """With a rotation drawn at random in every area that could not be aligned."""
        areas, maps = {}, []
        for (name, each), (part, matrix, offset) in zip(self.areas.items(), self.maps, strict=True):
            size = len(each.rotation)
            drawn = np.linalg.qr(generator.standard_normal((size, size)))[0] if each.named else np.eye(size)
            areas[name] = replace(each, rotation=drawn @ each.rotation)
            maps.append((part, drawn @ matrix, offset))
        return replace(self, areas=areas, maps=maps)

    def as_dict(self) -> dict[str, Any]:
        """As summary.json says it."""
        areas = {name: each.as_dict() for name, each in self.areas.items()}
        return {"animal": self.animal, "session": self.session, "areas": areas}

    def warnings(self) -> list[str]:
        """What could not be aligned, in words."""
        found = []
        for name, each in self.areas.items():
            if each.named:
                seen = "nothing in it can be compared with the others, its latents start as they are"
                if each.quality is not None:
                    seen = (
                        f"the others explain {each.quality:.0%} of what can be compared, its latents start at a guess"
                    )
                of_area = f" ({name})" if len(self.areas) > 1 else ""
                found.append(f"{self.animal} {self.session}{of_area} could not be aligned with the others: {seen}")
        return found


def align_sessions(
    cohort: Cohort,
    areas: Areas,
    log_linear: Sequence[NDArray[np.bool_]],
    basis: Sequence[AreaBasis] | None = None,
) -> list[SessionAlignment]:
    """Turn the sessions' principal components to one basis, or to that of a fitted model. Sees training trials only."""
    if basis is None and len(cohort.sessions) == 1:
        return [SessionAlignment(cohort.sessions[0].animal, cohort.sessions[0].session, {}, [])]
    evidence: list[dict[int, Evidence]] = []
    for session, units in zip(cohort.sessions, log_linear, strict=True):
        activity = smoothed_activity(session, units)
        unit_areas = unit_area_index(session.unit_area, areas.names)
        scores = principal_scores(activity, unit_areas, areas.n_latent)
        evidence.append(area_evidence(session, activity, scores, areas))
    found = [SessionAlignment(session.animal, session.session, {}, []) for session in cohort.sessions]
    for area, (name, part) in enumerate(zip(areas.names, area_parts(areas), strict=True)):
        there = [index for index, each in enumerate(evidence) if area in each]
        if not there:
            continue
        fitted = None if basis is None else basis[area]
        template = None if fitted is None else fitted.evidence
        for index, each in zip(there, align([evidence[index][area] for index in there], template), strict=True):
            found[index].areas[name] = each
            if fitted is None:
                found[index].maps.append((part, each.rotation, 0.0))
            else:
                found[index].maps.append((part, each.rotation @ fitted.spread, fitted.mean))
    return found


def area_evidence(session: Session, activity: Activity, whitened: Array, areas: Areas) -> dict[int, Evidence]:
    """What a session says of the whitened latents (trial, time, latent) of each area in which it has units."""
    unit_areas = unit_area_index(session.unit_area, areas.names)
    labels = session.unit_label or [""] * len(session.unit_id)
    found = {}
    for area, part in enumerate(area_parts(areas)):
        units = np.flatnonzero(unit_areas == area)
        if len(units):
            names = [labels[unit] for unit in units]
            smooth = activity.smooth[:, :, units]
            found[area] = evidence_of(session, activity.trials, activity.inside, names, smooth, whitened[:, :, part])
    return found


def area_parts(areas: Areas) -> list[slice]:
    """Where each area's latents stand."""
    cuts = np.cumsum((0, *areas.n_latent))
    return [slice(int(begin), int(end)) for begin, end in pairwise(cuts)]
