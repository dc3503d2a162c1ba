"""Law: a split depends on seed, session name and number of trials, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from ncyber_cli.data.recording import TEST, TRAIN, VALIDATION, IntervalTable
from ncyber_cli.data.split import split_by_column, split_trials
from ncyber_cli.errors import DataError
from ncyber_cli.spec import Split


def sizes(split: np.ndarray) -> list[int]:
    return np.bincount(split, minlength=3).tolist()


def test_stable_over_versions_and_calls() -> None:
    first = split_trials(Split(seed=3), "day-1", 20)
    np.random.default_rng(0).random(100)
    np.testing.assert_array_equal(first, split_trials(Split(seed=3), "day-1", 20))
    assert first.tolist() == [
        2,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        2,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        2,
        1,
        2,
    ]  # a change would turn a run's test trials into training trials


def test_other_seed_or_session_gives_another_split() -> None:
    first = split_trials(Split(), "day-1", 60)
    assert (first != split_trials(Split(seed=1), "day-1", 60)).any()
    assert (first != split_trials(Split(), "day-2", 60)).any()


@pytest.mark.parametrize("n_trial", range(1, 40))
def test_sizes(n_trial: int) -> None:
    for by in ("trial", "block"):
        n_train, n_validation, n_test = sizes(split_trials(Split(by=by), "s", n_trial))
        assert n_train >= 1
        assert n_train + n_validation + n_test == n_trial
        if n_trial >= 3:
            assert n_validation == max(1, round(0.1 * n_trial))
            assert n_test == max(1, round(0.2 * n_trial))


def test_zero_fractions_take_nothing() -> None:
    assert sizes(split_trials(Split(validation=0.0, test=0.0), "s", 10)) == [10, 0, 0]


def test_greedy_fractions_leave_a_training_trial() -> None:
    assert sizes(split_trials(Split(validation=0.49, test=0.49), "s", 3)) == [1, 1, 1]


def test_blocks_are_in_the_order_of_time() -> None:
    split = split_trials(Split(by="block", validation=0.2, test=0.3), "s", 10)
    assert split.tolist() == [TRAIN] * 5 + [VALIDATION] * 2 + [TEST] * 3


def test_column() -> None:
    table = IntervalTable(list("abcd"), {"split": np.array(["train", "val", "test", "none"])})
    rows = np.array([0, 1, 2])
    assert split_by_column("split", table, rows, where="f").tolist() == [TRAIN, VALIDATION, TEST]
    with pytest.raises(DataError, match=r"'none'.*trials.where"):
        split_by_column("split", table, np.arange(4), where="f")
    with pytest.raises(DataError, match="did you mean split"):
        split_by_column("spilt", table, rows, where="f")
    with pytest.raises(DataError, match="no training trial"):
        split_by_column("split", table, rows[1:], where="f")
