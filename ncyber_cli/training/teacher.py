"""The rates that a student learns from, of training trials alone.

They stand beside the data (inference.targets), not in their place: a teacher's rate is an estimate already, and a
student that is told it is a recording may shrink it again (in place of data co_bps was .21 - .24, fits to data .25).
Added, it counts as more data than there are, so that its weight fades.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.data.batches import Cohort, Picks
from ncyber_cli.data.recording import TRAIN
from ncyber_cli.inference.targets import Targets


class Teacher:
    """Rates of the training trials of a cohort. Epochs are chosen on data: validation trials have no targets either."""

    def __init__(
        self, cohort: Cohort, rates: Sequence[NDArray[np.float32]], weight: float, sha256: Mapping[str, str]
    ) -> None:
        """`rates` of each session (trial, time, unit), NaN where the teacher says nothing; `sha256` of every file
        behind them, by path.

        Raises ValueError for rates of a trial that is not a training trial: nothing may be learned from those.
        """
        for session, known in zip(cohort.sessions, rates, strict=True):
            if np.isfinite(known[session.split != TRAIN]).any():
                raise ValueError(f"{session.session}: a teacher may only speak of training trials")
        taught = [replace(s, observation=known) for s, known in zip(cohort.sessions, rates, strict=True)]
        self._rates = Cohort(taught, cohort.animals, cohort.n_unit, cohort.dtype)  # padded as the data are
        self.weight, self.sha256 = weight, sha256

    def targets(self, picks: Picks, device: torch.device, progress: float) -> Targets:
        """What there is to learn of these trials when the share `progress` of training is done."""
        batch = self._rates.batch(picks)
        return Targets(batch.observation.to(device), batch.observed.to(device), self.weight * (1 - progress))
