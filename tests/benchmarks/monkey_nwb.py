"""Centre-out reaches of two macaques (Dyer et al. 2017) from MATLAB arrays to NWB, cut into trials by stated rules.

The arrays hold movement bins of successful trials one after the other, without trial ids: Y spikes, X hand velocity
(cm/s), T target. What the rows are is not written in the files; it was found in them:

chewie: a row every 10 ms. Y is a sliding sum of 8 rows: a spike that enters leaves 8 rows later, and undoing the sum
    gives one answer for 99 % of units and trials. The window is taken to end with its row, as a causal count would.
    The velocity jumps between trials and nowhere else: there they are cut. Trials have 31 rows, from before the
    movement to about its peak speed; the two that the arrays' ends cut short are left out. Both arrays hold the same
    units, and make one session. Onset: the first row after the last slower than 3 cm/s.
mihi: a row every 100 ms, Y in Hz over windows of 200 ms, the first of which begins at movement onset; X over the same
    windows. Undoing the overlap of counts meets a contradiction in one trial of 74; that of velocities leaves one
    number a trial open. A controller needs finer bins than 100 ms: between them the hand is a cubic spline that
    starts at rest, and spikes lie evenly in their 100 ms. A trial begins where the target changes; a run of more
    than 12 rows holds two trials to one target and is cut before its largest rise of speed. The arrays hold
    different units, and make two sessions.

Positions are integrals of velocity from (0, 0) at each trial's start. Every trial is a test trial once: `fold_0` to
`fold_4` say train, validation or test, 70, 10 and 20 % of each session's trials to each target.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.io import loadmat

from ncyber_cli.data.recording import SpikeTrains
from ncyber_cli.data.write_nwb import NwbContents, NwbSeries, NwbTable, write_nwb

FOLDS = 5
BINS_OF = {"chewie": 0.02, "mihi": 0.05}  # s, that fit the rows: two of chewie's, half of one of mihi's
GAP_STEPS = 50  # between trials nothing is recorded
_CHEWIE_ROWS, _CHEWIE_WINDOW, _CHEWIE_STEP_S = 31, 8, 0.01
_MIHI_WINDOW, _MIHI_STEP_S, _MIHI_MOST_ROWS = 2, 0.1, 12
_MIHI_SAMPLES = 10  # of the hand in a step
_TRIAL_BREAK, _SLOW = 4.0, 3.0  # cm/s: change of velocity from one row to the next; speed before onset
_DESCRIPTIONS = {
    "start_time": "first bin of the trial (s)",
    "stop_time": "end of its last bin (s)",
    "movement_time": "movement onset (s)",
    "target": "target, as numbered by the source",
    **{f"fold_{fold}": "train, validation or test" for fold in range(FOLDS)},
}


@dataclass(frozen=True)
class Reach:
    """One trial; `onset` is the step with which the movement begins."""

    counts: NDArray[np.int64]  # (step, unit)
    velocity: NDArray[np.float64]  # (sample, 2), m/s; a whole number of samples in each step
    target: int
    onset: int


def convert(source: Path, folder: Path) -> dict[str, list[Path]]:
    """Write the NWB files of both monkeys into `folder`; their paths by animal."""
    folder.mkdir(parents=True, exist_ok=True)
    chewie, mihi = (loadmat(source / f"{name}_demo.mat") for name in ("chewie", "mihi"))
    both = [reach for part in ("tr", "te") for reach in chewie_reaches(chewie, part)]
    return {
        "chewie": [write_nwb(contents("chewie", "chewie", both, _CHEWIE_STEP_S), folder / "chewie.nwb")],
        "mihi": [
            write_nwb(contents("mihi", f"mihi-{part}", mihi_reaches(mihi, part), _MIHI_STEP_S), folder / name)
            for part, name in (("tr", "mihi-tr.nwb"), ("te", "mihi-te.nwb"))
        ],
    }


def chewie_reaches(arrays: dict[str, Any], part: str) -> list[Reach]:
    velocity, sums, target = (arrays[f"{letter}{part}"] for letter in "XYT")
    breaks = np.flatnonzero(np.abs(np.diff(velocity, axis=0)).max(1) > _TRIAL_BREAK) + 1
    reaches = []
    for rows in np.split(np.arange(len(velocity)), breaks):
        if len(rows) == _CHEWIE_ROWS:
            counts = undo_sliding_sum(sums[rows].astype(np.int64), _CHEWIE_WINDOW)[_CHEWIE_WINDOW - 1 :]
            slow = np.flatnonzero(np.linalg.norm(velocity[rows], axis=1) < _SLOW)
            onset = int(slow[-1]) + 1 if len(slow) else 0
            reaches.append(Reach(counts, velocity[rows] / 100, int(target[rows[0], 0]), onset))
    return reaches


def mihi_reaches(arrays: dict[str, Any], part: str) -> list[Reach]:
    velocity, rates, target = (arrays[f"{letter}{part}"] for letter in "XYT")
    sums = np.round(rates * _MIHI_WINDOW * _MIHI_STEP_S).astype(np.int64)
    speed = np.linalg.norm(velocity, axis=1)
    reaches = []
    for run in np.split(np.arange(len(velocity)), np.flatnonzero(np.diff(target[:, 0])) + 1):
        cut = [int(np.argmax(np.diff(speed[run]))) + 1] if len(run) > _MIHI_MOST_ROWS else []
        for rows in np.split(run, cut):
            counts = undo_sliding_sum(sums[rows], _MIHI_WINDOW)
            halves = undo_mean_of_two(velocity[rows]) / 100
            reaches.append(Reach(counts, from_rest(halves, _MIHI_SAMPLES), int(target[rows[0], 0]), 0))
    return reaches


def undo_sliding_sum(sums: NDArray[np.int64], window: int) -> NDArray[np.int64]:
    """Counts (row + window - 1, unit) of which `sums` (row, unit) are the sums of `window` neighbours.

    c[k + window] = c[k] + sums[k + 1] - sums[k] leaves the first `window` counts open; none may lead to a negative
    count, and together they make sums[0]. Spikes that this leaves without a place go to the first rows in turn.
    """
    rows, units = sums.shape
    counts = np.zeros((rows + window - 1, units), np.int64)
    for row in range(rows - 1):
        counts[row + window] = counts[row] + sums[row + 1] - sums[row]
    for phase in range(window):
        counts[phase::window] -= counts[phase::window].min(0)
    left = sums[0] - counts[:window].sum(0)
    for phase in range(window):
        counts[phase::window] += left // window + (phase < left % window)
    return counts.clip(min=0)


def undo_mean_of_two(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (row + 1, axis) of which `means` (row, axis) are the means of two neighbours.

    The first value is open: raising it moves all others up and down in turn. Of all solutions the one with the
    smallest second differences is taken.
    """
    values = np.zeros((len(means) + 1, means.shape[1]))
    for row, mean in enumerate(means):
        values[row + 1] = 2 * mean - values[row]
    sign = np.where(np.arange(len(values)) % 2, -1.0, 1.0)[:, None]
    rough, change = np.diff(values, 2, axis=0), np.diff(sign, 2, axis=0)
    return values - sign * ((rough * change).sum(0) / np.square(change).sum())


