"""A fit: one start or several, each trained, compared, and saved so that a killed process loses half a minute."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.recording import TRAIN
from ncyber_cli.errors import Interrupted
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.model.layout import Layout
from ncyber_cli.outputs.metrics_log import MetricsLog
from ncyber_cli.spec import Spec
from ncyber_cli.training.adapt import adopt, begin_adapted
from ncyber_cli.training.checkpoint import BEST, LAST, Checkpoint, save
from ncyber_cli.training.common_basis import SessionAlignment
from ncyber_cli.training.describe_latents import describe_latents
from ncyber_cli.training.evaluate import choosing_trials
from ncyber_cli.training.interrupts import Interrupts
from ncyber_cli.training.learn_to_read import learn_to_read
from ncyber_cli.training.loop import EpochResult, Start, copy_of
from ncyber_cli.training.place_prototypes import PrototypeChoice
from ncyber_cli.training.signs import Signs, signs_of
from ncyber_cli.training.teacher import Teacher
from ncyber_cli.training.warm_start import warm_start

_SAVE_EVERY_S = 30.0
_RESTARTS = 2  # at most, of starts that chase noise; where three fall into the cheap optimum so will a fourth
Report = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class StartResult:
    """What came of one start. `elbo_nats` is of the trials that choose, at the epoch that was kept."""

    seed: int
    elbo_nats: float
    best_epoch: int
    epochs: int
    refused_steps: int
    signs: Signs
    prototypes: PrototypeChoice | None = None  # prior `switching`
    batch: int | None = None  # trials per step at its end; unknown of fits by older versions

    @property
    def rank(self) -> tuple[bool, float]:
        """Larger is better: good signs first, then the ELBO."""
        return not self.signs.warnings(), self.elbo_nats


@dataclass(frozen=True)
class FitOutcome:
    kept: int  # the start whose best epoch is best.pt
    starts: list[StartResult]
    has_validation: bool  # False: training trials had to choose
    alignment: list[dict[str, Any]]  # how each session was turned at the start


@dataclass(frozen=True)
class Job:
    """What a fit works on. `resume_command` is what an interrupted fit tells the user to type."""

    cohort: Cohort
    spec: Spec
    layout: Layout
    folder: Path
    seed: int
    device: torch.device
    resume_command: str
    teacher: Teacher | None = None
    parent: Checkpoint | None = None  # a fitted model, of which all that is shared stays as it is (`adapt`)


def fit(job: Job, log: MetricsLog, report: Report, state: Mapping[str, Any] | None = None) -> FitOutcome:
    """Train every start and keep the best; `state` is the `training` of a last.pt to go on from.

    Raises NumericalError if the steps of a start are no longer finite, ResourceError for a batch that memory does not
    hold, and Interrupted after a signal, with the state saved.
    """
    starts = _Starts(job, log, report)
    if state is not None:
        starts.load(state)
    starts.begin()  # until it is begun there is nothing to save, and a signal need not wait
    with Interrupts() as interrupts:
        starts.save()

        def stop() -> bool:
            return interrupts.received is not None

        if all(starts.train(stop) for _ in starts.due()):
            starts.learn_to_read(stop)
            starts.describe()
        starts.save()
    if interrupts.received is not None:
        what = f"stopped by {signal.Signals(interrupts.received).name}, everything is saved in {job.folder}"
        raise Interrupted(interrupts.received, what, remedy=f"go on with: {job.resume_command}")
    return starts.outcome()


def resume_point(state: Mapping[str, Any]) -> tuple[int, int]:
    """(start, epoch) of the last line of metrics that belongs to the `training` of a last.pt."""
    current = state["current"]
    return len(state["finished"]), 0 if current is None else current["epoch"]


class _Starts:
    """The starts of a fit: those that are finished, the best of them, and the one in training."""

    def __init__(self, job: Job, log: MetricsLog, report: Report) -> None:
        self.job, self.log, self.report, self.layout = job, log, report, job.layout
        self.alignment: list[dict[str, Any]] = []
        self.finished: list[StartResult] = []
        self.kept: dict[str, Tensor] = {}  # weights of the best of them
        self.current: Start | None = None
        self._batch = job.spec.training.first_batch
        self._saved_s = time.monotonic()

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        for plain in state["finished"]:
            chosen = None if plain["prototypes"] is None else PrototypeChoice(**plain["prototypes"])
            self.finished.append(StartResult(**{**plain, "signs": Signs(**plain["signs"]), "prototypes": chosen}))
        self.kept, self.alignment = dict(state["kept"]), state["alignment"]
        if state["current"] is not None:
            self.current = self._begin(warm=False)
            self.current.load(state["current"])

    def state(self) -> dict[str, Any]:
        current = None if self.current is None else self.current.state()
        finished = [asdict(result) for result in self.finished]
        taught = None if self.job.teacher is None else list(self.job.teacher.sha256.values())
        done = {
            "seed": self.job.seed,
            "taught": taught,
            "finished": finished,
            "kept": self.kept,
            "alignment": self.alignment,
        }
        return {**done, "current": current}

    def due(self) -> Iterator[int]:
        """Index of each start to train: those asked for, and another for each that fell into the cheap optimum."""
        while len(self.finished) < self.job.spec.training.starts + min(_RESTARTS, self._fallen()):
            yield len(self.finished)

    def _fallen(self) -> int:
        if self.job.parent is not None:  # its objective is what it is
            return 0
        return sum(bool(result.signs.noise_chased()) for result in self.finished)

    def begin(self) -> None:
        """Have a model for the start that is due, unless none is."""
        if self.current is None and next(self.due(), None) is not None:
            self.current = self._begin(warm=True)

    def train(self, stop: Callable[[], bool]) -> bool:
        """Train the start that is due; False if it was stopped before it was done."""
        self.begin()
        assert self.current is not None
        start = self.current
        self._say_begin(start)
        start.run(self._on_epoch, stop)
        if not start.done:
            return False
        self._finish(start)
        self.save()
        return True

    def learn_to_read(self, stop: Callable[[], bool]) -> None:
        """Let the readers of the best start learn, unless stopped before they have."""
        job = self.job
        model = self._best()
        if model.readers is None or model.readers.ready:
            return
        self.report({"message": "learning to read the objective from simulated trials"})
        begun, training = job.parent is not None, job.cohort.picks(TRAIN)
        choosing = training if begun else choosing_trials(job.cohort)[0]
        if learn_to_read(model, job.cohort, training, choosing, job.spec, job.seed, stop, begun=begun):
            self.kept = copy_of(model)

    def describe(self) -> None:
        """Note the basis of the best start's latents, to which later animals are turned."""
        if self.job.parent is not None:
            return
        basis = describe_latents(self._best(), self.job.cohort, self.job.spec.inference)
        self.layout = replace(self.layout, latent_basis=[area.to_plain() for area in basis])

    def _best(self) -> NeuroModel:
        model = assemble(self.job.spec, self.job.layout, torch.Generator().manual_seed(self.job.seed))
        model.load_state_dict(self.kept)
        if self.job.parent is not None:
            adopt(model, self.job.parent, self.job.layout)
        return model.to(self.job.device)

    def save(self) -> None:
        """Write last.pt, which alone is enough to go on, then best.pt: a fit that is killed between them goes on."""
        state, job = self.state(), self.job
        current = state["current"]
        best = self.kept or current["best"]
        latest = best if current is None else current["model"]
        save(job.folder / LAST, spec=job.spec, layout=self.layout, model_state=latest, training=state)
        save(job.folder / BEST, spec=job.spec, layout=self.layout, model_state=best)
        self._saved_s = time.monotonic()

    def outcome(self) -> FitOutcome:
        kept = max(range(len(self.finished)), key=lambda index: self.finished[index].rank)
        return FitOutcome(kept, self.finished, choosing_trials(self.job.cohort)[1], self.alignment)

    def _begin(self, *, warm: bool) -> Start:
        seed = self.job.seed + len(self.finished)
        model = assemble(self.job.spec, self.job.layout, torch.Generator().manual_seed(seed))
        parent, matured = self.job.parent, self.job.parent is not None
        if warm and parent is None:
            self._note_alignment(warm_start(model, self.job.cohort))
        elif warm and parent is not None:
            job = self.job
            self._note_alignment(begin_adapted(model, parent, job.layout, job.cohort, job.spec, seed, job.device))
        elif parent is not None:
            adopt(model, parent, self.job.layout)
        found = self.finished[-1].batch if self.finished else None  # what one start needs the next needs too
        return Start(
            model.to(self.job.device),
            self.job.cohort,
            self.job.spec,
            seed,
            self.job.teacher,
            matured=matured,
            batch=found,
        )

    def _note_alignment(self, found: Sequence[SessionAlignment]) -> None:
        """Every start is turned in the same way; it is said once."""
        if not self.alignment:
            for each in found:
                for warning in each.warnings():
                    self.report({"message": f"warning: {warning}"})
        self.alignment = [each.as_dict() for each in found]

    def _finish(self, start: Start) -> None:
        start.model.load_state_dict(start.best)
        signs = signs_of(start.model, self.job.cohort, start.choosing, self.job.spec.inference)
        result = StartResult(
            seed=self.job.seed + len(self.finished),
            elbo_nats=start.best_elbo,
            best_epoch=start.best_epoch,
            epochs=start.epoch,
            refused_steps=start.refused,
            signs=signs,
            prototypes=start.prototypes,
            batch=start.batch,
        )
        if start.prototypes is not None:
            self.report({"message": f"{self._name()}: prototypes {start.prototypes.words()}"})
        for warning in signs.warnings():
            self.report({"message": f"warning: {self._name()}: {warning}"})
        if not self.finished or result.rank > max(other.rank for other in self.finished):
            self.kept = start.best
        self.finished.append(result)
        self.current = None

    def _on_epoch(self, result: EpochResult) -> None:
        assert self.current is not None
        choosing = "validation_elbo_nats" if self.current.has_validation else "unblinded_elbo_nats"
        scores = {
            "step": result.steps,
            "elbo_nats": result.elbo_nats,
            choosing: result.evaluation.elbo_nats,
            "co_bps": result.evaluation.co_bps,
            "kl_nats": result.evaluation.kl_nats,
            "body_nats": None if self.current.model.loop.body is None else result.evaluation.body_nats,
            "learning_rate": result.learning_rate,
            "refused_steps": result.refused_steps,
        }
        rest = {"neural_nats": result.evaluation.neural_nats, "is_best": result.is_best, "batch": result.batch}
        cost = {"seconds": result.seconds, "cpu_s": time.process_time()}  # of the epoch; of the process so far
        self.log.append(result.epoch, {**scores, **rest, **cost}, start=len(self.finished))
        self.report({"epoch": result.epoch, **scores})
        if result.batch < self._batch:
            self._batch = result.batch
            self.report({"message": f"memory does not suffice for more: steps on {result.batch} trials from here on"})
        if time.monotonic() - self._saved_s >= _SAVE_EVERY_S:
            self.save()

    def _say_begin(self, start: Start) -> None:
        event: dict[str, Any] = {"total_epochs": self.job.spec.training.epochs, "first_epoch": start.epoch}
        if not start.has_validation and not start.matured:
            event["message"] = "no trial is in the validation split: the best epoch is chosen on training trials"
        self.report({**event, "label": self._name()})

    def _name(self) -> str:
        number, asked = len(self.finished) + 1, self.job.spec.training.starts
        if number > asked:
            return f"restart {number - asked}"
        return "fit" if asked == 1 else f"start {number} of {asked}"
