"""One basis for the latents of all sessions: generalised Procrustes analysis (Gower 1975), by the best evidence.

Sessions are turned to the mean of the others, by neurons of known identity, else by averages, else by the statistics of
their dynamics. A session that fits nothing is named, and begins at the best guess: principal components as they come
are a guess as well, and a worse one (oscillators that fitted nothing: half of them ended mirrored, of 10 guesses none).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.training.evidence import Evidence, Rows
from ncyber_cli.training.rotation import agreement, turn_moments, turn_rows

Array = NDArray[np.float64]
Kind = Literal["neurons", "averages", "dynamics"]
_KINDS: tuple[Kind, ...] = ("neurons", "averages", "dynamics")
_LEAST_QUALITY = 0.6  # evidence of a dozen latents that has nothing to do with the template can be turned to half of it
_NULLS, _NULL_LEVEL = 100, 0.95
_MOST_SWEEPS, _STILL = 30, 1e-4


@dataclass(frozen=True)
class Alignment:
    """What was done to one session's latents of one area: `x @ rotation` are in the common basis."""

    rotation: Array
    by: Kind | None  # None: nothing to be aligned to, or no alignment
    quality: float | None = None  # share of the evidence's variance that the others' mean explains, squared cosine
    null: float | None = None  # 95 % quantile of the quality of shuffled rows; of random rotations for dynamics
    named: bool = False  # it should have been aligned and could not be

    def as_dict(self) -> dict[str, float | str | None]:
        return {"by": self.by, "quality": self.quality, "null": self.null}


def align(sessions: Sequence[Evidence], template: Evidence | None = None) -> list[Alignment]:
    """Rotations of the sessions to a basis of their own, or to that of `template` where there is one."""
    n = len(sessions[0].skew)
    if template is None and len(sessions) == 1:
        return [Alignment(np.eye(n), None)]
    found: dict[int, Alignment] = {}
    failed: dict[int, Alignment] = {}
    for kind in _KINDS:
        waiting = [index for index in range(len(sessions)) if index not in found]
        known = [sessions[index].turned(each.rotation) for index, each in found.items()]
        fixed = [template] if template is not None else known
        by_this, not_by_this = _align_by(kind, [sessions[index] for index in waiting], fixed)
        found |= {waiting[index]: each for index, each in by_this.items()}
        failed |= {waiting[index]: each for index, each in not_by_this.items()}
    none = Alignment(np.eye(n), None, named=True)
    return [found.get(index) or failed.get(index, none) for index in range(len(sessions))]


def _align_by(
    kind: Kind, sessions: Sequence[Evidence], fixed: Sequence[Evidence]
) -> tuple[dict[int, Alignment], dict[int, Alignment]]:
    """Those that fit each other and what is fixed, by index, and the qualities of those that do not.

    The worst is taken out until all that are left fit.
    """
    failed: dict[int, Alignment] = {}
    chosen, rotations = list(range(len(sessions))), None
    while chosen:
        pinned = _pinned_down(kind, sessions, chosen, fixed)
        if rotations is not None:
            rotations = [rotation for index, rotation in zip(chosen, rotations, strict=True) if index in pinned]
        chosen = pinned
        if len(chosen) + len(fixed) < 2:
            break
        rotations = _generalised(kind, [sessions[index] for index in chosen], fixed, rotations)
        found = _judged(kind, sessions, dict(zip(chosen, rotations, strict=True)), fixed)
        misfits = {index: each for index, each in found.items() if not _fits(kind, each)}
        if not misfits:
            return found, _guessed(kind, sessions, found, failed, fixed)
        worst = min(misfits, key=lambda index: misfits[index].quality or 0.0)
        failed[worst] = replace(misfits[worst], rotation=np.eye(len(sessions[worst].skew)), by=None, named=True)
        rotations.pop(chosen.index(worst))
        chosen.remove(worst)
    return {}, failed


