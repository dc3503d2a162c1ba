"""Windows at random places of a continuous recording, so that training meets every moment in many positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.grid import Grid
from ncyber_cli.data.recording import TRAIN


def with_random_windows(
    grid: Grid, split: NDArray[np.int8], times: int, generator: np.random.Generator
) -> tuple[Grid, NDArray[np.int8]]:
    """The contiguous windows of `grid`, then `times` as many drawn from where they train, on the same bins.

    A drawn window lies within one stretch of neighbouring training windows, so that it shares no bin with a validation
    or test window.
    """
    length, first = grid.n_time, np.concatenate([[0], np.cumsum(grid.n_bins)[:-1]])
    changes = np.flatnonzero(np.diff(split == TRAIN)) + 1
    starts = []
    for stretch in np.split(np.arange(grid.n_trial), changes):
        room = int(grid.n_bins[stretch].sum()) - length
        if split[stretch[0]] == TRAIN and room > 0:
            starts.append(first[stretch[0]] + generator.integers(0, room + 1, times * len(stretch)))
    drawn = np.concatenate([np.zeros(0, np.int64), *starts])
    start_s = np.concatenate([grid.start_s, grid.start_s[0] + drawn * grid.bin_s])
    n_bins = np.concatenate([grid.n_bins, np.full(len(drawn), length)])
    whole = Grid(grid.bin_s, start_s, n_bins, start_s, np.arange(len(start_s)))
    return whole, np.concatenate([split, np.full(len(drawn), TRAIN, np.int8)])
