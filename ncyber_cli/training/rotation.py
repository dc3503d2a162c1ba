"""The orthogonal matrix that turns one session's evidence to a template: closed-form for vectors, a search for moments.

Under a rotation R vectors become v R (orthogonal Procrustes, Schoenemann 1966) and second-order statistics R' M R, for
which there is no closed form: ascents from many starts, each step a Procrustes problem of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_STARTS = 24  # of each kind; more find nothing better for up to a dozen latents
_STEPS, _FINE_STEPS = 25, 200
_KEPT = 4  # starts that are taken to the end


def turn_rows(values: Array, template: Array) -> Array:
    """R that brings `values @ R` (row, latent) closest to `template`."""
    left, _, right = np.linalg.svd(values.T @ template)
    rotation: Array = left @ right
    return rotation


def turn_moments(
    matrices: Array, skew: Array, template: Array, template_skew: Array, start: Array | None = None
) -> Array:
    """R with the largest sum of <R' M R, T> over the statistics (statistic, latent, latent), and of <skew R, t>.

    Signs and permutations are among the starts: eigenvectors of the symmetric statistics of both sides, with the signs
    that agree best; the others are random rotations. The same evidence always gives the same rotation. A `start` is
    only followed to its nearest optimum.
    """
    evidence = (matrices, skew, template, template_skew)
    if start is not None:
        [nearest] = _ascend(start[None], *evidence, _STEPS)
        return np.asarray(nearest)
    generator = np.random.default_rng(0)
    rotations = np.concatenate([_from_eigenvectors(*evidence, generator), _random(len(skew), generator)])
    rotations = _ascend(rotations, *evidence, _STEPS)
    best = np.argsort(-agreement(rotations, *evidence))[:_KEPT]
    rotations = _ascend(rotations[best], *evidence, _FINE_STEPS)
    found: Array = rotations[np.argmax(agreement(rotations, *evidence))]
    return found


def agreement(rotations: Array, matrices: Array, skew: Array, template: Array, template_skew: Array) -> Array:
    """The sum that `turn_moments` maximises, for each of the rotations (start, latent, latent)."""
    turned = rotations.mT[:, None] @ matrices @ rotations[:, None]
    found: Array = (turned * template).sum(axis=(1, 2, 3)) + skew @ rotations @ template_skew
    return found


def _ascend(rotations: Array, matrices: Array, skew: Array, template: Array, template_skew: Array, steps: int) -> Array:
    """Replace each rotation by the one closest to its shifted gradient: with the shift no step goes down."""
    shift = 2 * len(matrices)  # statistics have norm 1 at most
    for _ in range(steps):
        both = matrices @ rotations[:, None] @ template.mT + matrices.mT @ rotations[:, None] @ template
        left, _, right = np.linalg.svd(both.sum(axis=1) + np.outer(skew, template_skew) + shift * rotations)
        rotations = left @ right
    return rotations


def _from_eigenvectors(
    matrices: Array, skew: Array, template: Array, template_skew: Array, generator: np.random.Generator
) -> Array:
    """Starts that match the eigenvectors of a mixture of symmetric statistics, in the order of their eigenvalues."""
    found = []
    for _ in range(_STARTS):
        weight = generator.uniform(-1, 1, len(matrices))
        own, other = (np.linalg.eigh(np.tensordot(weight, each + each.mT, 1))[1] for each in (matrices, template))
        products = ((own.T @ matrices @ own) * (other.T @ template @ other)).sum(axis=0)
        signs = _signs(products, (skew @ own) * (template_skew @ other))
        found.append(own * signs @ other.T)
    return np.stack(found)


def _signs(pairs: Array, single: Array) -> Array:
    """Signs s with a large s' pairs s + single' s: those of the leading eigenvector, mended one by one."""
    signs = np.where(np.linalg.eigh(pairs + pairs.T)[1][:, -1] < 0, -1.0, 1.0)
    signs = signs if single @ signs >= 0 else -signs
    for _ in range(len(signs)):
        change = -signs * ((pairs + pairs.T) @ signs - 2 * np.diag(pairs) * signs + single)
        flipped = int(np.argmax(change))
        if change[flipped] <= 0:
            break
        signs[flipped] *= -1
    return signs


def _random(n: int, generator: np.random.Generator) -> Array:
    """Orthogonal matrices, the unit matrix first."""
    found = np.linalg.qr(generator.standard_normal((_STARTS, n, n)))[0]
    found[0] = np.eye(n)
    return found
