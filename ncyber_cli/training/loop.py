"""One start of a fit, step by step: all that decides the next step is in its state, so that it resumes to the bit.

Nothing is read from the device inside a step. The host reads every 20 steps whether they were taken,
and once an epoch what they scored.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ncyber_cli.data.batches import Cohort, Picks
from ncyber_cli.data.recording import TRAIN
from ncyber_cli.data.training_windows import draw_windows, examples_an_epoch
from ncyber_cli.errors import ResourceError
from ncyber_cli.inference.elbo import NeuroModel, draw_noise
from ncyber_cli.memory import TooLarge, half, release, too_large_told
from ncyber_cli.spec import Spec
from ncyber_cli.training.area_hiding import area_hiding
from ncyber_cli.training.blinding import draw_blinding
from ncyber_cli.training.diagnose import numerical_error
from ncyber_cli.training.evaluate import Evaluation, choosing_trials, evaluate
from ncyber_cli.training.place_prototypes import PrototypeChoice, place_prototypes
from ncyber_cli.training.schedule import anneal, kl_weight, make_optimizer, set_learning_rate, settled
from ncyber_cli.training.step import StepResult, train_step
from ncyber_cli.training.teacher import Teacher

_READ_EVERY = 20  # steps between two looks at which were refused
_MOST_REFUSED, _EPOCH_REFUSED = 10, 3  # in a row, or a whole epoch of at least 3; a sound model loses one now and then
_COUNTERS = ("epoch", "step", "refused", "refused_in_a_row", "best_epoch", "waited")
_SMALLER = "shorten trials (data.trials.window_s), draw windows of them (training.window_s), write a larger data.bin_s"


@dataclass(frozen=True)
class EpochResult:
    """An epoch on the trials that choose, and the mean training ELBO (blinded, so lower) of its steps."""

    epoch: int  # counted from 1
    steps: int  # since the start began
    elbo_nats: float
    evaluation: Evaluation
    learning_rate: float
    refused_steps: int
    batch: int  # trials per step
    seconds: float
    is_best: bool


class Start:
    """A model in training. `run` goes on until it is done or `stop` says so; `state` is plain data.

    With `matured` the model has been trained before: its priors have their final form from the first step on, and as
    there is little to choose an epoch on, the last is kept.
    """

    def __init__(
        self,
        model: NeuroModel,
        cohort: Cohort,
        spec: Spec,
        seed: int,
        teacher: Teacher | None = None,
        *,
        matured: bool = False,
        batch: int | None = None,
    ) -> None:
        self.model, self.cohort, self.spec, self.teacher, self.matured = model, cohort, spec, teacher, matured
        self.device = model.loop.initial_mean.device
        model.loop.orient()
        self.hiding = area_hiding(cohort, model.loop.brain.areas.names, self.device)
        self.training = cohort.picks(TRAIN)
        self.choosing, self.has_validation = (self.training, False) if matured else choosing_trials(cohort)
        self.watched = self.choosing
        if matured and spec.window_bins is not None:  # nothing is chosen on them: whole trials would cost too much
            self.watched = draw_windows(cohort, self.choosing, spec.window_bins, torch.Generator().manual_seed(seed))
        training = spec.training
        self.optimizer = make_optimizer(model, training.learning_rate, training.weight_decay, training.hold_controller)
        self.examples = examples_an_epoch(cohort, spec)
        self.batch = batch or spec.training.first_batch
        self.steps = 0  # taken; `step` is the place in the epoch, in steps of the present size
        streams = torch.randint(2**62, (2,), generator=torch.Generator().manual_seed(seed)).tolist()
        self.order = torch.Generator().manual_seed(streams[0])
        self.noise = torch.Generator(self.device).manual_seed(streams[1])
        self.order_at_epoch = self.order.get_state()
        self.epoch = self.step = self.refused = self.refused_in_a_row = self.best_epoch = self.waited = 0
        self.elbos: list[Tensor] = []  # of the present epoch's steps, NaN where refused
        self.best_elbo = float("-inf")
        self.best: dict[str, Tensor] = copy_of(model)
        self.prototypes: PrototypeChoice | None = None
        self._unread: list[tuple[Picks, Tensor]] = []

    @property
    def done(self) -> bool:
        """All epochs are over, or no epoch has been better for `training.patience` epochs."""
        return self.epoch >= self.spec.training.epochs or self.waited >= self.spec.training.patience

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.examples // self.batch)

    @property
    def progress(self) -> float:
        steps = self.epoch * self.steps_per_epoch + self.step
        return steps / (self.spec.training.epochs * self.steps_per_epoch)

    @property
    def maturity(self) -> float:
        """How far the model's priors are on their way to their final form."""
        return 1.0 if self.matured else self.progress

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the fit depends on, as plain data."""
        self._read_refusals()
        return {
            "model": copy_of(self.model),
            "optimizer": self.optimizer.state_dict(),
            "order": self.order_at_epoch,
            "noise": self.noise.get_state(),
            "elbos": torch.stack(self.elbos).cpu() if self.elbos else None,
            "best": self.best,
            "best_elbo": self.best_elbo,
            "prototypes": None if self.prototypes is None else self.prototypes.as_dict(),
            "batch": self.batch,
            "steps": self.steps,
            **{name: getattr(self, name) for name in _COUNTERS},
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go back to `state`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.order_at_epoch = state["order"]
        self.noise.set_state(state["noise"])
        self.elbos = [] if state["elbos"] is None else list(state["elbos"].to(self.device).unbind(0))
        self.best = {name: value.to(self.device) for name, value in state["best"].items()}
        self.best_elbo = state["best_elbo"]
        self.prototypes = None if state["prototypes"] is None else PrototypeChoice(**state["prototypes"])
        for name in _COUNTERS:
            setattr(self, name, state[name])
        self.batch = state.get("batch", self.batch)  # not in states of older versions, which never changed it
        self.steps = state.get("steps", self.epoch * self.steps_per_epoch + self.step)

    def run(self, on_epoch: Callable[[EpochResult], None], stop: Callable[[], bool]) -> None:
        """Train until done, or until `stop()` is true between two steps.

        Raises NumericalError once ten steps in a row, or a whole epoch of them, were not finite, and ResourceError for
        a batch that memory does not hold.
        """
        began = time.monotonic()
        while not self.done:
            order, made_up = self._epoch_order()
            fresh = np.array_split(made_up, self.steps_per_epoch)
            while self.step < self.steps_per_epoch:
                if stop():
                    return
                if not self._fits(order[self.step * self.batch :][: self.batch], fresh[self.step]):
                    self._halve_batch()
                    fresh = np.array_split(made_up, self.steps_per_epoch)
            result = self._end_epoch(time.monotonic() - began)
            began = time.monotonic()
            on_epoch(result)

    def _fits(self, picks: Picks, fresh: Picks) -> bool:
        """Take a step; False where memory does not suffice for it, with everything as it was before."""
        noise = self.noise.get_state()
        try:
            self._take_step(picks, fresh)
        except TooLarge:
            self.noise.set_state(noise)
            return False
        return True

    def _halve_batch(self) -> None:
        """Go on with half as many trials a step, from the same place in the epoch."""
        self.optimizer.zero_grad(set_to_none=True)
        release()
        if self.spec.training.batch != "auto":
            at_once = min(self.batch, self.examples)
            what = f"memory does not suffice for a step on {at_once} {'trials' if at_once > 1 else 'trial'}"
            remedy = f"write {at_once // 2}, or auto" if at_once > 1 else _SMALLER
            raise ResourceError(what, where=f"training.batch: {self.batch}", remedy=remedy)
        self.batch, self.step = half(self.batch, _SMALLER), 2 * self.step

    def _epoch_order(self) -> tuple[Picks, Picks]:
        """The training examples of an epoch, and what a teacher has made up besides."""
        self.order.set_state(self.order_at_epoch)
        examples, length = self.training, self.spec.window_bins
        if length is not None:
            examples = draw_windows(self.cohort, examples, length, self.order)
        order: Picks = examples[torch.randperm(len(examples), generator=self.order).numpy()]
        fresh = np.zeros((0, 2), np.int64) if self.teacher is None else self.teacher.fresh_picks(length, self.order)
        return order, fresh

    def _take_step(self, picks: Picks, fresh: Picks) -> None:
        model, progress = self.model, self.progress
        set_learning_rate(self.optimizer, self.spec.training.learning_rate, progress)
        anneal(model, self.maturity)
        with too_large_told():
            batch = self.cohort.batch(picks).to(self.device)
            targets = None
            if self.teacher is not None:
                batch, targets = self.teacher.lesson(batch, picks, fresh, progress)
            blinding = draw_blinding(batch, self.spec.inference, self.noise, progress)
            if self.hiding is not None:
                blinding = self.hiding.applied(blinding, batch, self.noise)
            noise = draw_noise(model, batch.mask.shape[1], len(batch.session), self.noise)
        weight = kl_weight(self.maturity)
        result = train_step(model, self.optimizer, batch, blinding, noise, weight, self.examples, targets, len(picks))
        self._note(picks, result)

    def _note(self, picks: Picks, result: StepResult) -> None:
        self.step += 1
        self.steps += 1
        self.elbos.append(torch.where(result.finite > 0, result.elbo, torch.nan))
        self._unread.append((picks, result.finite))
        if len(self._unread) == _READ_EVERY:
            self._read_refusals()

    def _read_refusals(self) -> None:
        if not self._unread:
            return
        unread, self._unread = self._unread, []
        for (picks, _), finite in zip(unread, torch.stack([flag for _, flag in unread]).tolist(), strict=True):
            self.refused += not finite
            self.refused_in_a_row = 0 if finite else self.refused_in_a_row + 1
            if self.refused_in_a_row >= min(_MOST_REFUSED, max(_EPOCH_REFUSED, self.steps_per_epoch)):
                raise numerical_error(self.model, self.cohort, picks, self.spec)

    def _end_epoch(self, seconds: float) -> EpochResult:
        self._read_refusals()
        elbo = torch.stack(self.elbos).nanmean().item()
        self.epoch, self.step, self.elbos = self.epoch + 1, 0, []
        self.order_at_epoch = self.order.get_state()
        anneal(self.model, self.maturity)
        self._place_prototypes()
        evaluation = evaluate(self.model, self.cohort, self.watched, self.spec.inference)
        return EpochResult(
            epoch=self.epoch,
            steps=self.steps,
            elbo_nats=elbo,
            evaluation=evaluation,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            refused_steps=self.refused,
            batch=self.batch,
            seconds=seconds,
            is_best=self._choose(evaluation.elbo_nats),
        )

    def _place_prototypes(self) -> None:
        """Prior `switching`, once: the objective has been found without prototypes, and now gets them."""
        objective, chosen = self.model.loop.objective, self.spec.model.objective
        if objective is None or chosen is None or not objective.awaits_prototypes(self.maturity):
            return
        numbers, inference = chosen.prototype_numbers, self.spec.inference
        self.prototypes = place_prototypes(self.model, self.cohort, self.training, self.choosing, inference, numbers)

    def _choose(self, elbo: float) -> bool:
        """Keep the model if it is the best so far. Before ELBOs can be compared the latest stands in."""
        if self.matured:
            self.best, self.best_elbo, self.best_epoch = copy_of(self.model), elbo, self.epoch
            return True
        if not settled(self.model, self.progress):
            self.best, self.best_epoch = copy_of(self.model), self.epoch
            return False
        self.waited += 1
        if not elbo > self.best_elbo:  # NaN is no better either
            return False
        self.best, self.best_elbo, self.best_epoch, self.waited = copy_of(self.model), elbo, self.epoch, 0
        return True


def copy_of(model: NeuroModel) -> dict[str, Tensor]:
    """The model's weights and buffers as they are now."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
