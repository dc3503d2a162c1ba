"""Laws of training windows: they hold what their trial holds there, and an epoch of them is an epoch of the trials."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from tiny import make_session

from ncyber_cli.data.batches import Cohort, Picks
from ncyber_cli.data.recording import TRAIN
from ncyber_cli.data.training_windows import draw_windows

LENGTH = 6


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    """Trials of 4 to 40 bins of two animals."""
    sessions = [make_session("a", "s0", bins=40, shortest=4, seed=1), make_session("b", "s1", bins=31, units=4, seed=2)]
    return Cohort(sessions, ["a", "b"])


def drawn(cohort: Cohort, seed: int = 0) -> Picks:
    return draw_windows(cohort, cohort.picks(TRAIN), LENGTH, torch.Generator().manual_seed(seed))


def test_windows_lie_in_training_trials_and_one_begins_with_each(cohort: Cohort) -> None:
    trials = cohort.picks(TRAIN)
    bins = dict(zip(map(tuple, trials), cohort.bins(trials), strict=True))
    windows = drawn(cohort)
    assert {tuple(pick) for pick in windows[:, :2]} == set(bins)
    for session, trial, begin, end in windows:
        length = bins[session, trial]
        assert end - begin == min(LENGTH, length)
        assert 0 <= begin < end <= length
    firsts = windows[windows[:, 2] == 0]
    assert sorted(map(tuple, firsts[:, :2])) == sorted(bins)


def test_an_epoch_holds_the_bins_of_its_trials_about_once_and_every_bin_sooner_or_later(cohort: Cohort) -> None:
    trials = cohort.picks(TRAIN)
    epochs = [drawn(cohort, seed) for seed in range(200)]
    total = cohort.bins(trials)
    assert all(0 <= cohort.bins(each).sum() - total.sum() < LENGTH * len(trials) for each in epochs)
    met = {tuple(trial): np.zeros(length) for trial, length in zip(trials, total, strict=True)}
    for session, trial, begin, end in np.concatenate(epochs):
        met[session, trial][begin:end] += 1 / len(epochs)
    for often in met.values():
        assert often.min() > 0
        assert often.max() < 2.5


def test_the_generator_decides_and_whole_trials_stay_whole(cohort: Cohort) -> None:
    np.testing.assert_array_equal(drawn(cohort, 1), drawn(cohort, 1))
    assert not np.array_equal(drawn(cohort, 1), drawn(cohort, 2))
    trials = cohort.picks(TRAIN)
    windows = draw_windows(cohort, trials, cohort.n_time, torch.Generator())
    np.testing.assert_array_equal(windows[:, :2], trials)
    whole, cut = cohort.batch(trials), cohort.batch(windows)
    for field in fields(whole):
        assert torch.equal(getattr(whole, field.name), getattr(cut, field.name)), field.name


def test_a_batch_of_windows_is_cut_from_the_batch_of_their_trials(cohort: Cohort) -> None:
    windows = drawn(cohort)
    cut, whole = cohort.batch(windows), cohort.batch(windows[:, :2])
    assert cut.mask.shape == (len(windows), LENGTH)
    assert torch.equal(cut.midway, torch.from_numpy(windows[:, 2] > 0))
    assert not whole.midway.any()
    timed = ("observation", "observed", "body", "body_recorded", "input", "force", "mask")
    for row, (_, _, begin, end) in enumerate(windows):
        for name in timed:
            own, there = getattr(cut, name)[row], getattr(whole, name)[row, begin:end]
            assert torch.equal(own[: end - begin], there), name
            assert not own[end - begin :].any(), name
    for name in ("encodable", "session", "animal", "when"):
        assert torch.equal(getattr(cut, name), getattr(whole, name)), name
