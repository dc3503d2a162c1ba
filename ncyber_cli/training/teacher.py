"""The rates that a student learns from, of training trials alone: as targets (inference.targets) and as recordings.

What was measured (CHANGELOG has the figures). A target in place of an entry that the encoder saw is shrunk twice:
the teacher's rate is an estimate already, and the student, told that it is a recording, shrinks it again. Beside the
data it leaves the estimate where it is, and in the first half of a fit it speeds it up; kept to the end it makes the
posterior too sure of itself. Recordings drawn afresh from the teacher's rates in every step are noise that cannot be
learned by heart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.data.batches import Batch, Cohort, Picks
from ncyber_cli.data.recording import TRAIN
from ncyber_cli.inference.targets import Targets
from ncyber_cli.model.emission import Emission

_FADES = 0.5  # share of training after which targets have no weight
_REDRAWN = 0.5  # share of trials that are shown as the teacher would have recorded them
_SMALLEST_RATE = 1e-8  # counts a bin; the logarithm of a rate is drawn from


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
        weight = self.weight * max(0.0, 1 - progress / _FADES)
        return Targets(batch.observation.to(device), batch.observed.to(device), weight)


@torch.no_grad()
def redrawn(batch: Batch, targets: Targets, emission: Emission, generator: torch.Generator | None) -> Batch:
    """The batch with half of its trials as they might have been recorded: counts drawn from the teacher's rates."""
    log_rate = targets.rate.clamp(min=_SMALLEST_RATE).log()
    drawn = emission.sample(log_rate, batch.session, generator)
    lot = torch.rand(len(batch.session), generator=generator, device=batch.mask.device) < _REDRAWN
    chosen = lot[:, None, None] & targets.known & emission.counting()[batch.session][:, None]
    return replace(batch, observation=torch.where(chosen, drawn, batch.observation), observed=batch.observed | chosen)
