"""Scores through a linear map: fitted on training trials, its penalty chosen on validation trials, scored on test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.outputs.metrics.entries import Array, Mask, scored_rows
from ncyber_cli.outputs.metrics.variance import r2

# Relative to the unit variance of standardised inputs; from none that matters to one that leaves the mean.
PENALTIES = np.logspace(-6, 2, 17)


@dataclass(frozen=True)
class Examples:
    """Inputs and targets of some trials, (trial, time, feature) each, scored where mask (trial, time) is True."""

    inputs: Array
    targets: Array
    mask: Mask | None = None


@dataclass(frozen=True)
class AffineMap:
    """target = input @ weights + offset."""

    weights: NDArray[np.float64]  # (input, target)
    offset: NDArray[np.float64]  # (target,)

    def __call__(self, inputs: Array) -> NDArray[np.float64]:
        """Map (..., input) to (..., target)."""
        mapped: NDArray[np.float64] = inputs @ self.weights + self.offset
        return mapped


def fit_affine(train: Examples) -> AffineMap:
    """The least-squares map; of the many that fit equally well, the one with the smallest weights."""
    x, y = scored_rows(train.mask, train.inputs, train.targets)
    weights = np.linalg.lstsq(x - x.mean(0), y - y.mean(0), rcond=None)[0]
    return AffineMap(weights, y.mean(0) - x.mean(0) @ weights)


def fit_ridge(train: Examples, validation: Examples, penalties: NDArray[np.float64] = PENALTIES) -> AffineMap:
    """The ridge map of `train` whose penalty has the smallest squared error on `validation`.

    Inputs are standardised on the training trials, so that a penalty means the same for every unit.
    """
    x, y = scored_rows(train.mask, train.inputs, train.targets)
    x_validation, y_validation = scored_rows(validation.mask, validation.inputs, validation.targets)
    center, scale, offset = x.mean(0), x.std(0), y.mean(0)
    scale = np.where(scale > 0, scale, 1.0)
    x = (x - center) / scale
    values, vectors = np.linalg.eigh(x.T @ x / len(x))  # one decomposition serves every penalty
    projected = vectors.T @ (x.T @ (y - offset)) / len(x)
    best, best_error = AffineMap(np.zeros((len(scale), y.shape[1])), offset), np.inf
    for penalty in penalties:
        weights = vectors @ (projected / (np.maximum(values, 0) + penalty)[:, None]) / scale[:, None]
        candidate = AffineMap(weights, offset - center @ weights)
        error = float(np.square(candidate(x_validation) - y_validation).sum())
        if error < best_error:
            best, best_error = candidate, error
    return best


def affine_map_r2(train: Examples, test: Examples) -> float:
    """R2 on `test`, pooled over features, of the affine map fitted on `train`: this is "mapped".

    `latent_r2` is this with the inferred latents as inputs and the true ones as targets.
    """
    return r2(test.targets, fit_affine(train)(test.inputs), test.mask)


def behavior_r2(train: Examples, validation: Examples, test: Examples) -> float:
    """R2 on `test`, pooled over features, of ridge from rates (inputs) to behaviour (targets) (Pei et al. 2021)."""
    return r2(test.targets, fit_ridge(train, validation)(test.inputs), test.mask)
