"""What an epoch trains on: whole trials, or windows that are drawn from long ones, others in every epoch.

One gradient through 1200 bins costs as much as twelve through 100, and dynamics show in all of them.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.data.batches import Cohort, Picks
from ncyber_cli.data.recording import TRAIN
from ncyber_cli.spec import Spec


def examples_an_epoch(cohort: Cohort, spec: Spec) -> int:
    """Training trials, or the windows drawn from them."""
    trials = cohort.picks(TRAIN)
    if spec.window_bins is None:
        return len(trials)
    return int(_windows_a_trial(cohort, trials, spec.window_bins).sum())


def steps_an_epoch(cohort: Cohort, spec: Spec) -> int:
    """Steps of the size that training begins with."""
    return -(-examples_an_epoch(cohort, spec) // spec.training.first_batch)


def draw_windows(cohort: Cohort, trials: Picks, length: int, generator: torch.Generator) -> Picks:
    """Windows of `length` bins, as many of each trial as it is long; a trial of at most `length` bins stays whole.

    The first of a trial begins with it, so that the law of first bins is learned. The others begin at a random bin,
    one in each equal part of what is left, so that an epoch sees all of a trial about once.
    """
    count = _windows_a_trial(cohort, trials, length)
    number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)  # of the window within its trial
    bins = np.repeat(cohort.bins(trials), count)
    lot = torch.rand(len(number), generator=generator, dtype=torch.float64).numpy()
    share = (number - 1 + lot) / np.maximum(np.repeat(count, count) - 1, 1)
    begin = np.where(number > 0, 1 + np.floor(share * (bins - length)), 0).astype(np.int64)
    return np.column_stack([np.repeat(trials, count, axis=0), begin, begin + np.minimum(bins, length)])


def _windows_a_trial(cohort: Cohort, trials: Picks, length: int) -> NDArray[np.int64]:
    return -(-cohort.bins(trials) // length)
