"""What a student learns from besides its data: rates of training trials, and trials that its teachers have made up.

Rates stand beside the data (inference.targets), not in their place: a teacher's rate is an estimate already, and a
student that is told it is a recording may shrink it again (in place of data co_bps was .21 - .24, fits to data .25).
Added, it counts as more data than there are, so that its weight fades.

Fresh trials are learned from as recorded ones are, but do not count as data where priors are weighed against these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.data.batches import Batch, Cohort, Picks, joined
from ncyber_cli.data.recording import TRAIN, Session
from ncyber_cli.data.training_windows import draw_windows
from ncyber_cli.inference.targets import Targets


class Teacher:
    """Rates of training trials, and fresh trials. Epochs are chosen on data: validation trials have neither."""

    def __init__(
        self,
        cohort: Cohort,
        rates: Sequence[NDArray[np.float32]],
        weight: float,
        sha256: Mapping[str, str],
        fresh: Sequence[Session] = (),
        fresh_share: float = 0.0,
    ) -> None:
        """`rates` of each session (trial, time, unit), NaN where the teacher says nothing; `sha256` of every file
        behind all this, by path. `fresh` are the cohort's sessions with other trials, some with none, of which
        `fresh_share` stand beside each training trial in every step.

        Raises ValueError for rates of a trial that is not a training trial: nothing may be learned from those.
        """
        for session, known in zip(cohort.sessions, rates, strict=True):
            if np.isfinite(known[session.split != TRAIN]).any():
                raise ValueError(f"{session.session}: a teacher may only speak of training trials")
        taught = [_with_rates(session, known) for session, known in zip(cohort.sessions, rates, strict=True)]
        self._rates = Cohort(taught, cohort.animals, cohort.n_unit, cohort.dtype)  # padded as the data are
        self.weight, self.sha256 = weight, sha256
        some = any(session.trial_id for session in fresh)
        self._fresh = Cohort(fresh, cohort.animals, cohort.n_unit, cohort.dtype) if some else None
        self._number = round(fresh_share * len(cohort.picks(TRAIN)))

    def fresh_picks(self, window_bins: int | None, generator: torch.Generator) -> Picks:
        """The fresh trials of an epoch, or windows of them, in random order; each comes up as often as the others."""
        if self._fresh is None:
            return np.zeros((0, 2), np.int64)
        there_are = self._fresh.picks()
        rounds = -(-self._number // len(there_are))
        drawn = [torch.randperm(len(there_are), generator=generator).numpy() for _ in range(rounds)]
        chosen: Picks = there_are[np.concatenate(drawn)[: self._number]]
        if window_bins is None:
            return chosen
        windows = draw_windows(self._fresh, chosen, window_bins, generator)
        shuffled: Picks = windows[torch.randperm(len(windows), generator=generator).numpy()]
        return shuffled

    def lesson(self, batch: Batch, picks: Picks, fresh: Picks, progress: float) -> tuple[Batch, Targets]:
        """`batch` holds the training trials `picks`: the same with fresh trials after them, and what is told of it.

        `progress` is the share of training that is done.
        """
        told, device = self._rates.batch(picks), batch.observation.device
        targets = Targets(told.observation.to(device), told.observed.to(device), self.weight * (1 - progress))
        if self._fresh is None or not len(fresh):
            return batch, targets
        batch = joined(batch, self._fresh.batch(fresh).to(device))
        return batch, targets.among(*batch.mask.shape)


def _with_rates(session: Session, rates: NDArray[np.float32]) -> Session:
    if session.floor is not None:  # what a silenced unit emits says nothing of its readout
        rates = np.where(np.isnan(session.observation), np.float32(np.nan), rates)
    return replace(session, observation=rates)
