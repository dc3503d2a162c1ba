"""What a session says of its latents that other sessions say too: the evidence by which they are turned to one basis.

In the order of trust: neurons of known identity and how they load on the latents; averages over trials and covariances
with behaviour and inputs; statistics of the dynamics. Latents are whitened: they differ between sessions by a rotation.
Only what both halves of a session's trials agree on is evidence.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.recording import Session

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
LAGS_S = (-0.2, -0.1, 0.0, 0.1, 0.2)  # of behaviour and inputs, after the latents
_AGREEMENT = (
    0.3  # correlation of the halves: what noise alone seldom reaches, and half of eight trials may fall short of more
)
_FEWEST_TRIALS = 2  # for an average over trials


@dataclass(frozen=True)
class Rows:
    """Named vectors in latent space. Latents `x @ R` have `values @ R`."""

    names: list[str]
    values: Array  # (row, latent)

    def of(self, names: list[str]) -> Array:
        row = {name: index for index, name in enumerate(self.names)}
        return self.values[[row[name] for name in names]]

    def turned(self, rotation: Array) -> Rows:
        return Rows(self.names, self.values @ rotation)

    def shared(self, other: Rows) -> list[str]:
        known = set(other.names)
        return [name for name in self.names if name in known]


@dataclass(frozen=True)
class Evidence:
    """Of the latents of one area in one session. Latents `x @ R` have `R.T @ matrix @ R` and `skew @ R`."""

    neurons: Rows
    averages: Rows
    matrices: Array  # (statistic, latent, latent), each of norm 1, or 0 where the halves disagree
    skew: Array  # (latent,) likewise

    @property
    def has_dynamics(self) -> bool:
        return bool(self.matrices.any())

    def turned(self, rotation: Array) -> Evidence:
        matrices = rotation.T @ self.matrices @ rotation
        return Evidence(self.neurons.turned(rotation), self.averages.turned(rotation), matrices, self.skew @ rotation)

    def to_plain(self) -> dict[str, Any]:
        """For a checkpoint: lists, numbers and names."""
        rows = {name: getattr(self, name) for name in ("neurons", "averages")}
        plain = {name: {"names": one.names, "values": one.values.tolist()} for name, one in rows.items()}
        return {**plain, "matrices": self.matrices.tolist(), "skew": self.skew.tolist()}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Evidence:
        skew = np.array(plain["skew"], np.float64)
        neurons, averages = (
            Rows(list(plain[name]["names"]), np.array(plain[name]["values"], np.float64).reshape(-1, len(skew)))
            for name in ("neurons", "averages")
        )
        return cls(neurons, averages, np.array(plain["matrices"], np.float64).reshape(-1, len(skew), len(skew)), skew)


def evidence_of(
    session: Session, trials: NDArray[np.int64], inside: Mask, labels: list[str], smooth: Array, scores: Array
) -> Evidence:
    """Of the whitened latents `scores` (trial, time, latent) of one area, in the named trials.

    `inside` (trial, time) are recorded bins; `smooth` (trial, time, unit) is the standardised activity of the area's
    units, `labels` say who they are (empty: nobody knows).
    """
    halves = _halves(inside)
    matrices, skew = _dynamics(scores, inside, halves)
    return Evidence(
        _neurons(labels, smooth[inside], scores[inside]),
        _averages(session, trials, scores, inside, halves),
        matrices,
        skew,
    )


def _halves(inside: Mask) -> list[Mask]:
    """Every other trial; of a single trial its first half and its second."""
    if len(inside) >= _FEWEST_TRIALS:
        even = np.arange(len(inside)) % 2 == 0
        return [inside & even[:, None], inside & ~even[:, None]]
    early = np.arange(inside.shape[1]) < inside.sum() // 2
    return [inside & early, inside & ~early]


def _agree(one: Array, other: Array) -> bool:
    norm = np.linalg.norm(one) * np.linalg.norm(other)
    return bool(norm > 0 and (one * other).sum() >= _AGREEMENT * norm)


def _neurons(labels: list[str], smooth: Array, scores: Array) -> Rows:
    """How labelled neurons load on the latents. A label that stands twice in a session names nobody."""
    count = Counter(labels)
    chosen = [unit for unit, label in enumerate(labels) if label and count[label] == 1]
    loadings = smooth[:, chosen].T @ scores / max(1, len(scores))
    spread = np.sqrt(np.square(smooth[:, chosen]).mean(axis=0))
    return Rows([labels[unit] for unit in chosen], loadings / np.maximum(spread, 1e-9)[:, None])


def _averages(session: Session, trials: NDArray[np.int64], scores: Array, inside: Mask, halves: list[Mask]) -> Rows:
    """Trial averages, and covariances with behaviour, inputs and force.

    With channels that hold for a whole trial, bin by bin: the average of a condition is the trial average and the
    covariance with its label.
    """
    blocks: list[tuple[list[str], Array]] = []

    def keep(names: list[str], found: list[Array]) -> None:
        if _agree(found[1], found[2]):
            blocks.append((names, found[0]))

    n_time = inside.shape[1]
    parts = [inside, *halves]
    if len(inside) >= _FEWEST_TRIALS:
        keep(_bins("average", n_time), [_by_bin(scores, part) / np.sqrt(n_time) for part in parts])
    for name, values in _channels(session, trials).items():
        there = inside & ~np.isnan(values)
        standard = _standardised(values, there)
        if not standard.any():
            continue
        if _holds_for_trials(values, there):
            weighed = scores * standard[:, :, None]
            keep(_bins(name, n_time), [_by_bin(weighed, part & there) / np.sqrt(n_time) for part in parts])
            continue
        lags = list(dict.fromkeys(round(lag / session.bin_s) for lag in LAGS_S))
        names = [f"{name} {lag * session.bin_s:+.3f} s" for lag in lags]
        keep(names, [_lagged(scores, standard, part & there, lags) for part in parts])
    if not blocks:
        return Rows([], np.zeros((0, scores.shape[2])))
    return Rows([name for names, _ in blocks for name in names], np.concatenate([values for _, values in blocks]))


def _channels(session: Session, trials: NDArray[np.int64]) -> dict[str, Array]:
    """(trial, time) of each column of behaviour, inputs and force, by name."""
    found: dict[str, Array] = {}
    force_names = [f"force_{axis}" for axis in range(session.force.shape[2])]
    for names, values in (
        (session.body_names, session.body),
        (session.input_names, session.input),
        (force_names, session.force),
    ):
        found |= {name: values[trials, :, column].astype(np.float64) for column, name in enumerate(names)}
    return found


def _standardised(values: Array, there: Mask) -> Array:
    """Zero mean and unit spread over recorded bins, zeros elsewhere and where nothing varies."""
    seen = values[there]
    spread = seen.std() if len(seen) else 0.0
    if spread <= 1e-9 * max(1.0, float(np.abs(seen).max(initial=0.0))):
        return np.zeros_like(values)
    return np.where(there, (values - seen.mean()) / spread, 0.0)


def _holds_for_trials(values: Array, there: Mask) -> bool:
    """Whether the channel never changes within a trial: a context."""
    low = np.where(there, values, np.inf).min(axis=1, initial=np.inf)
    high = np.where(there, values, -np.inf).max(axis=1, initial=-np.inf)
    return bool((high <= low).all())


def _bins(name: str, n_time: int) -> list[str]:
    return [f"{name}, bin {time}" for time in range(n_time)]


def _by_bin(values: Array, part: Mask) -> Array:
    """Mean over trials in each bin, (time, latent)."""
    mean: Array = np.where(part[:, :, None], values, 0.0).sum(axis=0) / np.maximum(part.sum(axis=0), 1)[:, None]
    return mean


def _lagged(scores: Array, standard: Array, part: Mask, lags: list[int]) -> Array:
    """Covariance of the latents with a channel so many bins later, (lag, latent)."""
    n_time, found = part.shape[1], []
    for lag in lags:
        now, then = slice(max(0, -lag), n_time - max(0, lag)), slice(max(0, lag), n_time - max(0, -lag))
        both = part[:, now] & part[:, then]
        pairs = scores[:, now][both], standard[:, then][both]
        found.append(pairs[1] @ pairs[0] / max(1, len(pairs[0])))
    return np.stack(found)


def _dynamics(scores: Array, inside: Mask, halves: list[Mask]) -> tuple[Array, Array]:
    """How the latents turn, relax, are shaped and where they are fast, of norm 1, at a lag of the session's own speed.

    Lagged covariances leave the phase within a plane of rotation open; moments of third and fourth order tell it where
    the orbit is no circle.
    """
    lag = _own_lag(scores, inside)
    (matrices, skew), *of_halves = [_moments(scores, part, lag) for part in (inside, *halves)]
    for index, matrix in enumerate(matrices):
        agreed = _agree(*(half[index] for half, _ in of_halves))
        matrices[index] = matrix / np.linalg.norm(matrix) if agreed else 0.0
    agreed = _agree(*(third for _, third in of_halves))
    return matrices, skew / np.linalg.norm(skew) if agreed else np.zeros_like(skew)


def _moments(scores: Array, part: Mask, lag: int) -> tuple[Array, Array]:
    """Antisymmetric and symmetric part of the lagged covariance, fourth moments by size and by speed; third moments."""
    n = scores.shape[2]
    pair = part[:, lag:] & part[:, :-lag]
    now, after = scores[:, :-lag][pair], scores[:, lag:][pair]
    count, size = max(1, len(now)), np.square(now).sum(axis=1, keepdims=True)
    lagged = now.T @ after / count
    speed = np.square(after - now).sum(axis=1, keepdims=True)
    symmetric = np.stack([0.5 * (lagged + lagged.T), (now * size).T @ now / count, (now * speed).T @ now / count])
    trace = np.trace(symmetric, axis1=1, axis2=2)[:, None, None]
    turning = 0.5 * (lagged - lagged.T)
    skew: Array = (now * size).sum(axis=0) / count
    return np.concatenate([turning[None], symmetric - trace / n * np.eye(n)]), skew


def _own_lag(scores: Array, inside: Mask) -> int:
    """Bins until the latents have lost a quarter of their correlation: the time scale of the session itself."""
    longest: int = max(1, scores.shape[1] // 4)
    for lag in range(1, longest):
        pair = inside[:, lag:] & inside[:, :-lag]
        products = (scores[:, :-lag][pair] * scores[:, lag:][pair]).mean() if pair.any() else 0.0
        if products < 0.75 * np.square(scores[inside]).mean():
            return lag
    return longest
