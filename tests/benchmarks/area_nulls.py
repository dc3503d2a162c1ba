"""What a linear model says of three areas: lagged regression between their principal components.

Edges: by how much the past of one area lowers the residual variance of another's components (Granger). Silencing: the
regression rolled on with the components of the silenced area at zero, against the same without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ncyber_cli.data.recording import TEST, TRAIN, Session

COMPONENTS, LAGS = 4, 3  # of an area; bins
SMOOTHING_BINS, RIDGE = 1.5, 1.0
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Components:
    """Leading components of each area's smoothed counts, areas side by side."""

    values: Floats  # (trial, time, area * COMPONENTS)
    loading: Floats  # (area * COMPONENTS, unit): back to counts per bin
    inputs: Floats  # (trial, time, n_input)

    def of(self, area: int) -> slice:
        return slice(area * COMPONENTS, (area + 1) * COMPONENTS)


def components_of(session: Session, areas: Sequence[str]) -> Components:
    """Centred and rotated on training trials; silenced units are missing and stand at their mean."""
    counts = session.observation.astype(np.float64)
    training = session.split == TRAIN
    centred = np.nan_to_num(counts - np.nanmean(counts[training], (0, 1)))
    smooth = gaussian_filter1d(centred, SMOOTHING_BINS, axis=1)
    unit_area, values = np.array(session.unit_area), []
    loading = np.zeros((len(areas) * COMPONENTS, counts.shape[2]))
    for index, area in enumerate(areas):
        here = unit_area == area
        _, _, axes = np.linalg.svd(smooth[training][:, :, here].reshape(-1, here.sum()), full_matrices=False)
        values.append(smooth[:, :, here] @ axes[:COMPONENTS].T)
        loading[np.ix_(range(index * COMPONENTS, (index + 1) * COMPONENTS), np.flatnonzero(here))] = axes[:COMPONENTS]
    return Components(np.concatenate(values, 2), loading, session.input.astype(np.float64))


def _rows(found: Components, trials: NDArray[np.bool_], without: int | None = None) -> tuple[Floats, Floats]:
    """Regressors (row, lagged components, inputs, one) and what they predict (row, component)."""
    lagged = [found.values[trials, LAGS - 1 - lag : -1 - lag] for lag in range(LAGS)]
    if without is not None:
        kept = np.ones(found.values.shape[2], bool)
        kept[found.of(without)] = False
        lagged = [values[:, :, kept] for values in lagged]
    inputs = found.inputs[trials, LAGS:]
    regressors = np.concatenate([*lagged, inputs, np.ones((*inputs.shape[:2], 1))], 2)
    target = found.values[trials, LAGS:]
    return regressors.reshape(-1, regressors.shape[2]), target.reshape(-1, target.shape[2])


def _fitted(regressors: Floats, target: Floats) -> Floats:
    square = regressors.T @ regressors + RIDGE * np.eye(regressors.shape[1])
    weights: Floats = np.linalg.solve(square, regressors.T @ target)
    return weights


def granger(session: Session, areas: Sequence[str]) -> dict[tuple[str, str], float]:
    """Log ratio of each target's residual variance on test trials without and with each other area's past."""
    found = components_of(session, areas)

    def residuals(without: int | None) -> Floats:
        weights = _fitted(*_rows(found, session.split == TRAIN, without))
        regressors, target = _rows(found, session.split == TEST, without)
        variance: Floats = np.square(target - regressors @ weights).mean(0)
        return variance

    whole, ratio = residuals(None), {}
    for of, source in enumerate(areas):
        less = residuals(of)
        for to, target in enumerate(areas):
            if to != of:
                here = found.of(to)
                ratio[source, target] = float(np.log(less[here].sum() / whole[here].sum()))
    return ratio


def linear_change(session: Session, areas: Sequence[str], silenced: str, first: int) -> Floats:
    """Change of counts per bin (trial, time, unit) when `silenced` is held at its mean from bin `first` on."""
    found = components_of(session, areas)
    weights = _fitted(*_rows(found, session.split == TRAIN))
    hold = found.of(list(areas).index(silenced))

    def rolled(*, silent: bool) -> Floats:
        path = found.values.copy()
        for time in range(first, path.shape[1]):
            lagged = [path[:, time - 1 - lag] for lag in range(LAGS)]
            regressors = np.concatenate([*lagged, found.inputs[:, time], np.ones((len(path), 1))], 1)
            path[:, time] = regressors @ weights
            if silent:
                path[:, time, hold] = 0.0
        return path

    change: Floats = (rolled(silent=True) - rolled(silent=False)) @ found.loading
    return change
