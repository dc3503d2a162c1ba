"""Rates of other models, read from HDF5 in the layout of `ncyber infer` and matched to recordings by name.

/animals/<animal>/<session>/    trial_id (trial), unit_id (unit), and of one file or another split, time_s
    rates/mean                  (trial, time, unit), expected observation a bin; NaN: nothing is said of it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.numeric import dataset
from ncyber_cli.data.open_hdf5 import open_hdf5
from ncyber_cli.data.recording import SPLIT_NAMES, TEST, TRAIN, Session
from ncyber_cli.errors import DataError
from ncyber_cli.outputs.read_results import check_finished, session_groups, texts
from ncyber_cli.outputs.results_layout import FORMAT, path_part

_LAYOUT = "a file of rates holds /animals/ANIMAL/SESSION/ with trial_id, unit_id and rates/mean (trial, time, unit)"
_SAME_SCALE = 3.0  # a model's mean rate may miss the recorded one by so much before another unit is suspected


def read_rates(
    path: Path, sessions: Sequence[Session], *, counts: bool, remark: Callable[[str], None]
) -> dict[int, NDArray[np.float32]]:
    """Rates (trial, time, unit) of the training trials of those sessions that the file knows, by their index.

    Nothing is kept of all other trials. `counts`: the recordings are spike counts, and so must be the rates.
    `remark` is told what cannot be checked. Raises DataError for what does not fit, and for a file whose model has
    learned from trials that are held out here.
    """
    found = {}
    with open_hdf5(path) as file:
        if file.attrs.get("format") == FORMAT:
            check_finished(file, str(path))
        for index, session in enumerate(sessions):
            name = f"animals/{path_part(session.animal)}/{path_part(session.session)}"
            group = file.get(name)
            if isinstance(group, h5py.Group):
                found[index] = _rates(group, session, f"{path}:/{name}", remark)
                _check_scale(found[index], session, f"{path}:/{name}", counts=counts)
        if not found:
            known = [group.name.removeprefix("/animals/") for group in session_groups(file)]
            wanted = f"{sessions[0].animal}/{sessions[0].session}"
            raise DataError(
                f"holds no rates of {wanted}" + (" or any other session of this fit" if len(sessions) > 1 else ""),
                where=str(path),
                remedy=did_you_mean(wanted, known) if known else _LAYOUT,
            )
    return found


def check_split(taught: Mapping[str, int], session: Session, where: str) -> None:
    """Raise DataError if a teacher has learned from trials that only choose or score here.

    `taught` says of each trial id which part of the split it was for the teacher.
    """
    for trial, part in zip(session.trial_id, session.split.tolist(), strict=True):
        theirs = taught.get(trial, TEST)
        if part > theirs:  # train < validation < test: each may know less than the one before it
            raise DataError(
                f"was fitted with {SPLIT_NAMES[theirs]} trial {trial}, which is a {SPLIT_NAMES[part]} trial here",
                where=where,
                remedy="fit teacher and student with the same data.split",
            )


def _rates(group: h5py.Group, session: Session, where: str, remark: Callable[[str], None]) -> NDArray[np.float32]:
    for name in ("trial_id", "unit_id", "rates/mean"):
        if dataset(group, name) is None:
            raise DataError(f"has no {name}", where=where, remedy=_LAYOUT)
    trial_id, unit_id, values = _names(group["trial_id"]), _names(group["unit_id"]), group["rates/mean"]
    expected = (len(trial_id), session.mask.shape[1], len(unit_id))
    if values.shape != expected:
        what = f"rates/mean has shape {values.shape}, its ids and the recording's bins make it {expected}"
        raise DataError(what, where=where, remedy="give rates on this fit's bins: the same bin_s and window")
    training = np.flatnonzero(session.split == TRAIN)
    trials = rows_of([session.trial_id[trial] for trial in training], trial_id, "trial", where)
    units = rows_of(session.unit_id, unit_id, "unit", where)
    if "split" in group:
        check_split(dict(zip(trial_id, _parts(texts(group["split"]), where), strict=True)), session, where)
    else:
        remark(f"{where} does not say which trials its model was fitted to (dataset split): none may be held out here")
    if "time_s" in group:
        check_times(group["time_s"][()][trials], session, training, where)
    found = np.full(session.observation.shape, np.nan, np.float32)
    found[training] = values[()][trials][:, :, units]
    return found


def _parts(words: Sequence[str], where: str) -> list[int]:
    for word in words:
        if word not in SPLIT_NAMES:
            raise DataError(f"split says {word!r}", where=where, remedy=f"write {', '.join(SPLIT_NAMES)}")
    return [SPLIT_NAMES.index(word) for word in words]


def _names(ids: h5py.Dataset) -> list[str]:
    """Ids as text; other programs number their trials."""
    return texts(ids) if h5py.check_string_dtype(ids.dtype) else [str(name) for name in ids[()].tolist()]


def rows_of(wanted: Sequence[str], known: Sequence[str], what: str, where: str) -> NDArray[np.int64]:
    """Where the teacher has each of the student's trials or units. Raises DataError for one that is not there."""
    rows = {name: row for row, name in enumerate(known)}
    if len(rows) < len(known):
        twice = next(name for name in known if known.count(name) > 1)
        raise DataError(f"names {what} {twice} twice", where=where, remedy=f"give each {what} one row")
    for name in wanted:
        if name not in rows:
            remedy = f"{did_you_mean(name, known)}; give rates of every one, NaN where nothing is known"
            raise DataError(f"has no {what} {name!r}, which this fit trains on", where=where, remedy=remedy)
    return np.array([rows[name] for name in wanted], np.int64)


def check_times(time_s: NDArray[np.float64], session: Session, training: NDArray[np.int64], where: str) -> None:
    """Raise DataError if a teacher's bins, (trial, time) of the training trials, are not the recording's."""
    remedy = "give rates on this fit's bins: the same bin_s, align and window_s"
    if time_s.shape[1] != session.time_s.shape[1]:
        what = f"has {time_s.shape[1]} bins a trial, the recording {session.time_s.shape[1]}"
        raise DataError(what, where=where, remedy=remedy)
    apart = np.abs(time_s - session.time_s[training])
    if (apart > session.bin_s / 2).any():  # NaN, after a trial's end, is not
        what = f"its bins lie up to {np.nanmax(apart):g} s from the recording's"
        raise DataError(what, where=where, remedy=remedy)


def _check_scale(rates: NDArray[np.float32], session: Session, where: str, *, counts: bool) -> None:
    """Raise DataError for infinite rates, and of counts for negative rates and for those in another unit."""
    if np.isinf(rates).any() or (counts and (rates < 0).any()):
        raise DataError("has rates below zero or infinite", where=where, remedy="give expected counts a bin, not logs")
    told = np.isfinite(rates) & session.mask[:, :, None] & np.isfinite(session.observation)
    mean, recorded = (float(values[told].mean()) if told.any() else 0.0 for values in (rates, session.observation))
    if counts and recorded and not 1 / _SAME_SCALE < mean / recorded < _SAME_SCALE:
        what = f"its mean rate is {mean:.3g}, recorded are {recorded:.3g} counts a bin"
        remedy = f"give expected counts a bin; a rate in Hz times {session.bin_s:g} s is one"
        raise DataError(what, where=where, remedy=remedy)
