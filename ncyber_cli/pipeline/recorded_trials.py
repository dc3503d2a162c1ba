"""Rollouts of recorded trials, from where they begin or from part way on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.grid import SLACK
from ncyber_cli.data.recording import SPLIT_NAMES, Session
from ncyber_cli.errors import DataError, UsageError
from ncyber_cli.inference.recorded_scenes import objective_sample, scene_of, scene_part_way
from ncyber_cli.inference.rollout import Scene
from ncyber_cli.pipeline.objective_schedule import Schedule
from ncyber_cli.pipeline.open_run import OpenRun, header_of, trial_batches
from ncyber_cli.pipeline.scenes import SomeTrials, clock_of


class RecordedTrials:
    """Rollouts of recorded trials with their recorded inputs.

    They begin in the inferred first bin, or `from_s` after the aligning event: then the bins that have ended by then
    stay as they were recorded, and are all that is known of a trial.
    """

    def __init__(self, run: OpenRun, session: Session, part: str, steps: int | None, from_s: float | None) -> None:
        self.run, self.session = run, session
        chosen = np.ones(len(session.split), bool) if part == "all" else session.split == SPLIT_NAMES.index(part)
        self.trials = np.flatnonzero(chosen)
        if not len(self.trials):
            what = f"has no {part} trials"
            raise DataError(what, where=f"{session.animal} {session.session}", remedy="write --split all")
        longest = int(session.mask[self.trials].sum(1).max())
        self.steps = longest if steps is None else steps
        if self.steps > longest:
            raise UsageError(
                f"{session.session} has inputs for {longest} bins",
                where=f"--steps {steps}",
                remedy="write no more, or leave DATA out",
            )
        self.seen = None if from_s is None else self._take_over(from_s)
        header = header_of(run, session, self.trials)
        self.header = replace(header, time_s=header.time_s[:, : self.steps], mask=header.mask[:, : self.steps])

    def _take_over(self, from_s: float) -> NDArray[np.int64]:
        """Bins of each trial that end by `from_s`, (trial,); trials that do not reach beyond it are left out."""
        session, bin_s = self.session, self.session.bin_s
        end_s = session.time_s[self.trials] - session.event_s[self.trials, None] + bin_s / 2
        mask = session.mask[self.trials, : self.steps]
        seen = (mask & (end_s[:, : self.steps] <= from_s + SLACK * bin_s)).sum(1)
        apt = (seen >= 1) & (seen < mask.sum(1))
        if not apt.any():
            raise UsageError(
                f"no trial of {session.session} begins before and ends after it",
                where=f"--from-s {from_s:g}",
                remedy=f"their bins end between {np.nanmin(end_s):g} and {np.nanmax(end_s):g} s from their event",
            )
        if not apt.all():
            print(f"{session.session}: {(~apt).sum()} trials do not go on after {from_s:g} s", file=sys.stderr)
        self.trials = self.trials[apt]
        begun: NDArray[np.int64] = seen[apt]
        return begun

    def pieces(self, size: int) -> Iterator[SomeTrials]:
        row = 0
        for some in trial_batches(self.run, self.session, self.trials, size):
            yield SomeTrials(np.arange(row, row + len(some.keys)), some.keys, some)
            row += len(some.keys)

    def scene(self, some: SomeTrials, *, seed: int, sample: int) -> Scene:
        assert some.batch is not None
        model, inference = self.run.model, self.run.spec.inference
        if self.seen is not None:
            batch = some.batch.batch.with_bins(self.steps)
            bins = torch.from_numpy(self.seen[some.rows]).to(self.run.device)
            return scene_part_way(model, batch, inference, some.keys, bins, seed=seed, sample=sample)
        scene = scene_of(model, some.batch.batch, inference, some.keys, seed=seed, sample=sample)
        return replace(
            scene,
            input=_to_length(scene.input, self.steps),
            force=_to_length(scene.force, self.steps),
            objective=_to_length(scene.objective, self.steps, torch.nan),
        )

    def clock(self, rows: NDArray[np.int64] | slice) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return clock_of(self.header, rows)

    def own_bins(self) -> NDArray[np.bool_]:
        mask = self.header.mask
        return mask if self.seen is None else mask & (np.arange(self.steps) >= self.seen[:, None])

    def check_trial(self, trial: str) -> None:
        if trial not in self.session.trial_id:
            where = f"--objective trial:{trial}"
            what = f"is no trial of {self.session.animal} {self.session.session}"
            raise UsageError(what, where=where, remedy=did_you_mean(trial, self.session.trial_id))

    def objective_of(self, trial: str, *, seed: int, sample: int) -> Schedule:
        """Bin by bin from the aligning event; its first and last values hold before and after the trial."""
        session, index = self.session, self.session.trial_id.index(trial)
        [some] = trial_batches(self.run, session, np.array([index]), 1)
        model, inference = self.run.model, self.run.spec.inference
        path = objective_sample(model, some.batch, inference, some.keys, seed=seed, sample=sample)[0]
        length = int(session.mask[index].sum())
        begin_s = session.time_s[index, :length] - session.event_s[index] - session.bin_s / 2
        begin_s[0] = -np.inf
        return Schedule(path[:length].cpu().numpy().astype(np.float64), begin_s)


def _to_length(values: torch.Tensor, steps: int, fill: float = 0.0) -> torch.Tensor:
    """(trial, steps, feature): cut, or filled where every trial of the batch is shorter than the session's longest."""
    if values.shape[1] >= steps:
        return values[:, :steps]
    missing = values.new_full((len(values), steps - values.shape[1], values.shape[2]), fill)
    return torch.cat([values, missing], 1)
