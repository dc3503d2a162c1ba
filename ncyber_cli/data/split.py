"""Which trials train, which choose, which are only ever scored."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.recording import SPLIT_NAMES, TEST, TRAIN, VALIDATION, IntervalTable, Session
from ncyber_cli.errors import DataError
from ncyber_cli.spec import Split

NO_STEPS = "no training trial has two bins that follow one another: there are no dynamics to learn"
_SHORT_NAMES = {"val": "validation"}  # as the Neural Latents Benchmark writes it


def session_generator(seed: int, session: str, purpose: str) -> np.random.Generator:
    """Random numbers that depend on nothing but the seed, the session's name and what they are for."""
    digest = hashlib.sha256(f"{purpose}\0{session}".encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])


def split_trials(split: Split, session: str, n_trial: int) -> NDArray[np.int8]:
    """TRAIN, VALIDATION or TEST of each trial, (trial,); depends only on seed, session and n_trial.

    At least one trial trains; with three trials or more, a positive fraction gets at least one.
    `by: block` cuts in the order of time: training, then validation, then test.
    """
    sizes: list[int] = []
    for fraction in (split.test, split.validation):
        size = round(fraction * n_trial)
        if fraction > 0 and n_trial >= 3:
            size = max(1, size)
        sizes.append(min(size, n_trial - 1 - sum(sizes)))
    n_test, n_validation = sizes
    n_train = n_trial - n_test - n_validation
    blocks = np.repeat(np.array([TRAIN, VALIDATION, TEST], dtype=np.int8), [n_train, n_validation, n_test])
    if split.by == "block":
        return blocks
    return session_generator(split.seed, session, "split").permutation(blocks)


def with_validation(splits: NDArray[np.int8], split: Split, session: str) -> NDArray[np.int8]:
    """The splits; where none is VALIDATION, `split.validation` of the training trials are, by seed and session."""
    training = np.flatnonzero(splits == TRAIN)
    size = round(split.validation * len(training))
    if (splits == VALIDATION).any() or not 0 < size < len(training):
        return splits
    changed = splits.copy()
    changed[session_generator(split.seed, session, "validation").permutation(training)[:size]] = VALIDATION
    return changed


def split_by_column(
    column: str, table: IntervalTable | None, rows: NDArray[np.int64], *, where: str
) -> NDArray[np.int8]:
    """The split a trial column states. Raises DataError for a missing column, other words, or no training trial."""
    columns = table.columns if table is not None else {}
    if column not in columns:
        raise DataError(
            f"there is no trial column {column!r} (split.column)", where=where, remedy=did_you_mean(column, columns)
        )
    words = [_SHORT_NAMES.get(str(word), str(word)) for word in columns[column][rows]]
    for word in words:
        if word not in SPLIT_NAMES:
            raise DataError(
                f"trial column {column!r} says {word!r}",
                where=where,
                remedy=f"it may say {', '.join(SPLIT_NAMES)}; leave other trials out with trials.where",
            )
    splits = np.array([SPLIT_NAMES.index(word) for word in words], dtype=np.int8)
    if not (splits == TRAIN).any():
        raise DataError(f"trial column {column!r} leaves no training trial", where=where, remedy="mark some as train")
    return splits


def show_steps(sessions: Sequence[Session]) -> bool:
    """Whether any training trial has two bins that follow one another; without, there are no dynamics to learn."""
    training = [session.mask[session.split == TRAIN] for session in sessions]
    return any(bool((inside[:, 1:] & inside[:, :-1]).any()) for inside in training)
