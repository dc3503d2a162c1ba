"""Which units of a session are used, and which of them are decoded but never encoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.binning import spike_rates_hz
from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.grid import Grid
from ncyber_cli.data.recording import NeuralStream, SpikeTrains
from ncyber_cli.data.resample import resampled
from ncyber_cli.data.select import select
from ncyber_cli.data.split import session_generator
from ncyber_cli.errors import DataError, SpecError
from ncyber_cli.spec import HeldOut, NeuralSource, UnitSelection


def choose_units(
    streams: Sequence[NeuralStream],
    sources: Sequence[NeuralSource],
    selection: UnitSelection,
    training: Grid,
    where: str,
) -> list[NDArray[np.int64]]:
    """Rows of the kept units in each stream: `where` holds and the rate of spikes in TRAINING bins reaches the minimum.

    A source's own `where` and that of all units both have to hold. Raises DataError if no unit is left; SpecError for
    a minimum rate where no source has spikes.
    """
    if selection.min_rate_hz > 0 and all(source.kind != "spikes" for source in sources):
        what = f"units.min_rate_hz is a spike rate, {sources[0].source} is {sources[0].kind}"
        raise SpecError(what, where=where, remedy="leave it out")
    chosen = []
    for stream, source in zip(streams, sources, strict=True):
        keep = np.ones(len(stream.unit_id), dtype=np.bool_)
        for rule, place in ((selection.where, "units.where"), (source.where, f"where of {source.source}")):
            if rule is not None and len(keep):
                columns = {**_own_columns(stream), **stream.columns}
                keep &= select(rule, columns, len(keep), where=f"{where}: {place}")
        if selection.min_rate_hz > 0 and source.kind == "spikes" and len(keep):
            keep &= _rates_hz(stream, training, f"{where}: {source.source}") >= selection.min_rate_hz
        chosen.append(np.flatnonzero(keep))
    if not any(len(rows) for rows in chosen):
        n_unit = sum(len(stream.unit_id) for stream in streams)
        raise DataError(
            f"none of {n_unit} units is left",
            where=where,
            remedy="loosen units.where or units.min_rate_hz, or drop the session",
        )
    return chosen


def check_areas(streams: Sequence[NeuralStream], areas: Sequence[str], known: Sequence[str], *, where: str) -> None:
    """Raise DataError unless every unit's area has latents of its own (`known`, the spec's names)."""
    for area in dict.fromkeys(areas):
        if area not in known:
            columns = sorted({name for stream in streams for name in stream.columns})
            raise DataError(
                f"{list(areas).count(area)} units are in area {area!r}, which model.brain.latents does not name",
                where=where,
                remedy=f"{did_you_mean(area, known)}; units columns: {', '.join(columns) or '(there is none)'}; "
                "or leave such units out with units.where",
            )


def held_out_units(
    rule: HeldOut | None,
    unit_id: Sequence[str],
    unit_kind: Sequence[str],
    streams: Sequence[NeuralStream],
    chosen: Sequence[NDArray[np.int64]],
    seed: int,
    session: str,
    where: str,
) -> NDArray[np.bool_]:
    """Which of the kept units are held out, (unit,). A fraction draws at least one of each kind, by seed and session.

    A source without the column holds nothing out where another has it. Listed ids that this session lacks are passed
    over here (other sessions may have them). Raises DataError for a missing or non-boolean column, and if nothing is
    left to encode.
    """
    held = np.zeros(len(unit_id), dtype=np.bool_)
    if rule is None:
        return held
    if rule.fraction:
        order = session_generator(seed, session, "held_out").permutation(len(held))
        for kind in sorted(set(unit_kind)):
            of_kind = order[np.array(unit_kind)[order] == kind]
            held[of_kind[: max(1, round(rule.fraction * len(of_kind)))]] = True
    elif rule.units is not None:
        held = np.isin(np.array(unit_id), rule.units)
    elif rule.column is not None:
        known = any(rule.column in stream.columns for stream in streams)
        parts = [
            np.zeros(len(rows), np.bool_)
            if known and rule.column not in stream.columns
            else _truth(stream, rows, rule.column, where)
            for stream, rows in zip(streams, chosen, strict=True)
        ]
        held = np.concatenate(parts)
    if held.all():
        raise DataError(
            f"all {len(held)} units are held out, none is left to encode", where=where, remedy="hold out fewer"
        )
    return held


def _own_columns(stream: NeuralStream) -> dict[str, NDArray[Any]]:
    return {"unit_id": np.array(stream.unit_id), "area": np.array(stream.area)}


def _truth(stream: NeuralStream, rows: NDArray[np.int64], column: str, where: str) -> NDArray[np.bool_]:
    if column not in stream.columns:
        raise DataError(
            f"there is no units column {column!r} (held_out.column)",
            where=where,
            remedy=did_you_mean(column, stream.columns),
        )
    values = stream.columns[column][rows]
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise DataError(f"units column {column!r} is not true or false", where=where, remedy="name a boolean column")
    return values.astype(np.bool_)


def _rates_hz(stream: NeuralStream, training: Grid, where: str) -> NDArray[np.float64]:
    if isinstance(stream.activity, SpikeTrains):
        return spike_rates_hz(stream.activity, training)
    total = np.zeros(len(stream.unit_id))
    n_bin = np.zeros(len(stream.unit_id))
    for counts in resampled(stream.activity, training, counts=True, where=where):
        total += np.nansum(counts, axis=0)
        n_bin += np.sum(~np.isnan(counts), axis=0)
    return total / np.maximum(n_bin, 1) / training.bin_s
