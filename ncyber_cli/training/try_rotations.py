"""Which way round a new session's latents are, where its recording alone does not say: the fitted model is asked.

Of a few trials the evidence of `align` may be nothing, and a session that begins mirrored stays so. Rotations are drawn
at random, each is trained for a few steps, and a session keeps the one under which the model explains it best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.recording import TRAIN
from ncyber_cli.data.training_windows import steps_an_epoch
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.spec import Spec
from ncyber_cli.training.common_basis import SessionAlignment
from ncyber_cli.training.evaluate import evaluate
from ncyber_cli.training.loop import Start

_DRAWN = 6  # beside the best guess; of three oscillators with one trial each, every other of them would do
_STEPS = 30  # of the optimiser; right and wrong are told apart by tens of nats a bin

Begin = Callable[[Sequence[SessionAlignment]], NeuroModel]  # a model that is ready to be trained


def try_rotations(
    alignments: Sequence[SessionAlignment], begin: Begin, cohort: Cohort, spec: Spec, seed: int
) -> list[SessionAlignment]:
    """The alignments, with the best of some rotations in the sessions that could not be aligned.

    Sees training trials only; the same seed tries the same rotations.
    """
    uncertain = [index for index, each in enumerate(alignments) if each.named]
    if not uncertain:
        return list(alignments)
    generator = np.random.default_rng(seed)
    tried = [list(alignments)]
    tried += [[each.turned_anyhow(generator) for each in alignments] for _ in range(_DRAWN)]
    scores = np.array([_scores(begin(each), cohort, spec, seed, uncertain) for each in tried])
    best = dict(zip(uncertain, np.nanargmax(np.nan_to_num(scores, nan=-np.inf), axis=0), strict=True))
    return [tried[best.get(index, 0)][index] for index in range(len(alignments))]


def _scores(model: NeuroModel, cohort: Cohort, spec: Spec, seed: int, sessions: Sequence[int]) -> list[float]:
    """Nats per bin of each of the sessions, after a few steps."""
    training = spec.training.model_copy(update={"epochs": -(-_STEPS // steps_an_epoch(cohort, spec))})
    start = Start(model, cohort, spec.model_copy(update={"training": training}), seed, matured=True)
    start.run(lambda epoch: None, lambda: False)
    return [evaluate(model, cohort, cohort.picks(TRAIN, index), spec.inference).elbo_nats for index in sessions]
