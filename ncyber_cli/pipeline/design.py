"""`ncyber design`: a controller tuned for a task on a fitted model that is otherwise frozen, as a run of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ncyber_cli.atomic import write_text
from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.errors import NumericalError, UsageError
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.rehearsal import Rehearsal, together
from ncyber_cli.inference.rollout import set_objective
from ncyber_cli.inference.task_cost import TaskCost
from ncyber_cli.inference.trial_noise import path_noise
from ncyber_cli.outputs.metrics.evidence import paired_bootstrap
from ncyber_cli.outputs.provenance import record_provenance, write_summary
from ncyber_cli.pipeline.constants import animal_constants
from ncyber_cli.pipeline.design_cost import meanings, read_cost
from ncyber_cli.pipeline.objective_schedule import Schedule, read_schedule
from ncyber_cli.pipeline.open_run import OpenRun, open_run
from ncyber_cli.pipeline.run_folder import SUMMARY, RunFolder
from ncyber_cli.pipeline.scenes import UsualTrials, check_animals
from ncyber_cli.reporting import Progress, table
from ncyber_cli.spec_file import spec_text
from ncyber_cli.training.checkpoint import BEST, save
from ncyber_cli.training.tune_controller import Tuned, tunable, tune

_GOALS = 8  # rollouts a sample, where goals are drawn from the prior
_FRESH = 64  # samples of each goal that the costs are reported on; nothing else is played with their noise
_COLUMNS = ["animal", "goals", "samples", "cost before", "cost after", "change", "95 % interval"]


@dataclass(frozen=True)
class DesignOptions:
    """What can be asked of `design` besides the run and the cost."""

    objectives: tuple[str, ...] = ()
    tune: tuple[str, ...] = ()
    steps: int | None = None
    samples: int = 8
    updates: int = 100
    learning_rate: float = 0.03
    animals: tuple[str, ...] = ()
    checkpoint: Literal["best", "last"] = "best"
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class _Task:
    """Who pursues what: rollouts of `animals`, each towards every goal (drawn from the prior where there is none)."""

    run: OpenRun
    animals: list[str]
    goals: list[Schedule]
    options: DesignOptions

    def parts(self) -> tuple[range, range, range]:
        """Numbers of the samples to tune on, to judge by and to report on: noise is keyed by them."""
        n = self.options.samples
        return range(n), range(n, 2 * n), range(2 * n, 2 * n + _FRESH)

    def rehearsal(self, animals: Sequence[str], samples: range) -> Rehearsal:
        """All animals, samples and goals in one batch, in this order."""
        return together([self._one(animal, sample) for animal in animals for sample in samples])

    def _one(self, animal: str, sample: int) -> Rehearsal:
        count = len(self.goals) or _GOALS
        source = UsualTrials(self.run, animal, count, self.options.steps)
        some = next(source.pieces(count))
        scene = source.scene(some, seed=self.options.seed, sample=sample)
        if self.goals:
            bins, time_s = source.clock(some.rows)
            held = [goal.at(bins[i : i + 1], time_s[i : i + 1])[0] for i, goal in enumerate(self.goals)]
            scene = set_objective(scene, scene.objective.new_tensor(np.stack(held)))
        return Rehearsal(scene, path_noise(self.run.model, some.keys, source.steps, self.options.seed, sample))


def design_run(run: Path, cost_text: str, out: Path, options: DesignOptions, *, as_json: bool = False) -> None:
    """Tune, judge under fresh noise, write the new run's folder and print the costs before and after.

    Raises UsageError for options that do not fit the run and a folder that holds another, CheckpointError for what
    cannot be read, NumericalError for rollouts that are not finite, ResourceError if another process writes there.
    """
    folder = RunFolder(out)
    if Path(out).resolve() == Path(run).resolve():
        raise UsageError("is the run itself", where=f"--out {out}", remedy="choose another folder")
    folder.check(resume=False, overwrite=options.overwrite)
    opened = open_run(run, options.checkpoint, options.device)
    task, cost = _task(opened, options), read_cost(cost_text, opened)
    chosen = _chosen(opened.model, options.tune)
    with Progress(quiet=options.quiet) as progress, folder.locked(
        resume=False, overwrite=options.overwrite, remark=progress.say
    ):
        before = [_costs(task, cost, animal) for animal in task.animals]
        tuned = _tuned(task, cost, chosen, progress)
        after = [_costs(task, cost, animal) for animal in task.animals]
        rows = [_row(task, cost, *found) for found in zip(task.animals, before, after, strict=True)]
        folder.clear()
        save(folder.path / BEST, spec=opened.spec, layout=opened.layout, model_state=opened.model.state_dict())
        write_text(folder.spec, spec_text(opened.spec))
        _write_summary(folder, task, cost, list(chosen), tuned, rows)
    _print(folder, rows, as_json=as_json)


def _task(run: OpenRun, options: DesignOptions) -> _Task:
    loop = run.model.loop
    where = str(run.path)
    if loop.body is None or loop.controller is None:
        remedy = "fit a run with model.body and model.controller"
        raise UsageError("this run's model has no body to be controlled", where=where, remedy=remedy)
    assert loop.objective is not None
    start = loop.body.position(torch.tensor(run.layout.body_start))
    if loop.objective.size != start.shape[1]:
        what = f"its objective has {loop.objective.size} dimensions and its body's position {start.shape[1]}"
        raise UsageError(what, where=where, remedy="fit a run without model.objective.dimensions")
    goals = [read_schedule(text, loop.objective.size) for text in options.objectives]
    return _Task(run, check_animals(options.animals, run.layout.animals), goals, options)


def _chosen(model: NeuroModel, names: Sequence[str]) -> dict[str, list[nn.Parameter]]:
    """The parameters to tune, by name. Raises UsageError for a name that the controller has not."""
    assert isinstance(model.loop.controller, nn.Module)
    known = tunable(model.loop.controller)
    for name in names:
        if name not in known:
            raise UsageError(f"the controller has no {name!r}", where="--tune", remedy=did_you_mean(name, known))
    return {name: parameters for name, parameters in known.items() if not names or name in names}


def _tuned(task: _Task, cost: TaskCost, chosen: Mapping[str, list[nn.Parameter]], progress: Progress) -> Tuned:
    """Move the chosen parameters of the run's model."""
    train, judge, _ = task.parts()
    tuned = tune(
        task.run.model,
        [parameter for parameters in chosen.values() for parameter in parameters],
        cost,
        task.rehearsal(task.animals, train),
        task.rehearsal(task.animals, judge),
        updates=task.options.updates,
        learning_rate=task.options.learning_rate,
        report=progress.report,
    )
    if tuned.update == 0:
        progress.say("nothing was surely better than the controller as it is, which stays")
    return tuned


