"""How well rollouts that take reaches over part way go on as the animal did: pure functions of what happened.

Arrays are (sample, trial, time, axis) for rollouts and (trial, time, axis) for what was recorded or is true; bins that
a mask (trial, time) leaves out are never looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def landing(
    body: Floats, objective: Floats, recorded: Floats, target: Floats, own: Mask, usual_speed: Floats
) -> dict[str, Any]:
    """End points and velocity profiles of rollouts from their first own bin on, beside what no model would say.

    Args:
        body: of the rollouts; position, then velocity.
        objective: of the rollouts.
        recorded: the body as it went on.
        target: (trial, 2) where it should have gone.
        own: the rollouts' own bins.
        usual_speed: (time,) mean speed of training trials in these bins.
    """
    trials, last, first = np.arange(len(own)), _last(own), own.argmax(1)
    place, seen = body[..., :2], recorded[trials, first - 1]
    left_s = (last - first + 1)[:, None]
    ends = {
        "rollout": place[:, trials, last],
        "inferred goal": objective[:, trials, first],
        "recorded": recorded[trials, last, :2][None],
        "stays where it is": seen[None, :, :2],
        "goes on at its velocity": (seen[:, :2] + left_s * _BIN_S * seen[:, 2:])[None],
    }
    profiles = {
        "rollout": _speed_correlation(body[..., 2:], recorded[..., 2:], own),
        "mean of samples": _speed_correlation(body[..., 2:].mean(0)[None], recorded[..., 2:], own),
        "usual speed": _correlations(np.broadcast_to(usual_speed, own.shape)[None], _speed(recorded[..., 2:]), own),
        "rollout, both axes": _vector_correlation(body[..., 2:], recorded[..., 2:], own),
    }
    return {
        "end_point_m": {name: _median_distance(end, target) for name, end in ends.items()},
        "end_point_of_mean_m": {
            name: _median_distance(ends[name].mean(0)[None], target) for name in ("rollout", "inferred goal")
        },
        "velocity_profile": {name: float(np.median(found)) for name, found in profiles.items()},
    }


def corrections(pushed: Floats, calm: Floats, true_pushed: Floats, true_calm: Floats, window: Mask) -> dict[str, float]:
    """Directions of the mean change of the command in `window`, the rollouts' against the animal's.

    `pushed` and `calm` are commands of rollouts that share their noise; the true ones share all but the push.
    """
    found = _mean_in(pushed.mean(0) - calm.mean(0), window)
    true = _mean_in(true_pushed - true_calm, window)
    size = np.linalg.norm(found, axis=1) * np.linalg.norm(true, axis=1)
    cosine = np.divide((found * true).sum(1), size, out=np.zeros_like(size), where=size > 0)
    return {
        "trials": len(window),
        "within_45_degrees": float((cosine > np.cos(np.pi / 4)).mean()),
        "within_90_degrees": float((cosine > 0).mean()),
        "median_angle_degrees": float(np.degrees(np.median(np.arccos(np.clip(cosine, -1, 1))))),
        "size_over_true": float(np.median(np.linalg.norm(found, axis=1) / np.linalg.norm(true, axis=1))),
    }


def median_end_distance(body: Floats, target: Floats, own: Mask) -> float:
    """Of the last own bin's position from the target; `body` (sample, trial, time, feature)."""
    return _median_distance(body[:, np.arange(len(own)), _last(own), :2], target)


_BIN_S = 0.02  # of the quickstart spec


def _last(mask: Mask) -> NDArray[np.int64]:
    return np.asarray(mask.shape[1] - 1 - mask[:, ::-1].argmax(1))


def _median_distance(points: Floats, target: Floats) -> float:
    return float(np.median(np.linalg.norm(points - target, axis=-1)))


def _mean_in(values: Floats, window: Mask) -> Floats:
    return np.stack([trial[chosen].mean(0) for trial, chosen in zip(values, window, strict=True)])


def _speed(velocity: Floats) -> Floats:
    return np.linalg.norm(velocity, axis=-1)


def _speed_correlation(velocity: Floats, recorded: Floats, own: Mask) -> Floats:
    return _correlations(_speed(velocity), _speed(recorded), own)


def _correlations(found: Floats, recorded: Floats, own: Mask) -> Floats:
    """Over the own bins of each trial and sample, (sample, trial)."""
    return np.array(
        [
            [np.corrcoef(each[here], true[here])[0, 1] for each, true, here in zip(sample, recorded, own, strict=True)]
            for sample in found
        ]
    )


def _vector_correlation(found: Floats, recorded: Floats, own: Mask) -> Floats:
    """As `_correlations`, both axes of the velocity side by side."""
    both = np.concatenate([own, own], 1)
    flat = [np.concatenate([values[..., 0], values[..., 1]], -1) for values in (found, recorded)]
    return _correlations(flat[0], flat[1], both)
