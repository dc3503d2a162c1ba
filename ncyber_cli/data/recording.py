"""What a file holds (Recording) and what a model is given (Session): plain arrays with names.

Axis order is always (trial, time, feature). Times are seconds from the start of the session.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TRAIN, VALIDATION, TEST = 0, 1, 2
SPLIT_NAMES = ("train", "validation", "test")


@dataclass(frozen=True)
class SpikeTrains:
    """All spikes of a session in one flat array; `ends[i]` is the end of unit i's slice (NWB's index).

    `observed_s` holds each unit's intervals in which it was recorded, (interval, [start, stop]); a unit without any,
    as all of them where it is None, was recorded throughout.
    """

    times_s: NDArray[np.float64]  # (spike,)
    ends: NDArray[np.int64]  # (unit,)
    observed_s: list[NDArray[np.float64]] | None = None


@dataclass(frozen=True)
class Sampled:
    """A sampled signal: (time, feature) with its times, or (trial, time, feature) already aligned (time_s None)."""

    values: NDArray[Any]
    time_s: NDArray[np.float64] | None


@dataclass(frozen=True)
class NeuralStream:
    """One neural source: its units and their activity."""

    activity: SpikeTrains | Sampled
    unit_id: list[str]
    area: list[str]
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)  # other per-unit columns, for `where`


def absent_stream() -> NeuralStream:
    """What stands for a neural source that a file does not have, where it has others: no units."""
    return NeuralStream(SpikeTrains(np.zeros(0), np.zeros(0, np.int64)), [], [])


@dataclass(frozen=True)
class IntervalTable:
    """Rows of trials or of any named TimeIntervals; always has start_time and stop_time."""

    id: list[str]
    columns: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Recording:
    """One session as its file holds it, in the file's own sampling."""

    animal: str
    session: str
    path: Path
    sha256: str
    neural: list[NeuralStream]
    behavior: dict[str, Sampled]
    inputs: dict[str, Sampled]
    trials: IntervalTable | None
    absent: dict[str, str] = field(default_factory=dict)  # sources of the spec that the file lacks, and why
    nameless: bool = False  # an NWB file without a subject id: the animal is called after the session or the file
    about: dict[str, list[str]] = field(default_factory=dict)  # what the file says of session and animal (data.about)


@dataclass(frozen=True)
class Session:
    """One session on the model's bins.

    observation holds counts in the smallest unsigned integer that fits where all units are counts and nothing is
    missing, else float32 with NaN as missing; it is the only copy of the binned data. Bins outside `mask` (after a
    short trial's end) hold zeros.
    """

    animal: str
    session: str
    path: Path
    sha256: str
    bin_s: float
    unit_id: list[str]
    unit_area: list[str]
    unit_kind: list[str]  # spikes, calcium, events or lfp
    held_out: NDArray[np.bool_]  # (unit,)
    trial_id: list[str]
    split: NDArray[np.int8]  # (trial,) TRAIN, VALIDATION or TEST
    time_s: NDArray[np.float64]  # (trial, time) centre of each bin, session time; NaN outside mask
    event_s: NDArray[np.float64]  # (trial,) time of the alignment event
    mask: NDArray[np.bool_]  # (trial, time)
    observation: NDArray[Any]  # (trial, time, unit)
    body: NDArray[np.float32]  # (trial, time, n_body), NaN as missing
    body_names: list[str]  # position_0, position_1, velocity_0, ...
    body_units: list[str]
    input: NDArray[np.float32]  # (trial, time, n_input), every input that is not a force
    input_names: list[str]
    force: NDArray[np.float32]  # (trial, time, n_force), zeros where none is recorded; n_force 0 if not declared
    trials: IntervalTable | None = None  # the kept rows, in the order of trial_id
    unit_label: list[str] = field(default_factory=list)  # (unit,) who it is in every session; empty: nobody knows
    floor: NDArray[np.float64] | None = None  # (unit,) per bin while its area is silenced; None: no area ever is
    absent: dict[str, str] = field(default_factory=dict)  # sources of the spec that the file lacks, and why
    nameless: bool = False  # as of the recording
    about: dict[str, list[str]] = field(default_factory=dict)  # as of the recording

    def clock(self) -> NDArray[np.float64]:
        """When each trial begins, (trial,): s of session time, or its place in line where the file keeps no time."""
        begin = self.time_s[:, 0]
        return np.arange(len(begin), dtype=np.float64) if np.ptp(begin) == 0 else begin

    def take(self, rows: NDArray[np.int64]) -> Session:
        """The session with these trials alone."""
        names = ("split", "time_s", "event_s", "mask", "observation", "body", "input", "force")
        timed = {name: getattr(self, name)[rows] for name in names}
        table = self.trials
        if table is not None:
            columns = {name: values[rows] for name, values in table.columns.items()}
            table = IntervalTable([table.id[row] for row in rows], columns)
        return replace(self, trial_id=[self.trial_id[row] for row in rows], trials=table, **timed)
