"""What `simulate` rolls out: the protocol of a source, and rollouts from the animals' usual start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.grid import SLACK
from ncyber_cli.data.recording import TEST
from ncyber_cli.errors import UsageError
from ncyber_cli.inference.rollout import Scene
from ncyber_cli.inference.trial_noise import TrialKey
from ncyber_cli.outputs.results_layout import SessionHeader
from ncyber_cli.pipeline.open_run import OpenRun, TrialBatch, features_of, readout_of

_STEPS = 100  # where the spec does not say how long a trial is


@dataclass(frozen=True)
class SomeTrials:
    """Some of a source's trials: their rows in the results file, names, and the scene of each sample."""

    rows: NDArray[np.int64]
    keys: list[TrialKey]
    batch: TrialBatch | None


class Source(Protocol):
    """A session to roll out: its header, its trials in pieces, and where sample `sample` of them begins."""

    header: SessionHeader

    def pieces(self, size: int) -> Iterator[SomeTrials]: ...

    def scene(self, some: SomeTrials, *, seed: int, sample: int) -> Scene: ...

    def clock(self, rows: NDArray[np.int64] | slice) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Bins of these trials, counted from 0, and their centres in s from the aligning event, (trial, time)."""
        ...

    def own_bins(self) -> NDArray[np.bool_]:
        """(trial, time): the bins that are the model's own; the others are recorded ones, or none."""
        ...


class UsualTrials:
    """Rollouts of an animal from the prior: body where its trials begin, inputs zero but for the aligning cue."""

    def __init__(self, run: OpenRun, animal: str, trials: int, steps: int | None) -> None:
        self.run, self.trials = run, trials
        self.known = next(session for session in run.layout.sessions if session.animal == animal)
        self.steps = usual_steps(run) if steps is None else steps
        time_s = usual_start_s(run) + run.layout.bin_s * (np.arange(self.steps) + 0.5)
        self.header = SessionHeader(
            animal=animal,
            session=self.known.session,
            bin_s=run.layout.bin_s,
            trial_id=[str(trial) for trial in range(trials)],
            split=np.full(trials, TEST, np.int8),
            event_s=np.zeros(trials),
            unit_id=self.known.unit_id,
            unit_area=self.known.unit_area,
            held_out=np.array(self.known.held_out, bool),
            time_s=np.tile(time_s, (trials, 1)),
            mask=np.ones((trials, self.steps), bool),
            features=features_of(run, self.known.unit_id, self.known.unit_kind),
        )

    def pieces(self, size: int) -> Iterator[SomeTrials]:
        for start in range(0, self.trials, size):
            rows = np.arange(start, min(start + size, self.trials))
            keys = [TrialKey(self.header.animal, self.header.session, str(row)) for row in rows]
            yield SomeTrials(rows, keys, None)

    def scene(self, some: SomeTrials, *, seed: int, sample: int) -> Scene:
        run, n = self.run, len(some.keys)
        layout, loop = run.layout, run.model.loop
        animal = layout.animals.index(self.header.animal)
        like = loop.initial_mean
        n_objective = 0 if loop.objective is None else loop.objective.size
        body = like.new_tensor(layout.body_start[animal]) if loop.body is not None else like.new_zeros(0)
        index = torch.full((n,), animal, device=like.device)
        return Scene(
            animal=index,
            session=torch.full_like(index, readout_of(layout, self.header.animal, self.header.session)),
            input=like.new_tensor(usual_inputs(run, self.steps)).expand(n, -1, -1),
            force=like.new_zeros(n, self.steps, layout.n_force),
            objective=like.new_full((n, self.steps, n_objective), torch.nan),
            body=body.expand(n, -1),
        )

    def clock(self, rows: NDArray[np.int64] | slice) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return clock_of(self.header, rows)

    def own_bins(self) -> NDArray[np.bool_]:
        return self.header.mask


def clock_of(header: SessionHeader, rows: NDArray[np.int64] | slice) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """See Source.clock."""
    time_s = header.time_s[rows] - header.event_s[rows, None]
    return np.broadcast_to(np.arange(time_s.shape[1]), time_s.shape), time_s


def usual_steps(run: OpenRun) -> int:
    """Bins of a trial or window as the spec cuts them; 100 where a trial's length is its own."""
    data = run.spec.data
    if data.windows is not None:
        return max(2, round(data.windows.length_s / data.bin_s))
    if data.trials is not None and data.trials.window_s is not None:
        return max(2, int(np.floor((data.trials.window_s[1] - usual_start_s(run)) / data.bin_s + SLACK)))
    return _STEPS


def usual_inputs(run: OpenRun, steps: int) -> NDArray[np.float64]:
    """(time, n_input): zeros, but a cue that trials are aligned on comes when it always comes."""
    data, names = run.spec.data, run.layout.input_names
    inputs = np.zeros((steps, len(names)))
    for name, given in data.inputs.items():
        if given.kind == "cue" and data.trials is not None and given.column == data.trials.align:
            first = int(np.floor(-usual_start_s(run) / data.bin_s + SLACK))
            inputs[max(0, first) :, names.index(name)] = 1
    return inputs


def usual_start_s(run: OpenRun) -> float:
    """Start of a trial's first bin, in s from the event that trials are aligned on; bins have their edges on it."""
    trials, bin_s = run.spec.data.trials, run.layout.bin_s
    start_s = 0.0 if trials is None or trials.window_s is None else trials.window_s[0]
    return float(np.ceil(start_s / bin_s - SLACK) * bin_s)


def check_animals(wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    """The animals to roll out, all by default. Raises UsageError for a name that is not among the known ones."""
    for animal in wanted:
        if animal not in known:
            raise UsageError(f"unknown animal {animal!r}", where="--animal", remedy=did_you_mean(animal, known))
    return [animal for animal in known if not wanted or animal in wanted]
