"""What a few trials can say of a reaching animal's new neurons at best, whatever the model.

An observer is told the true latents of every trial and the law that tuning is drawn from. Only the neurons' own tuning
and baselines are to be learned from so many trials. Nobody who has to infer the latents as well should expect more.
"""

from __future__ import annotations

import numpy as np
from reach_animal import Floats, ReachAnimal

from ncyber_cli.data.recording import TEST, TRAIN
from ncyber_cli.worlds.reach_animal import LATENT_AREAS, LATENT_SD

_OWN, _OTHERS = 1.03, 0.08**2  # mean square of the sd of log rates: all of the own area's latents, each of the others'
_STEPS, _LARGEST_STEP = 30, 1.0


def rates_told_latents(animal: ReachAnimal, trials: int) -> Floats:
    """Expected counts of held-out neurons in test trials, (trial, time, unit), after the first training trials."""
    latent, held_out = animal.true["latent"], animal.session.held_out
    areas = [area for area, held in zip(animal.session.unit_area, held_out, strict=True) if held]
    training = animal.rows(TRAIN)[:trials]
    rows = latent[training].reshape(-1, latent.shape[2])
    counts = animal.session.observation[training][..., held_out].reshape(len(rows), -1).astype(np.float64)
    test = latent[animal.rows(TEST)]
    predicted = [
        _tuned(rows, spikes, _variance(area), test) for spikes, area in zip(counts.T, areas, strict=True)
    ]
    return np.stack(predicted, axis=-1)


def _variance(area: str) -> Floats:
    """Of the weights of a neuron of this area (reach_animal.draw_neurons)."""
    own = np.array([area == home for home in LATENT_AREAS])
    variance: Floats = np.where(own, _OWN / own.sum(), _OTHERS) / LATENT_SD**2
    return variance


def _tuned(latent: Floats, counts: Floats, variance: Floats, test: Floats) -> Floats:
    """Rates under the most probable weights (Newton's method on a concave posterior)."""
    design = np.concatenate([latent, np.ones((len(latent), 1))], axis=1)
    precision = np.append(1 / variance, 0.0)
    weights = np.zeros(design.shape[1])
    weights[-1] = np.log(max(counts.mean(), 1e-3))
    for _ in range(_STEPS):
        rate = np.exp(np.minimum(design @ weights, 5.0))
        gradient = design.T @ (counts - rate) - precision * weights
        curvature = (design * rate[:, None]).T @ design + np.diag(precision) + 1e-9 * np.eye(len(weights))
        weights = weights + np.clip(np.linalg.solve(curvature, gradient), -_LARGEST_STEP, _LARGEST_STEP)
    rates: Floats = np.exp(np.minimum(test @ weights[:-1] + weights[-1], 5.0))
    return rates
