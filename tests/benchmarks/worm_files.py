"""Worms as files that ncyber reads: windows to train on, and a window that ends at each frame to forecast from.

The recordings are no part of the project: folder NCYBER_REAL_DATA, or ../shared/data beside the checkout.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from timed_command import ROOT

WORMS = Path(os.environ.get("NCYBER_REAL_DATA", ROOT.parent / "shared" / "data")) / "worm_whole_brain"
FRAME_S = 0.6
TRAINING, FRAMES = 560, 800  # frames that may be fitted, and all: the last 240 are only ever scored
HISTORY, AHEAD = 40, 20  # frames of a window before and after the one it is forecast from
_STRIDE = 20  # frames from one training window to the next
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Worm:
    name: str
    activity: Floats  # (frame, neuron)
    label: list[str]  # NeuroPAL identity, or a name of the neuron's own
    held_out: NDArray[np.bool_]  # (neuron,), a quarter by seed


def read_worms(seed: int) -> list[Worm]:
    """Every worm of the folder, in the order of its name; `seed` draws the neurons that are held out."""
    identities = _identities()
    worms = []
    for index, path in enumerate(sorted(WORMS.glob("*-data.h5"))):
        name = path.name.removesuffix("-data.h5")
        with h5py.File(path) as file:
            activity = file["gcamp/trace_array"][()].astype(np.float64)
        n_neuron = activity.shape[1]
        label = _told_apart(name, [identities.get((name, neuron), "") for neuron in range(n_neuron)])
        held_out = np.zeros(n_neuron, np.bool_)
        held_out[np.random.default_rng([seed, index]).permutation(n_neuron)[: n_neuron // 4]] = True
        worms.append(Worm(name, activity, label, held_out))
    return worms


def _identities() -> dict[tuple[str, int], str]:
    """Labels without a question mark, by recording and neuron."""
    with (WORMS / "neuron_labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {
        (row["recording"], int(row["trace_index_1based"]) - 1): row["label"] for row in rows if "?" not in row["label"]
    }


def _told_apart(worm: str, labels: Sequence[str]) -> list[str]:
    """Labels that name one neuron; those that name two, and neurons without any, go by their number."""
    return [label if label and labels.count(label) == 1 else f"{worm}_{neuron}" for neuron, label in enumerate(labels)]


def pasts(activity: Floats, origins: NDArray[np.int64]) -> Floats:
    """(origin, HISTORY, neuron): the frames up to each origin."""
    past: Floats = activity[origins[:, None] + np.arange(1 - HISTORY, 1)]
    return past


def write_training(folder: Path, worm: Worm, until: int) -> Path:
    """Windows over the first `until` frames, and no later frame."""
    last = until - HISTORY - AHEAD
    return _write(folder, worm, worm.activity[:until], np.unique(np.append(np.arange(0, last, _STRIDE), last)))


def write_origins(folder: Path, worm: Worm, origins: NDArray[np.int64]) -> Path:
    """For each frame of `origins` a window of HISTORY frames that ends with it, and the AHEAD frames after it."""
    return _write(folder, worm, worm.activity, origins - HISTORY + 1)


def _write(folder: Path, worm: Worm, activity: Floats, start: NDArray[np.int64]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{worm.name}.h5"
    with h5py.File(path, "w") as file:
        file["activity"] = activity.astype(np.float32)
        file["label"] = worm.label
        file["held_out"] = worm.held_out
        file["windows/start_time"] = start * FRAME_S
        file["windows/stop_time"] = (start + HISTORY + AHEAD) * FRAME_S
    return path
