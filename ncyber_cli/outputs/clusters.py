"""Which of a few goals each objective belongs to: a Gaussian mixture whose size the data choose by BIC."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.outputs.flat_density import flat_log_likelihood, numbers_of_flat

Floats = NDArray[np.float64]

MOST_CLUSTERS = 12
_STARTS = 4  # a single start can leave two goals in one component
_SMALLEST_SD = 0.01  # of a component, as a share of all objectives' spread: one trial's value is not a goal


@dataclass(frozen=True)
class Clusters:
    """Gaussian components, those with the most training bins first."""

    mean: Floats  # (cluster, n_objective), in the objective's units
    weight: Floats  # (cluster,), sums to 1
    precision_root: Floats  # (cluster, n_objective, n_objective), W with W W' the inverse covariance

    def label(self, objective: NDArray[np.floating]) -> NDArray[np.int64]:
        """The likeliest component of each objective: (..., n_objective) -> (...)."""
        score = np.stack([self._log_density(objective, cluster) for cluster in range(len(self.mean))])
        labels: NDArray[np.int64] = score.argmax(0)
        return labels

    def _log_density(self, objective: NDArray[np.floating], cluster: int) -> Floats:
        """Log density of weight and component, up to a constant of all components."""
        root = self.precision_root[cluster]
        volume = float(np.log(self.weight[cluster]) + np.linalg.slogdet(root).logabsdet)
        density: Floats = volume - 0.5 * (((objective - self.mean[cluster]) @ root) ** 2).sum(-1)
        return density


def fit_clusters(objective: NDArray[np.floating], trial: NDArray[np.integer]) -> Clusters:
    """The mixture of 1 to 12 Gaussians, of one full covariance or one each, with the lowest BIC.

    `objective` (bin, n_objective) is finite and in the order of time within each trial, `trial` (bin,) says which
    trial a bin is of. Bins of one trial are nearly copies of each other. BIC therefore counts independent values,
    not bins: otherwise every trial of a wide blob would become a cluster of its own. Goals that lie anywhere in a
    region are no clusters, though several Gaussians describe them better than one: a single blob of any flatness is
    among what BIC compares, and where it is best all objectives are one cluster.
    """
    values = np.asarray(objective, np.float64)
    if not len(values):
        raise ValueError("clusters need at least one objective")
    centre, spread = values.mean(0), values.std(0)
    spread = np.where(spread > 1e-6 * np.abs(centre), spread, 1.0)  # an axis that only rounding moves is constant
    standard = (values - centre) / spread
    independent = independent_values(standard, trial)
    # A component needs more values than axes to have a covariance.
    most = min(MOST_CLUSTERS, int(independent) // (values.shape[1] + 1))
    found = None if most < 2 else _lowest_bic(standard, independent, most)
    if found is None:
        return Clusters(centre[None], np.ones(1), np.diag(1 / spread)[None])
    order = np.argsort(-found.weight, kind="stable")
    root = found.precision_root[order] / spread[:, None]
    return Clusters(found.mean[order] * spread + centre, found.weight[order], root)


def independent_values(standard: Floats, trial: NDArray[np.integer]) -> float:
    """How many independent values tell as much as these bins, from their correlation within trials.

    `standard` (bin, n_objective) has mean 0. T trials that hold one value each count T, white noise counts its bins.
    """
    power, effect = float((standard**2).sum()), 1.0
    if power < 1e-9 * standard.size:
        return 1.0
    for lag in range(1, len(standard)):
        together = trial[lag:] == trial[:-lag]
        shared = float((standard[lag:] * standard[:-lag])[together].sum())
        if shared <= 0:
            break
        effect += 2 * shared / power
    return len(standard) / effect


def _lowest_bic(standard: Floats, independent: float, most: int) -> Clusters | None:
    """The best mixture of at most `most` Gaussians; None where a single blob is better than all."""
    from sklearn.exceptions import ConvergenceWarning  # scikit-learn takes a second to import
    from sklearn.mixture import GaussianMixture

    (_, n_axis), best = standard.shape, None
    flat = flat_log_likelihood(standard, _SMALLEST_SD)
    lowest = -2 * independent * flat + numbers_of_flat(n_axis) * np.log(independent)
    for size, shape in product(range(1, most + 1), ("tied", "full")):
        mixture = GaussianMixture(
            size,
            covariance_type=shape,
            reg_covar=_SMALLEST_SD**2,
            n_init=_STARTS,
            init_params="k-means++",
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # too large a size may; BIC judges what it reached
            mixture.fit(standard)
        covariances = size if shape == "full" else 1
        numbers = size * (1 + n_axis) - 1 + covariances * n_axis * (n_axis + 1) // 2
        bic = -2 * independent * mixture.score(standard) + numbers * np.log(independent)
        if bic < lowest:
            best, lowest = mixture, bic
    if best is None:
        return None
    root = np.broadcast_to(best.precisions_cholesky_, (best.n_components, n_axis, n_axis))
    return Clusters(best.means_, best.weights_, root)
