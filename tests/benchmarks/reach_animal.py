"""One simulated reaching animal as a benchmark sees it: its recording, its truth and what runs inferred, bin by bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.recording import Session
from ncyber_cli.outputs.metrics.nulls import Null
from ncyber_cli.outputs.read_results import read_results, session_groups
from ncyber_cli.pipeline.recovery import predicted
from ncyber_cli.pipeline.sessions import sessions_of_run
from ncyber_cli.training.checkpoint import load
from ncyber_cli.worlds.truth import Truth, read_truth

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
AFTER_GO = 4  # bins: the earliest at which the gate can have opened and the muscle moved anything


@dataclass(frozen=True)
class Inferred:
    """The groups of one results file: means and sds, (trial, time, feature) by group, NaN outside the mask."""

    mean: dict[str, Floats]
    sd: dict[str, Floats]


@dataclass(frozen=True)
class ReachAnimal:
    """A session of a run and the truth on its bins."""

    session: Session
    truth: Truth
    true: dict[str, Floats]  # the truth's series, (trial, time, feature), NaN outside the mask
    events_s: dict[str, Floats]  # the truth's trial columns, (trial,) session time, NaN where nothing happened

    @property
    def name(self) -> str:
        return self.session.animal

    def rows(self, part: int) -> NDArray[np.int64]:
        """Trials of one split."""
        return np.flatnonzero(self.session.split == part)

    def after(self, event_s: Floats, bins: int) -> Mask:
        """Bins (trial, time) from the `bins`-th after an event on; bin 0 is the one that begins with it."""
        since = self.session.time_s - event_s[:, None] - self.session.bin_s * (bins + 0.5)
        return self.session.mask & (since > -1e-6)

    def ended_by(self, event_s: Floats) -> Mask:
        """Bins (trial, time) that have ended when the event happens; none where it never does."""
        end_s = self.session.time_s + 0.5 * self.session.bin_s
        return self.session.mask & (end_s <= event_s[:, None] + 1e-6)

    def null(self, null: Null, target: Floats) -> Floats:
        """A null's prediction of `target`, for every test trial."""
        return predicted(null, self.session, target)


def read_animals(run: Path, files: Sequence[Path]) -> list[ReachAnimal]:
    """The animals of a run, with its split, and their truth."""
    checkpoint = load(run / "best.pt")
    sessions = sessions_of_run(checkpoint.layout, checkpoint.spec, files)
    return [with_truth(session) for session in sessions]


def with_truth(session: Session) -> ReachAnimal:
    """A session made by `ncyber synth reach` with what its file knows."""
    truth = read_truth(session.path)
    go = truth.trials["go_time"]
    rows = np.abs(go[None, :] - session.event_s[:, None]).argmin(1)
    assert np.allclose(go[rows], session.event_s), "trials are not aligned to go_time"
    true = {name: series.at(session.time_s) for name, series in truth.series.items()}
    return ReachAnimal(session, truth, true, {name: values[rows] for name, values in truth.trials.items()})


def read_inferred(path: Path) -> dict[str, Inferred]:
    """A results file by animal; a part that the model lacks is not there."""
    with read_results(path) as file:
        return {
            str(group.attrs["animal"]): Inferred(_all(group, "mean"), _all(group, "sd"))
            for group in session_groups(file)
        }


def _all(session: h5py.Group, moment: str) -> dict[str, Floats]:
    groups = {name: node for name, node in session.items() if isinstance(node, h5py.Group) and moment in node}
    return {name: node[moment][()].astype(np.float64) for name, node in groups.items()}
