"""One session in the layout of lfads-torch or of the Neural Latents Benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.absent import read_behavior
from ncyber_cli.data.animal_name import animal_name
from ncyber_cli.data.areas import DEFAULT_AREA
from ncyber_cli.data.benchmark_layouts import SPIKES, BenchmarkFile, Layout
from ncyber_cli.data.check_times import check_counts, check_finite
from ncyber_cli.data.orient import keep_columns
from ncyber_cli.data.recording import NeuralStream, Recording, Sampled
from ncyber_cli.data.unit_names import group_name
from ncyber_cli.errors import DataError
from ncyber_cli.spec import Data


def read_benchmark(file: h5py.File, path: Path, data: Data, sha256: str, layout: Layout) -> Recording:
    """Read the spikes of all units and trials, and the signals that `data` names; see `benchmark_layouts`.

    Raises DataError for an unreadable file, for what the layout needs and the file lacks, and for unusable values.
    """
    held = BenchmarkFile(file, layout, path.name)
    absent: dict[str, str] = {}
    return Recording(
        animal=animal_name(path, data, path.stem),
        session=group_name(path.stem),
        path=path,
        sha256=sha256,
        neural=[_units(held, source.source, source.area) for source in data.neural],
        behavior=read_behavior(data.behavior, lambda source: _sampled(held, source.source, source.columns), absent),
        inputs={
            name: _sampled(held, given.source, given.columns)
            for name, given in data.inputs.items()
            if given.source is not None
        },
        trials=held.trials(data.bin_s),
        absent=absent,
    )


def _units(held: BenchmarkFile, source: str, area: str | None) -> NeuralStream:
    if source != SPIKES:
        raise DataError(
            f"layout {held.layout} has no neural source {source!r}",
            where=held.file_name,
            remedy=f"write source: {SPIKES}",
        )
    counts = held.values(SPIKES)
    check_counts(counts, where=f"{held.file_name}: {SPIKES}")
    ids = [str(unit) for unit in range(counts.shape[-1])]
    return NeuralStream(Sampled(counts, None), ids, [area or DEFAULT_AREA] * len(ids), {"heldout": held.held_out()})


def _sampled(held: BenchmarkFile, source: str, columns: Sequence[int] | None) -> Sampled:
    where = f"{held.file_name}: {source}"
    values: NDArray[Any] = keep_columns(held.values(source), columns, where=where)
    check_finite(values, where=where)
    return Sampled(np.asarray(values), None)
