"""What a worm's forecasts and held-out neurons are measured against, and how sure a difference is.

R2 of a neuron = 1 - squared error / squared deviation from its mean over the training frames, both over the scored
frames; reported is the mean over neurons. Forecasts h frames ahead begin at every frame from the last training frame on
from which they end within the test block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HORIZONS = (1, 5, 10, 20)  # frames
_COMPONENTS = 10  # of PCA-VAR
_PENALTIES = 10.0 ** np.arange(0.0, 5.1, 0.5)  # of ridge, on sums over frames
_FOLDS = 4  # contiguous blocks of the training frames, for the penalty
_BLOCK = 20  # frames resampled together: as long as the longest forecast
_RESAMPLES = 2000
Floats = NDArray[np.float64]
Forecasts = dict[int, Floats]  # of each horizon, (origin, neuron)


@dataclass(frozen=True)
class Block:
    """Activity (frame, neuron): frames from `begin` on are scored, those before it may be fitted."""

    activity: Floats
    begin: int

    @property
    def mean(self) -> Floats:
        mean: Floats = self.activity[: self.begin].mean(axis=0)
        return mean

    def origins(self, horizon: int) -> NDArray[np.int64]:
        return np.arange(self.begin - 1, len(self.activity) - horizon)

    def errors(self, forecasts: Forecasts) -> Forecasts:
        """Squared ones."""
        return {h: np.square(self.activity[self.origins(h) + h] - ahead) for h, ahead in forecasts.items()}

    def deviations(self) -> Forecasts:
        """Squared errors of the training mean."""
        return self.errors({h: np.tile(self.mean, (len(self.origins(h)), 1)) for h in HORIZONS})


def persistence(block: Block) -> Forecasts:
    return {h: block.activity[block.origins(h)] for h in HORIZONS}


def own_ar1(block: Block) -> Forecasts:
    """x_{t+1} - mean = slope (x_t - mean), neuron by neuron, by least squares."""
    centred = block.activity - block.mean
    fitted = centred[: block.begin]
    slope = (fitted[:-1] * fitted[1:]).sum(axis=0) / np.square(fitted[:-1]).sum(axis=0)
    return {h: block.mean + slope**h * centred[block.origins(h)] for h in HORIZONS}


def pca_var(block: Block) -> Forecasts:
    """A VAR(1) of ten principal components."""
    centred = block.activity - block.mean
    axes = np.linalg.svd(centred[: block.begin], full_matrices=False)[2][:_COMPONENTS]
    scores = centred @ axes.T
    step = np.linalg.lstsq(scores[: block.begin - 1], scores[1 : block.begin], rcond=None)[0]
    powers = {h: np.linalg.matrix_power(step, h) for h in HORIZONS}
    return {h: block.mean + scores[block.origins(h)] @ powers[h] @ axes for h in HORIZONS}


BASELINES = {"ar1": own_ar1, "persistence": persistence, "pca_var": pca_var}


def ridge(seen: Floats, targets: Floats, begin: int) -> Floats:
    """`targets` from the same frame of `seen`, (frame, neuron); the penalty by cross-validation over blocks."""
    centre, middle = seen[:begin].mean(axis=0), targets[:begin].mean(axis=0)
    rows, wanted = seen[:begin] - centre, targets[:begin] - middle
    fold = np.arange(begin) * _FOLDS // begin

    def loss(penalty: float) -> float:
        parts = [(fold != k, fold == k) for k in range(_FOLDS)]
        weights = [_weights(rows[kept], wanted[kept], penalty) for kept, _ in parts]
        left = [wanted[out] - rows[out] @ each for each, (_, out) in zip(weights, parts, strict=True)]
        return float(sum(np.square(part).sum() for part in left))

    best = _weights(rows, wanted, min(_PENALTIES.tolist(), key=loss))
    estimate: Floats = middle + (seen - centre) @ best
    return estimate


def _weights(rows: Floats, wanted: Floats, penalty: float) -> Floats:
    gram = rows.T @ rows
    return np.asarray(np.linalg.solve(gram + penalty * np.eye(len(gram)), rows.T @ wanted))


def mean_r2(errors: Floats, deviations: Floats) -> float:
    """Of squared errors and deviations, (frame, neuron)."""
    return round(float((1 - errors.sum(axis=0) / deviations.sum(axis=0)).mean()), 4)


def difference(model: Floats, other: Floats, deviations: Floats) -> dict[str, float]:
    """Mean R2 of `model` less that of `other`, with the 95 % interval of a paired block bootstrap over frames.

    Arguments are squared, (frame, neuron). Blocks of consecutive frames are drawn with replacement, the same for both
    and for all neurons; it says how sure the difference is in this worm, not in worms.
    """
    n_frame = len(deviations)
    starts = np.random.default_rng(0).integers(0, n_frame - _BLOCK + 1, (_RESAMPLES, -(-n_frame // _BLOCK)))
    gain, total = (_block_sums(values, starts) for values in (other - model, deviations))
    low, high = np.quantile((gain / total).mean(axis=1), (0.025, 0.975))
    value = ((other - model).sum(axis=0) / deviations.sum(axis=0)).mean()
    return {name: round(float(number), 4) for name, number in (("value", value), ("low", low), ("high", high))}


def _block_sums(values: Floats, starts: NDArray[np.int64]) -> Floats:
    """Sums over the blocks that begin at `starts` (resample, block): (resample, neuron)."""
    before = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(axis=0)])
    found: Floats = (before[starts + _BLOCK] - before[starts]).sum(axis=1)
    return found