@torch.no_grad()
def _costs(task: _Task, cost: TaskCost, animal: str) -> dict[str, NDArray[np.float64]]:
    """Total and terms of an animal's rollouts under fresh noise, (sample, goal)."""
    model, (*_, fresh) = task.run.model, task.parts()
    terms = cost.terms(model, task.rehearsal([animal], fresh).play(model))
    found = {"cost": cost.total(terms), **terms}
    if not torch.isfinite(found["cost"]).all():
        raise NumericalError("rollouts are not finite", where=animal, remedy="write a smaller --steps")
    return {name: values.double().cpu().numpy().reshape(_FRESH, -1) for name, values in found.items()}


def _row(
    task: _Task, cost: TaskCost, animal: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """What changed for an animal, with the interval of the paired change over noise samples."""
    change = (after["cost"] - before["cost"]).mean(1, keepdims=True)
    interval = paired_bootstrap(change, np.random.default_rng(task.options.seed))
    index = task.run.layout.animals.index(animal)
    return {
        "animal": animal,
        "goals": before["cost"].shape[1],
        "samples": _FRESH,
        "cost_before": float(before["cost"].mean()),
        "cost_after": float(after["cost"].mean()),
        "change": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "terms_before": {name: float(before[name].mean()) for name in cost.weights},
        "terms_after": {name: float(after[name].mean()) for name in cost.weights},
        "constants": animal_constants(task.run.model, task.run.layout, index),
    }


def _write_summary(
    folder: RunFolder, task: _Task, cost: TaskCost, chosen: list[str], tuned: Tuned, rows: list[dict[str, Any]]
) -> None:
    run, options = task.run, task.options
    provenance = record_provenance(
        ["ncyber", *sys.argv[1:]],
        seed=options.seed,
        spec=spec_text(run.spec),
        input_sha256={str(run.path): run.sha256},
    )
    design = {
        "from": str(run.path),
        "objectives": list(options.objectives) or "prior",
        "cost": dict(cost.weights),
        "terms": meanings(cost, run),
        "tuned": chosen,
        "samples": options.samples,
        "updates": options.updates,
        "learning_rate": options.learning_rate,
        "kept_update": tuned.update,
        "held_out_cost": [{"update": update, "cost": value} for update, value in tuned.history],
    }
    write_summary(folder.summary, provenance, {"design": design, "animals": rows, "device": str(run.device)})


def _print(folder: RunFolder, rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        table([row | {"run": str(folder.path)} for row in rows], [], as_json=True)
        return
    shown = [
        {
            **row,
            "cost before": row["cost_before"],
            "cost after": row["cost_after"],
            "95 % interval": f"[{row['low']:.3g}, {row['high']:.3g}]",
        }
        for row in rows
    ]
    table(shown, _COLUMNS)
    print(f"wrote {folder.path / BEST}, {SUMMARY}     next: ncyber simulate {folder.path} --out rollout.h5")
