"""Labels every bin's objective in a results file that is being written, a few trials at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.recording import TRAIN
from ncyber_cli.outputs.clusters import Clusters, fit_clusters
from ncyber_cli.outputs.results_hdf5 import ResultsWriter
from ncyber_cli.outputs.results_layout import NO_CLUSTER, SessionHeader, chunk_shape

_MOST_BINS = 4000  # to fit a mixture to; bins of one trial tell so little anew that more only cost time


def label_objectives(writer: ResultsWriter, headers: Sequence[SessionHeader]) -> None:
    """Write `objectives/cluster` and `objectives/cluster_mean` of sessions whose objectives are written.

    The sessions of an animal share its clusters, which come from its training trials alone, or from all its trials
    where none is a training trial. Sessions without objectives are passed over.
    """
    by_animal: dict[str, list[SessionHeader]] = {}
    for header in headers:
        if "objectives" in header.features and header.features["objectives"].names:
            by_animal.setdefault(header.animal, []).append(header)
    for sessions in by_animal.values():
        objective, trial = _sample(writer, sessions)
        if len(objective):
            clusters = fit_clusters(objective, trial)
            for header in sessions:
                _label(writer, header, clusters)


def _sample(writer: ResultsWriter, sessions: Sequence[SessionHeader]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Objectives of evenly spaced bins, (bin, n_objective), and which trial each is of, counted over sessions."""
    chosen = [header.split == TRAIN for header in sessions]
    if not any(some.any() for some in chosen):
        chosen = [np.ones(len(header.split), bool) for header in sessions]
    n_bin = sum(int(header.mask[some].sum()) for header, some in zip(sessions, chosen, strict=True))
    stride = max(1, -(-n_bin // _MOST_BINS))
    objectives, trials, bins_before, trials_before = [], [], 0, 0
    for header, some in zip(sessions, chosen, strict=True):
        for block, mean in _blocks(writer, header, np.flatnonzero(some)):
            known = _known(header, block, mean)
            taken = slice(-bins_before % stride, None, stride)
            objectives.append(mean[known][taken])
            trials.append(trials_before + known.nonzero()[0][taken])
            bins_before, trials_before = bins_before + int(known.sum()), trials_before + len(block)
    if not objectives:
        return np.empty((0, 0), np.float32), np.empty(0, np.int64)
    return np.concatenate(objectives), np.concatenate(trials)


def _label(writer: ResultsWriter, header: SessionHeader, clusters: Clusters) -> None:
    writer.write_cluster_means(header.animal, header.session, clusters.mean)
    for block, mean in _blocks(writer, header, np.arange(len(header.trial_id))):
        known = _known(header, block, mean)
        labels = np.full(known.shape, NO_CLUSTER)
        labels[known] = clusters.label(mean[known])
        writer.write_clusters(header.animal, header.session, block, labels)


def _known(header: SessionHeader, trials: NDArray[np.int64], mean: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which bins (trial, time) have an objective."""
    known: NDArray[np.bool_] = header.mask[trials] & np.isfinite(mean).all(-1)
    return known


def _blocks(
    writer: ResultsWriter, header: SessionHeader, trials: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """The named trials and their mean objectives (trial, time, n_objective), about one chunk of the file at a time."""
    n_trial, n_bin = header.mask.shape
    rows = chunk_shape(max(1, n_trial), max(1, n_bin), len(header.features["objectives"].names))[0]
    for start in range(0, len(trials), rows):
        block = trials[start : start + rows]
        yield block, writer.read_mean(header.animal, header.session, block, "objectives")