def _guessed(
    kind: Kind,
    sessions: Sequence[Evidence],
    found: Mapping[int, Alignment],
    failed: Mapping[int, Alignment],
    fixed: Sequence[Evidence],
) -> dict[int, Alignment]:
    """Those that do not fit, turned to what the others have in common all the same."""
    template = mean_of([*fixed, *(sessions[index].turned(each.rotation) for index, each in found.items())])
    return {index: replace(each, rotation=_turn(kind, sessions[index], template)) for index, each in failed.items()}


def _judged(
    kind: Kind, sessions: Sequence[Evidence], rotations: Mapping[int, Array], fixed: Sequence[Evidence]
) -> dict[int, Alignment]:
    """How well each session fits the mean of the others."""
    turned = {index: sessions[index].turned(rotation) for index, rotation in rotations.items()}
    found = {}
    for index, rotation in rotations.items():
        others = mean_of([*fixed, *(each for other, each in turned.items() if other != index)])
        found[index] = Alignment(rotation, kind, *_quality(kind, sessions[index], rotation, others))
    return found


def _fits(kind: Kind, found: Alignment) -> bool:
    """The null of dynamics is no bar: where a plane turns evenly, any rotation within it is as good.

    That of neurons is the only one: who they are is given, and two animals' neurons of one name have much of their own
    besides (of 70 names that worms share, the others' mean explains .2 to .4, and .15 to .2 where names are shuffled).
    """
    assert found.quality is not None
    assert found.null is not None
    if kind == "neurons":
        return found.quality > found.null
    return found.quality >= _LEAST_QUALITY and (kind == "dynamics" or found.quality > found.null)


def _pinned_down(kind: Kind, sessions: Sequence[Evidence], chosen: list[int], fixed: Sequence[Evidence]) -> list[int]:
    """Those whose evidence of this kind pins down a rotation to the mean of the others."""
    kept = []
    for index in chosen:
        others = [*fixed, *(sessions[other] for other in chosen if other != index)]
        if others and _pinned(kind, sessions[index], mean_of(others)):
            kept.append(index)
    return kept


def _pinned(kind: Kind, evidence: Evidence, template: Evidence) -> bool:
    if kind == "dynamics":
        return bool((_common(evidence, template)).any())
    return len(_rows(kind, evidence).shared(_rows(kind, template))) >= len(evidence.skew)


def _generalised(
    kind: Kind, sessions: Sequence[Evidence], fixed: Sequence[Evidence], rotations: list[Array] | None
) -> list[Array]:
    """Each session's rotation to the mean of all, until nothing moves; without `fixed` the first one stays as it is.

    A search from anywhere comes before and after small moves from `rotations`.
    """
    if rotations is None:
        template = mean_of(fixed) if fixed else sessions[_most_central(kind, sessions)]
        rotations = [_turn(kind, each, template) for each in sessions]
        if fixed:
            return rotations
        template = _mean_turned(sessions, _settled(kind, sessions, rotations))
        rotations = [_turn(kind, each, template) for each in sessions]
    if not fixed:
        rotations = _settled(kind, sessions, rotations)
        rotations = [rotation @ rotations[0].T for rotation in rotations]
    return rotations


def _settled(kind: Kind, sessions: Sequence[Evidence], rotations: list[Array]) -> list[Array]:
    for _ in range(_MOST_SWEEPS):
        template, before = _mean_turned(sessions, rotations), rotations
        rotations = [_turn(kind, each, template, start) for each, start in zip(sessions, before, strict=True)]
        if max(np.abs(new - old).max() for new, old in zip(rotations, before, strict=True)) < _STILL:
            break
    return rotations


def _mean_turned(sessions: Sequence[Evidence], rotations: list[Array]) -> Evidence:
    return mean_of([each.turned(rotation) for each, rotation in zip(sessions, rotations, strict=True)])


def _most_central(kind: Kind, sessions: Sequence[Evidence]) -> int:
    """The session that could agree best with the others, by what no rotation changes."""
    bounds = [sum(_bound(kind, one, other) for other in sessions) for one in sessions]
    return int(np.argmax(bounds))