def from_rest(means: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
    """Mean velocities (step * samples, axis) of a path whose means over steps are `means` and that starts at rest.

    The path is the cubic spline through where it must be at the steps' ends.
    """
    ends = np.concatenate([np.zeros((1, means.shape[1])), np.cumsum(means, axis=0)])
    still = np.zeros(means.shape[1])
    path = CubicSpline(np.arange(len(ends)), ends, bc_type=((1, still), (2, still)))
    return samples * np.diff(path(np.arange(samples * len(means) + 1) / samples), axis=0)


def contents(animal: str, session: str, reaches: Sequence[Reach], step_s: float) -> NwbContents:
    """A session with its trials one after the other and gaps between them."""
    steps = np.array([len(reach.counts) for reach in reaches])
    first = np.concatenate([[0], np.cumsum(steps[:-1] + GAP_STEPS)])
    samples = len(reaches[0].velocity) // len(reaches[0].counts)
    sample_s = step_s / samples
    velocity = np.full(((first[-1] + steps[-1]) * samples, 2), np.nan, np.float32)
    position = velocity.copy()
    for start, reach in zip(first, reaches, strict=True):
        rows = slice(start * samples, (start + len(reach.counts)) * samples)
        velocity[rows] = reach.velocity
        position[rows] = sample_s * (np.cumsum(reach.velocity, axis=0) - 0.5 * reach.velocity)
    start_s, stop_s = first * step_s, (first + steps) * step_s
    columns: dict[str, NDArray[Any]] = {
        "start_time": start_s,
        "stop_time": stop_s,
        "movement_time": start_s + step_s * np.array([reach.onset for reach in reaches]),
        "target": np.array([reach.target for reach in reaches]),
        **folds(np.array([reach.target for reach in reaches])),
    }
    sampled = {"rate_hz": 1 / sample_s, "start_s": 0.5 * sample_s}
    units = reaches[0].counts.shape[1]
    return NwbContents(
        identifier=session,
        description="centre-out reaches, converted by tests/benchmarks/monkey_nwb.py from KordingLab/DAD",
        animal=animal,
        subject="macaque",
        spikes=_spike_trains(reaches, first, step_s),
        unit_area=["M1"] * units,
        unit_columns=NwbTable({}, {}),
        observed_s=np.stack([start_s, stop_s], axis=1),
        trials=NwbTable(columns, _DESCRIPTIONS),
        behavior={
            "hand_pos": NwbSeries(position, unit="m", description="from the trial's start", kind="position", **sampled),
            "hand_vel": NwbSeries(velocity, unit="m/s", description="velocity of the hand", **sampled),
        },
    )


def folds(target: NDArray[np.int64]) -> dict[str, NDArray[np.str_]]:
    """What each trial is in each fold: the trials to a target are dealt at random into ten parts."""
    generator = np.random.default_rng(0)
    part = np.empty(len(target), np.int64)
    dealt = 0  # from target to target, so that all parts are of one size
    for one in np.unique(target):
        rows = generator.permutation(np.flatnonzero(target == one))
        part[rows] = (dealt + np.arange(len(rows))) % (2 * FOLDS)
        dealt += len(rows)
    return {
        f"fold_{fold}": np.select(
            [part // 2 == fold, part == (2 * fold + 2) % (2 * FOLDS)], ["test", "validation"], "train"
        )
        for fold in range(FOLDS)
    }


def _spike_trains(reaches: Sequence[Reach], first: NDArray[np.int64], step_s: float) -> SpikeTrains:
    """Spike times, spread evenly within their steps: where in it they fell is not known."""
    trains = []
    for unit in range(reaches[0].counts.shape[1]):
        times = []
        for start, reach in zip(first, reaches, strict=True):
            count = reach.counts[:, unit]
            step = np.repeat(np.arange(len(count)), count)
            place = np.arange(len(step)) - np.repeat(np.cumsum(count) - count, count)
            times.append((start + step + (place + 0.5) / count[step]) * step_s)
        trains.append(np.concatenate(times))
    return SpikeTrains(np.concatenate(trains), np.cumsum([len(train) for train in trains]).astype(np.int64))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder with chewie_demo.mat and mihi_demo.mat")
    parser.add_argument("folder", type=Path, help="where the NWB files go")
    options = parser.parse_args()
    print("\n".join(str(path) for paths in convert(options.source, options.folder).values() for path in paths))
