"""What an objective or control must be compared with: predictions that need no model of brain, goal or body.

Every null is fitted on training trials, chooses its settings on validation trials, and predicts test trials:

    predict = SmoothedSpikes(causal=True).fit(train, validation)
    r2(test.target, predict(test), test.mask)

A causal null uses nothing recorded after the bin it predicts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from ncyber_cli.outputs.metrics.linear_maps import Examples, fit_ridge
from ncyber_cli.outputs.metrics.variance import r2

Array = NDArray[Any]


@dataclass(frozen=True)
class Trials:
    """Some trials of one session."""

    counts: Array  # (trial, time, unit), NaN as missing
    body: Array  # (trial, time, n_body), NaN as missing
    target: Array  # (trial, time, feature): the objective or the control, NaN where it has no truth
    mask: NDArray[np.bool_]  # (trial, time)


Predict = Callable[[Trials], NDArray[np.float64]]  # to (trial, time, feature), like target; never NaN


class Null(Protocol):
    def fit(self, train: Trials, validation: Trials) -> Predict: ...


@dataclass(frozen=True)
class SmoothedSpikes:
    """Ridge from Gaussian-smoothed counts; the width of the Gaussian is chosen on validation trials too."""

    causal: bool
    sd_bins: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)

    def fit(self, train: Trials, validation: Trials) -> Predict:
        def inputs(sd: float) -> Callable[[Trials], Array]:
            return lambda trials: smooth(trials.counts, trials.mask, sd, causal=self.causal)

        return _best_ridge([inputs(sd) for sd in self.sd_bins], train, validation)


@dataclass(frozen=True)
class BehaviorAlone:
    """Ridge from the recorded body around each bin: its recent past, and its near future unless causal."""

    causal: bool
    lags_bins: tuple[int, ...] = (0, 1, 2, 4, 8)

    def fit(self, train: Trials, validation: Trials) -> Predict:
        lags = self.lags_bins if self.causal else tuple(sorted({*self.lags_bins, *(-lag for lag in self.lags_bins)}))
        mean = np.nanmean(train.body[train.mask], axis=0)

        def inputs(trials: Trials) -> Array:
            filled = _hold_last(trials.body, trials.mask, before_first=mean)
            return np.concatenate([_shifted(filled, lag) for lag in lags], axis=-1)

        return _best_ridge([inputs], train, validation)


@dataclass(frozen=True)
class HandPosition:
    """The goal is where the hand is now; nothing is fitted. `position` picks the position among the body's columns."""

    position: tuple[int, ...] = (0, 1)

    def fit(self, train: Trials, validation: Trials) -> Predict:
        mean = np.nanmean(train.body[train.mask], axis=0)[list(self.position)]

        def predict(test: Trials) -> NDArray[np.float64]:
            return _hold_last(test.body[..., list(self.position)], test.mask, before_first=mean)

        return predict


@dataclass(frozen=True)
class EndPoint:
    """The goal is where the hand ends, in every bin of the trial; nothing is fitted, and it is not causal."""

    position: tuple[int, ...] = (0, 1)

    def fit(self, train: Trials, validation: Trials) -> Predict:
        held = HandPosition(self.position).fit(train, validation)

        def predict(test: Trials) -> NDArray[np.float64]:
            positions = held(test)
            last_bin = test.mask.shape[1] - 1 - np.argmax(test.mask[:, ::-1], axis=1)
            ends = positions[np.arange(len(positions)), last_bin]
            return np.repeat(ends[:, None], positions.shape[1], axis=1)

        return predict


@dataclass(frozen=True)
class TrainingMean:
    """The target's mean over training trials."""

    def fit(self, train: Trials, validation: Trials) -> Predict:
        mean = np.nanmean(train.target[train.mask], axis=0)
        return lambda test: np.broadcast_to(mean, (*test.mask.shape, len(mean))).astype(np.float64)


NULLS: dict[str, Null] = {
    "training mean": TrainingMean(),
    "hand position": HandPosition(),
    "end point": EndPoint(),
    "behaviour alone": BehaviorAlone(causal=False),
    "behaviour alone, causal": BehaviorAlone(causal=True),
    "smoothed spikes": SmoothedSpikes(causal=False),
    "smoothed spikes, causal": SmoothedSpikes(causal=True),
}


def smooth(counts: Array, mask: NDArray[np.bool_], sd_bins: float, *, causal: bool) -> NDArray[np.float64]:
    """Gaussian-weighted mean over time of the recorded bins of each trial; of past and present ones if causal.

    counts (trial, time, unit); bins outside mask and NaN carry no weight, so that edges are not pulled to zero.
    """
    half = int(np.ceil(4 * sd_bins))
    offset = np.arange(-half, half + 1)
    kernel = np.exp(-0.5 * np.square(offset / sd_bins))
    if causal:
        kernel[offset < 0] = 0.0  # a negative offset is a bin that is still to come
    recorded = mask[:, :, None] & ~np.isnan(counts)
    weight = convolve1d(recorded.astype(np.float64), kernel, axis=1, mode="constant")
    total = convolve1d(np.where(recorded, counts, 0.0), kernel, axis=1, mode="constant")
    smoothed: NDArray[np.float64] = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    return smoothed


def _best_ridge(candidates: list[Callable[[Trials], Array]], train: Trials, validation: Trials) -> Predict:
    """Ridge from the inputs, among the candidates, that explain most of the validation trials."""

    def fitted(inputs: Callable[[Trials], Array]) -> tuple[float, Predict]:
        unseen = Examples(inputs(validation), validation.target, validation.mask)
        mapped = fit_ridge(Examples(inputs(train), train.target, train.mask), unseen)
        score = r2(unseen.targets, mapped(unseen.inputs), unseen.mask)
        return score, lambda test: mapped(inputs(test))

    return max((fitted(inputs) for inputs in candidates), key=lambda scored: scored[0])[1]


def _hold_last(values: Array, mask: NDArray[np.bool_], *, before_first: Array) -> NDArray[np.float64]:
    """Fill gaps and bins outside mask with the last recorded value, and with `before_first` where there is none."""
    recorded = mask[:, :, None] & ~np.isnan(values)
    bins = np.where(recorded, np.arange(values.shape[1])[None, :, None], -1)
    last = np.maximum.accumulate(bins, axis=1)
    held = np.take_along_axis(values.astype(np.float64), np.maximum(last, 0), axis=1)
    return np.where(last >= 0, held, before_first)


def _shifted(values: Array, lag: int) -> Array:
    """values (trial, time, feature) as they were `lag` bins before; the first or last bin is held at the edges."""
    bins = np.clip(np.arange(values.shape[1]) - lag, 0, values.shape[1] - 1)
    return values[:, bins]