def _bound(kind: Kind, one: Evidence, other: Evidence) -> float:
    """The largest agreement that any rotation can bring (von Neumann's trace inequality for the dynamics)."""
    if kind == "dynamics":
        singular = [np.linalg.svd(each.matrices, compute_uv=False) for each in (one, other)]
        return float((singular[0] * singular[1]).sum())
    rows = [_rows(kind, each) for each in (one, other)]
    shared = rows[0].shared(rows[1])
    values = [each.of(shared) for each in rows]
    size = max(1e-12, float(np.linalg.norm(values[0]) * np.linalg.norm(values[1])))
    return float(np.linalg.svd(values[0].T @ values[1], compute_uv=False).sum()) / size


def _turn(kind: Kind, evidence: Evidence, template: Evidence, start: Array | None = None) -> Array:
    if kind == "dynamics":
        return turn_moments(evidence.matrices, evidence.skew, template.matrices, template.skew, start)
    own, other = _rows(kind, evidence), _rows(kind, template)
    shared = own.shared(other)
    return turn_rows(own.of(shared), other.of(shared))


def _quality(kind: Kind, evidence: Evidence, rotation: Array, template: Evidence) -> tuple[float, float]:
    """Squared cosine of turned evidence and template, and its null."""
    generator, n = np.random.default_rng(0), len(rotation)
    if kind == "dynamics":
        common = _common(evidence, template)
        own, other = evidence.matrices * common, template.matrices * common
        size = _size(own, evidence.skew) * _size(other, template.skew)
        anyhow = np.linalg.qr(generator.standard_normal((_NULLS, n, n)))[0]
        candidates = np.concatenate([rotation[None], np.asarray(anyhow)])
        found = agreement(candidates, own, evidence.skew, other, template.skew)
        cosines = (found / size).tolist()
        return _squared(cosines[0]), _null([_squared(each) for each in cosines[1:]])
    own_rows, other_rows = _rows(kind, evidence), _rows(kind, template)
    shared = own_rows.shared(other_rows)
    values, target = own_rows.of(shared), other_rows.of(shared)
    shuffled = [values[generator.permutation(len(values))] for _ in range(_NULLS)]
    null = [_squared(_cosine(each @ turn_rows(each, target), target)) for each in shuffled]
    return _squared(_cosine(values @ rotation, target)), _null(null)


def _null(qualities: list[float]) -> float:
    return float(np.quantile(np.array(qualities), _NULL_LEVEL))


def _common(one: Evidence, other: Evidence) -> Array:
    """Which statistics both have, (statistic, 1, 1)."""
    there = [np.abs(each.matrices).max(axis=(1, 2), initial=0.0, keepdims=True) > 0 for each in (one, other)]
    both: Array = (there[0] & there[1]).astype(np.float64)
    return both


def _size(matrices: Array, skew: Array) -> float:
    return float(np.sqrt(np.square(matrices).sum() + np.square(skew).sum()))


def _cosine(one: Array, other: Array) -> float:
    return float((one * other).sum() / max(1e-12, float(np.linalg.norm(one) * np.linalg.norm(other))))


def _squared(cosine: float) -> float:
    return float(max(cosine, 0.0) ** 2)


def _rows(kind: Kind, evidence: Evidence) -> Rows:
    return evidence.neurons if kind == "neurons" else evidence.averages


def mean_of(sessions: Sequence[Evidence]) -> Evidence:
    """What sessions in one basis say together; every row is the mean of those that have it."""
    return Evidence(
        _mean_rows([each.neurons for each in sessions]),
        _mean_rows([each.averages for each in sessions]),
        np.mean([each.matrices for each in sessions], axis=0),
        np.mean([each.skew for each in sessions], axis=0),
    )


def _mean_rows(rows: Sequence[Rows]) -> Rows:
    names = list(dict.fromkeys(name for each in rows for name in each.names))
    place = {name: index for index, name in enumerate(names)}
    total, count = np.zeros((len(names), rows[0].values.shape[1])), np.zeros(len(names))
    for each in rows:
        index = [place[name] for name in each.names]
        total[index] += each.values
        count[index] += 1
    return Rows(names, total / np.maximum(count, 1)[:, None])
