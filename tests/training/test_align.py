"""Sessions of one system, seen through any rotation, come back in one basis; what fits nothing is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ncyber_cli.training.align import Alignment, align, mean_of
from ncyber_cli.training.evidence import Evidence, Rows

Array = NDArray[np.float64]
N_ROW = 40


def rotation(n: int, seed: int) -> Array:
    q: Array = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    return q


def signed_permutation(n: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    matrix: Array = np.eye(n)[rng.permutation(n)] * rng.choice([-1.0, 1.0], n)
    return matrix


def nothing(n: int) -> Evidence:
    empty = Rows([], np.zeros((0, n)))
    return Evidence(empty, empty, np.zeros((4, n, n)), np.zeros(n))


def with_rows(n: int, seed: int, kind: str = "averages") -> Evidence:
    values = np.random.default_rng(seed).standard_normal((N_ROW, n)) * np.linspace(1.0, 0.3, n)
    return replace(nothing(n), **{kind: Rows([f"row {i}" for i in range(N_ROW)], values)})


def with_dynamics(n: int, seed: int, skew: bool = True) -> Evidence:
    rng = np.random.default_rng(seed)
    matrices = rng.standard_normal((4, n, n))
    matrices[0] -= matrices[0].T
    matrices[1:] += matrices[1:].transpose(0, 2, 1)
    matrices[1:] -= np.trace(matrices[1:], axis1=1, axis2=2)[:, None, None] / n * np.eye(n)
    matrices /= np.linalg.norm(matrices, axis=(1, 2))[:, None, None]
    third = rng.standard_normal(n) if skew else np.zeros(n)
    return replace(nothing(n), matrices=matrices, skew=third / max(1.0, float(np.linalg.norm(third))))


def common(rotations: list[Array], found: list[Alignment]) -> list[Array]:
    """From the system's own basis to the one that each session was turned to."""
    return [own @ each.rotation for own, each in zip(rotations, found, strict=True)]


@pytest.mark.parametrize("turn", [rotation, signed_permutation])
@pytest.mark.parametrize("kind", ["neurons", "averages", "dynamics"])
@pytest.mark.parametrize("n", [2, 5])
def test_rotations_signs_and_permutations_are_undone(kind: str, turn: object, n: int) -> None:
    assert callable(turn)
    system = with_dynamics(n, 1) if kind == "dynamics" else with_rows(n, 1, kind)
    rotations = [turn(n, seed) for seed in range(4)]
    found = align([system.turned(own) for own in rotations])
    assert [each.by for each in found] == [kind] * 4
    np.testing.assert_allclose(found[0].rotation, np.eye(n), atol=1e-9)
    for each in common(rotations, found):
        np.testing.assert_allclose(each, rotations[0], atol=1e-4)


def test_without_third_moments_dynamics_leave_one_sign_open() -> None:
    """x and -x have the same second and fourth moments: no more than that is open."""
    system = with_dynamics(4, 2, skew=False)
    rotations = [rotation(4, seed) for seed in range(3)]
    for each in common(rotations, align([system.turned(own) for own in rotations])):
        assert np.abs(each @ rotations[0].T).round(4).tolist() == np.eye(4).tolist()


def test_noise_moves_the_basis_by_no_more_than_itself() -> None:
    rng, system = np.random.default_rng(0), with_rows(3, 1)
    rotations = [rotation(3, seed) for seed in range(6)]
    sessions = []
    for own in rotations:
        seen = system.turned(own)
        noisy = seen.averages.values + 0.1 * rng.standard_normal(seen.averages.values.shape)
        sessions.append(replace(seen, averages=Rows(seen.averages.names, noisy)))
    found = align(sessions)
    for each in common(rotations, found):
        np.testing.assert_allclose(each, rotations[0], atol=0.15)
    assert all(each.quality is not None and 0.9 < each.quality < 1 for each in found)


def test_sessions_need_no_row_in_common_with_all_others() -> None:
    """The third shares half of its rows with the first and half with the second."""
    system = with_rows(3, 1)
    names, values = system.averages.names, system.averages.values
    parts = [slice(0, 30), slice(20, 40), slice(10, 36)]
    rotations = [rotation(3, seed) for seed in range(3)]
    sessions = [
        replace(system, averages=Rows(names[part], values[part])).turned(own)
        for part, own in zip(parts, rotations, strict=True)
    ]
    for each in common(rotations, align(sessions)):
        np.testing.assert_allclose(each, rotations[0], atol=1e-3)


