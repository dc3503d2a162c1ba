import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from ncyber_cli.outputs.clusters import fit_clusters, independent_values

EIGHT = 0.1 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)  # m


def reaches(seed: int, trials: int = 96, bins: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Objectives (trial, time, 2) a few mm off one of eight goals, the same in every bin but for a mm; which goal."""
    rng = np.random.default_rng(seed)
    goal = rng.permutation(np.arange(trials) % 8)
    off = 0.004 * rng.normal(size=(trials, 1, 2)) + 0.001 * rng.normal(size=(trials, bins, 2))
    return EIGHT[goal][:, None] + off, goal


def flat(objective: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    trials, bins, _ = objective.shape
    return objective.reshape(trials * bins, -1), np.repeat(np.arange(trials), bins)


@pytest.mark.parametrize("seed", range(3))
def test_eight_goals_are_eight_clusters(seed: int) -> None:
    objective, goal = reaches(seed)
    clusters = fit_clusters(*flat(objective))
    assert clusters.mean.shape == (8, 2)
    confusion = np.zeros((8, 8))
    np.add.at(confusion, (np.broadcast_to(goal[:, None], objective.shape[:2]), clusters.label(objective)), 1)
    goals, labels = linear_sum_assignment(-confusion)
    assert confusion[goals, labels].sum() == confusion.sum()
    np.testing.assert_allclose(clusters.mean[labels], EIGHT[goals], atol=0.005)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0], ids=["one value a trial", "noise within trials", "white"])
def test_one_blob_is_one_cluster(share: float) -> None:
    """However alike the bins of a trial are: its many copies are not evidence for a cluster of its own."""
    rng = np.random.default_rng(0)
    objective = rng.normal(size=(60, 1, 2)) * (1 - share) + share * rng.normal(size=(60, 20, 2))
    assert len(fit_clusters(*flat(objective)).mean) == 1


@pytest.mark.parametrize("seed", range(3))
def test_goals_anywhere_on_a_disc_are_no_clusters(seed: int) -> None:
    """Three Gaussians describe an even disc better than one does, which makes them no goals."""
    rng = np.random.default_rng(seed)
    radius, angle = np.sqrt(rng.uniform(size=160)), rng.uniform(0, 2 * np.pi, 160)
    goal = 0.1 * radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    objective = goal[:, None] + 0.001 * rng.normal(size=(160, 12, 2))
    assert len(fit_clusters(*flat(objective)).mean) == 1


def test_values_that_repeat_exactly_are_found_once() -> None:
    three = np.array([[0.0, 5.0], [1.0, 5.0], [3.0, 5.0]])[np.arange(60) % 3]  # one axis never moves
    clusters = fit_clusters(*flat(np.repeat(three[:, None], 10, axis=1)))
    assert sorted(clusters.mean.round(6).tolist()) == [[0.0, 5.0], [1.0, 5.0], [3.0, 5.0]]


def test_a_constant_and_a_single_value_are_one_cluster() -> None:
    for bins in (1, 50):
        clusters = fit_clusters(np.full((bins, 2), 0.3, np.float32), np.zeros(bins, int))
        np.testing.assert_allclose(clusters.mean, [[0.3, 0.3]], rtol=1e-6)
        assert clusters.label(np.array([9.0, 9.0])) == 0


def test_the_largest_cluster_is_the_first_and_units_change_nothing() -> None:
    rng = np.random.default_rng(1)
    goal = np.repeat([0, 1, 2], [20, 50, 30])
    objective = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])[goal] + 0.03 * rng.normal(size=(100, 2))
    clusters = fit_clusters(objective, np.arange(100))
    np.testing.assert_allclose(clusters.mean, [[1, 0], [0, 1], [0, 0]], atol=0.03)
    np.testing.assert_allclose(clusters.weight, [0.5, 0.3, 0.2], atol=1e-3)
    in_mm = fit_clusters(1e3 * objective, np.arange(100))
    np.testing.assert_allclose(in_mm.mean, 1e3 * clusters.mean, rtol=1e-6)
    np.testing.assert_array_equal(in_mm.label(1e3 * objective), clusters.label(objective))


def test_labels_are_those_of_the_density_written_out() -> None:
    from scipy.stats import multivariate_normal

    rng = np.random.default_rng(2)
    wide = rng.normal(size=(300, 2))
    narrow = np.array([3.0, 0.0]) + 0.2 * rng.normal(size=(300, 2))
    clusters = fit_clusters(np.concatenate([wide, narrow]), np.arange(600))
    assert len(clusters.mean) == 2
    points = rng.uniform(-3, 4, size=(200, 2))
    density = [
        weight * multivariate_normal(mean, np.linalg.inv(root @ root.T)).pdf(points)
        for mean, weight, root in zip(clusters.mean, clusters.weight, clusters.precision_root, strict=True)
    ]
    np.testing.assert_array_equal(clusters.label(points), np.argmax(density, axis=0))


def test_independent_values_are_counted() -> None:
    rng = np.random.default_rng(3)
    trial = np.repeat(np.arange(50), 40)
    held = np.repeat(rng.normal(size=(50, 2)), 40, axis=0)
    white = rng.normal(size=(2000, 2))
    for objective, expected in ((held, 50), (white, 2000)):
        centred = objective - objective.mean(0)
        assert independent_values(centred, trial) == pytest.approx(expected, rel=0.15)
    walk = np.zeros((20_000, 1))  # AR(1): n (1 - a) / (1 + a)
    for now in range(1, len(walk)):
        walk[now] = 0.9 * walk[now - 1] + rng.normal()
    assert independent_values(walk - walk.mean(0), np.zeros(len(walk), int)) == pytest.approx(1053, rel=0.25)
