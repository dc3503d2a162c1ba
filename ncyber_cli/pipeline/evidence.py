"""From forecast errors to gains in predictive density: per animal, over test trials and seeds, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.outputs.metrics import Interval, fit_spread, paired_bootstrap
from ncyber_cli.outputs.verdict import MIDWAY
from ncyber_cli.pipeline.foresight import STARTS, Errors, Foresight

# What the body does next is in its velocity and in its muscle; where it ends is what a goal is about.
FIRST_S = 0.2
_BOOTSTRAP_SEED = 0
OWN = "objective"
Nats = dict[str, NDArray[np.float64]]  # by arm, (trial, start, horizon)


@dataclass(frozen=True)
class Gains:
    """Nats a bin by which the frozen inferred objective foretells the body better than each other arm does."""

    animal: str  # or "all"
    trials: int
    seeds: int
    channels: int
    over: dict[str, Interval]
    by_start: dict[str, list[float | None]]  # means at each of STARTS


def nats_of(foresights: Sequence[Foresight], bin_s: float) -> Nats:
    """Log densities of one animal's scored trials under one run; every arm sets its own spread, start by start."""
    first = first_horizon(bin_s)
    found = {}
    for arm in foresights[0].scored:
        scored = [np.concatenate(parts) for parts in zip(*(each.scored[arm] for each in foresights), strict=True)]
        setting = [np.concatenate(parts) for parts in zip(*(each.setting[arm] for each in foresights), strict=True)]
        by_start = [_nats([s[:, at] for s in scored], [s[:, at] for s in setting]) for at in range(len(STARTS))]
        found[arm] = np.stack(by_start, axis=1)[:, :, first:]
    return found


def first_horizon(bin_s: float) -> int:
    """The index of the first horizon that is scored; horizon 0 is one bin after the start."""
    return max(1, round(FIRST_S / bin_s)) - 1


def gains(animal: str, channels: int, runs: Sequence[Nats], mlps: Sequence[Nats]) -> Gains:
    """Gains of each seed's run over its own arms, and over the mlp refit of its seed where there is one.

    MIDWAY is the gain over the mean of `none` and `mlp`. Trials that ended too early for a forecast are left out.
    """
    pairs: dict[str, list[NDArray[np.float64]]] = {}
    for run in runs:
        for arm, values in run.items():
            if arm != OWN:
                pairs.setdefault(arm, []).append(run[OWN] - values)
    if mlps:
        pairs["mlp"] = [run[OWN] - mlp[OWN] for run, mlp in zip(runs, mlps, strict=True)]
        if "none" in pairs:
            both = zip(pairs["none"], pairs["mlp"], strict=True)
            pairs[MIDWAY] = [0.5 * (over_none + over_mlp) for over_none, over_mlp in both]
    scored = np.all([_has_entry(each) for arm in pairs.values() for each in arm], axis=0)
    over, by_start = {}, {}
    for arm, differences in pairs.items():
        stacked = np.stack(differences)[:, scored]
        generator = np.random.default_rng(_BOOTSTRAP_SEED)
        if stacked.size:
            over[arm] = paired_bootstrap(np.nanmean(stacked, axis=(2, 3)), generator)
        by_start[arm] = [_mean(stacked[:, :, at]) for at in range(len(STARTS))]
    return Gains(animal, int(scored.sum()), len(runs), channels, over, by_start)


def together(parts: Sequence[Nats]) -> Nats:
    """Animals side by side."""
    return {arm: np.concatenate([part[arm] for part in parts]) for arm in parts[0]}


def distances(
    foresights: Mapping[str, Sequence[Errors]], columns: Sequence[int], horizons: Sequence[int]
) -> dict[str, list[float | None]]:
    """Median distance between forecast and recorded body, over trials and starts, at the named horizons (bins)."""
    found = {}
    for arm, repeats in foresights.items():
        far = [np.linalg.norm(errors[..., list(columns)], axis=-1) for errors in repeats]
        found[arm] = [_median(np.concatenate([each[:, :, step - 1].ravel() for each in far])) for step in horizons]
    return found


def _nats(scored: list[NDArray[np.float64]], setting: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """(trial, horizon) of one start; horizons that no setting trial reaches are not scored."""
    pooled = np.concatenate(setting)
    unknown = np.isnan(pooled).all((0, 2))
    reach = int(np.argmax(unknown)) if unknown.any() else pooled.shape[1]
    density = np.full(scored[0].shape[:2], np.nan)
    if reach:
        spread = fit_spread(pooled[:, :reach])
        density[:, :reach] = np.mean([spread.nats(errors[:, :reach]) for errors in scored], axis=0)
    return density


def _has_entry(difference: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(difference).any((1, 2)))


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def _median(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else None
