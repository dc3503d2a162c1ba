"""After a fit: the readers of the objective learn from trials that the fitted model simulates.

A pool of simulated trials is gone through a few times; its noise is fresh, so that nothing can be learned by heart
that recorded trials would not share. Trials of the choosing split, simulated once more, say how wide regions must be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.stats import chi2
from torch import Tensor, nn

from ncyber_cli.data.batches import Cohort, Picks
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.encoder import View
from ncyber_cli.inference.objective_posterior import objective_chain
from ncyber_cli.inference.readers import Readers
from ncyber_cli.inference.simulated_trials import SimulatedTrials, simulate_trials
from ncyber_cli.model.objective import Objective
from ncyber_cli.spec import Spec
from ncyber_cli.training.blinding import draw_shown
from ncyber_cli.training.schedule import warm_cosine

_MOST_SHOWN = 32_000  # simulated trials shown in all
_FOR_EACH = 8  # at most, for each recorded trial that the fit was shown
_SHOWINGS = 8  # of each simulated trial: simulating costs as much as a few showings
_POOL_ENTRIES = 60_000_000  # of counts and of encoder states held at once
_WEIGHT = {"controls": 0.3, "actuator": 0.3}  # they are sharper than the objective, and would have the states alone
_TRIALS = 128  # a step of the causal reader
_BINS, _SMOOTHED_STEPS = 4096, 4  # of the smoothed one, whose input is ready; so many for each causal step
_LEARNING_RATE, _WEIGHT_DECAY = 3e-3, 1e-3
_WIDTH_CHUNKS, _LEVEL = 4, 0.9
_MOST_BINS = 10_000_000  # torch's quantile takes no more than 16 million


def learn_to_read(
    model: NeuroModel,
    cohort: Cohort,
    training: Picks,
    choosing: Picks,
    spec: Spec,
    seed: int,
    stop: Callable[[], bool],
    *,
    begun: bool = False,
) -> bool:
    """Train `model.readers` in place; nothing else of the model changes. False if `stop()` was true in between.

    Readers that have `begun` go on from what they are, with those of their parameters that may change. A model without
    an objective has nothing to be read.
    """
    if model.readers is None or model.loop.objective is None:
        return True
    lesson = _Lesson(model, model.readers, model.loop.objective, cohort, spec, seed)
    if not begun:
        model.readers.causal.begin_as(model.encoder)
    showings = min(_MOST_SHOWN, _FOR_EACH * spec.training.epochs * len(training))
    steps, done = max(1, showings // _TRIALS), 0
    while done < steps:
        pool = lesson.simulate(training, _pool_size(model, cohort, showings))
        known = _joined([lesson.chain_of(trials) for trials in pool])
        for trials in lesson.showings(pool):
            if stop():
                return False
            lesson.causal_step(trials, done / steps)
            for _ in range(_SMOOTHED_STEPS):
                lesson.smoothed_step(known, done / steps)
            done += 1
            if done == steps:
                break
    lesson.set_width(lesson.simulate(choosing, _WIDTH_CHUNKS))
    model.readers.ready = True
    return True


def _pool_size(model: NeuroModel, cohort: Cohort, showings: int) -> int:
    """Chunks of simulated trials to hold at once."""
    longest = max(session.mask.shape[1] for session in cohort.sessions)
    entries = _TRIALS * longest * (cohort.n_unit + model.encoder.head.in_features)
    return max(1, min(int(_POOL_ENTRIES // entries), -(-showings // (_SHOWINGS * _TRIALS))))


@dataclass(frozen=True)
class _Chain:
    """What the smoothed reader corrects in each bin, all bins of all trials in a row, and the truth; normalised."""

    told: Float[Tensor, "bin feature"]
    mean: Float[Tensor, "bin n_objective"]
    truth: Float[Tensor, "bin n_objective"]


def _joined(parts: list[_Chain]) -> _Chain:
    return _Chain(*(torch.cat([getattr(part, name) for part in parts]) for name in ("told", "mean", "truth")))


class _Lesson:
    """One model's readers, what they learn from, and their optimisers."""

    def __init__(
        self, model: NeuroModel, readers: Readers, objective: Objective, cohort: Cohort, spec: Spec, seed: int
    ) -> None:
        self.model, self.readers, self.objective, self.cohort, self.spec = model, readers, objective, cohort, spec
        self.device = model.loop.initial_mean.device
        streams = torch.randint(2**62, (2,), generator=torch.Generator().manual_seed(seed)).tolist()
        self.order = torch.Generator().manual_seed(streams[0])
        self.noise = torch.Generator(self.device).manual_seed(streams[1])
        self.causal, self.smoothed = _optimizer(readers.causal), _optimizer(readers.smoothed)

    def simulate(self, picks: Picks, chunks: int) -> list[SimulatedTrials]:
        """Chunks of trials simulated after random ones of `picks`."""
        chosen = [picks[torch.randint(len(picks), (_TRIALS,), generator=self.order).numpy()] for _ in range(chunks)]
        batches = (self.cohort.batch(some).to(self.device) for some in chosen)
        return [simulate_trials(self.model, batch, self.spec.inference, self.noise) for batch in batches]

    def showings(self, pool: list[SimulatedTrials]) -> Iterator[SimulatedTrials]:
        for _ in range(_SHOWINGS):
            for index in torch.randperm(len(pool), generator=self.order).tolist():
                yield pool[index]

    def causal_step(self, trials: SimulatedTrials, progress: float) -> None:
        if self.causal is None:
            return
        found = self.readers.causal(self._view(trials))
        density = torch.stack(
            [_WEIGHT.get(name, 1.0) * found[name].log_density(truth) for name, truth in trials.truth.items()]
        ).sum(0)
        _update(self.causal, self.readers.causal, -density[trials.batch.mask.T].mean(), progress)

    def smoothed_step(self, known: _Chain, progress: float) -> None:
        if self.smoothed is None:
            return
        bins = torch.randint(len(known.mean), (_BINS,), generator=self.noise, device=self.device)
        found = self.readers.smoothed(known.told[bins], known.mean[bins])
        _update(self.smoothed, self.readers.smoothed, -found.log_density(known.truth[bins]).mean(), progress)

    @torch.no_grad()
    def chain_of(self, trials: SimulatedTrials) -> _Chain:
        view = self._view(trials)
        messages, inside = self.model.encoder(view), trials.batch.mask.T
        mean, sd = objective_chain(self.objective, messages, view.seen.T)
        mean, sd = self.objective.normalise(mean), sd / self.objective.sd
        told = self.readers.smoothed.told(messages, mean, sd)
        return _Chain(told[inside], mean[inside], trials.steps[inside])

    @torch.no_grad()
    def set_width(self, held_out: list[SimulatedTrials]) -> None:
        """Make the causal regions of level `_LEVEL` hold that share of objectives that were not learned from."""
        found = []
        for trials in held_out:
            mean, sd = self.readers.causal(self._view(trials))["objectives"].moments()
            distance = ((trials.truth["objectives"] - mean) / sd).square().sum(-1)
            found.append(distance[trials.batch.mask.T])
        expected = float(chi2.ppf(_LEVEL, self.objective.size))
        self.readers.causal_width.copy_((torch.cat(found)[:_MOST_BINS].quantile(_LEVEL) / expected).sqrt())

    def _view(self, trials: SimulatedTrials) -> View:
        """Everything that the spec lets the encoder see, but for a modality that is hidden now and then."""
        show_neural, show_body = draw_shown(trials.batch, self.spec.inference, self.noise)
        return self.model.encoder.view(trials.batch, show_neural=show_neural, show_body=show_body)


def _optimizer(reader: nn.Module) -> torch.optim.AdamW | None:
    """Of what may change in a reader; None where nothing may."""
    chosen = [parameter for parameter in reader.parameters() if parameter.requires_grad]
    if not chosen:
        return None
    return torch.optim.AdamW(chosen, lr=_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=_WEIGHT_DECAY)


def _update(optimizer: torch.optim.AdamW, reader: nn.Module, loss: Tensor, progress: float) -> None:
    optimizer.param_groups[0]["lr"] = _LEARNING_RATE * warm_cosine(progress)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
    optimizer.step()