@pytest.mark.parametrize("stranger", [0, 2])
@pytest.mark.parametrize("kind", ["averages", "dynamics"])
def test_a_session_of_another_system_is_named_and_moves_no_other(kind: str, stranger: int) -> None:
    make = with_rows if kind == "averages" else with_dynamics
    sessions = [make(4, 1).turned(rotation(4, seed)) for seed in range(5)]
    sessions[stranger] = make(4, 9)
    found = align(sessions)
    assert [each.named for each in found] == [index == stranger for index in range(5)]
    assert found[stranger].by is None
    assert found[stranger].quality is not None
    rest = [index for index in range(5) if index != stranger]
    turned = [rotation(4, index) @ found[index].rotation for index in rest]
    for each in turned:
        np.testing.assert_allclose(each, turned[0], atol=1e-4)


def test_a_session_that_hardly_fits_is_named_and_begins_at_the_best_guess() -> None:
    """Noise of twice the evidence's size: the guess is nearer to the truth than principal components as they come."""
    system, turns = with_dynamics(3, 1), [rotation(3, seed) for seed in range(6)]
    noise = np.random.default_rng(0).standard_normal(system.matrices.shape)
    noisy = system.matrices + 2 * noise * np.linalg.norm(system.matrices[0]) / np.linalg.norm(noise[0])
    noisy /= np.linalg.norm(noisy, axis=(1, 2), keepdims=True)
    hazy = replace(system, matrices=noisy, skew=np.zeros(3))
    found = align([*(system.turned(turn) for turn in turns[:5]), hazy.turned(turns[5])])
    assert found[5].named
    error = [np.linalg.norm(turns[5] @ each - turns[0] @ found[0].rotation) for each in (found[5].rotation, np.eye(3))]
    assert error[0] < 0.7 * error[1]


@pytest.mark.parametrize("named_right", [True, False])
def test_neurons_of_one_name_are_followed_though_each_has_much_of_its_own(named_right: bool) -> None:
    """Loadings of which half is the animal's own; names that are shuffled are not followed."""
    turns = [rotation(3, seed) for seed in range(5)]
    system, rng, sessions = with_rows(3, 1, "neurons").neurons, np.random.default_rng(0), []
    for turn in turns:
        own = rng.standard_normal(system.values.shape) * np.std(system.values, axis=0)
        rows = np.arange(N_ROW) if named_right else rng.permutation(N_ROW)
        sessions.append(replace(nothing(3), neurons=Rows(system.names, (system.values + own)[rows] @ turn)))
    found = align(sessions)
    assert all(each.by == "neurons" for each in found) == named_right
    assert max(each.quality or 0.0 for each in found) < 0.6
    if named_right:
        for each in common(turns, found):
            assert np.linalg.norm(each - turns[0]) < 0.9  # two random rotations: 2.4
    else:
        assert sum(each.named for each in found) >= 4


def test_a_session_without_evidence_is_named() -> None:
    found = align([with_rows(3, 1), with_rows(3, 1).turned(rotation(3, 1)), nothing(3)])
    assert [each.named for each in found] == [False, False, True]


def test_known_neurons_are_trusted_before_averages_and_averages_before_dynamics() -> None:
    """Each kind of evidence speaks for another rotation."""
    n, turns = 3, [rotation(3, seed) for seed in range(3)]
    parts = with_rows(n, 1, "neurons"), with_rows(n, 2), with_dynamics(n, 3)
    first = replace(parts[0], averages=parts[1].averages, matrices=parts[2].matrices, skew=parts[2].skew)
    other = [part.turned(turn) for part, turn in zip(parts, turns, strict=True)]
    second = replace(other[0], averages=other[1].averages, matrices=other[2].matrices, skew=other[2].skew)
    empty = nothing(n).averages
    for without, trusted in (((), 0), (("neurons",), 1), (("neurons", "averages"), 2)):
        gone = dict.fromkeys(without, empty)
        found = align([replace(first, **gone), replace(second, **gone)])
        np.testing.assert_allclose(found[1].rotation, turns[trusted].T, atol=1e-4)


def test_a_session_without_known_neurons_follows_those_that_have_them() -> None:
    n, turns = 3, [rotation(3, seed) for seed in range(3)]
    both = replace(with_rows(n, 1), neurons=with_rows(n, 2, "neurons").neurons)
    sessions = [both.turned(turns[0]), both.turned(turns[1]), with_rows(n, 1).turned(turns[2])]
    found = align(sessions)
    assert [each.by for each in found] == ["neurons", "neurons", "averages"]
    for each in common(turns, found):
        np.testing.assert_allclose(each, turns[0], atol=1e-4)


def test_new_sessions_are_turned_to_a_template_that_stays() -> None:
    system = with_rows(4, 1)
    template = mean_of([system, system])
    turns = [rotation(4, 5), rotation(4, 6)]
    for turn, each in zip(turns, align([system.turned(turn) for turn in turns], template), strict=True):
        np.testing.assert_allclose(each.rotation, turn.T, atol=1e-9)


def test_a_single_session_stays_as_it_is() -> None:
    [found] = align([with_rows(4, 1)])
    assert (found.by, found.named) == (None, False)
    np.testing.assert_array_equal(found.rotation, np.eye(4))
