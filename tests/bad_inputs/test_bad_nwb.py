"""Bad NWB files: refused by `validate` and `fit` alike, with exit code 4, the object's path, fault and remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t, h5z
from lab import N_TRIAL, Spoil, assert_refused, explain, ncyber, sound_run, swap

HAND = "processing/behavior/Position/hand_pos"
PUSH = "processing/behavior/Position/push"
TRIALS = "intervals/trials"
SPIKES = "units/spike_times"


def remove(*paths: str) -> Spoil:
    def spoil(file: h5py.File) -> None:
        for path in paths:
            del file[path]

    return spoil


def put(path: str, index: Any, value: float) -> Spoil:
    def spoil(file: h5py.File) -> None:
        file[path][index] = value

    return spoil


def changed(path: str, change: Callable[[Any], Any], **how: Any) -> Spoil:
    """Other values in place of the dataset's."""

    def spoil(file: h5py.File) -> None:
        swap(file, path, change(file[path][()]), **how)

    return spoil


def attribute(path: str, name: str, value: Any) -> Spoil:
    def spoil(file: h5py.File) -> None:
        file[path].attrs[name] = value

    return spoil


def instead(path: str, make: Callable[[h5py.File], Any]) -> Spoil:
    """Another object in its place."""

    def spoil(file: h5py.File) -> None:
        del file[path]
        file[path] = make(file)

    return spoil


def records(values: Any) -> Any:
    return np.zeros(len(values), [("a", "f8"), ("b", "i4")])


def references(path: str, kind: Any) -> Spoil:
    """References to objects, or to regions of them, where numbers are expected."""

    def spoil(file: h5py.File) -> None:
        target = file["units/id"]
        value = target.ref if kind is h5py.ref_dtype else target.regionref[0:2]
        swap(file, path, np.full(file[path].shape, value, dtype=object), dtype=kind)

    return spoil


def outside_storage(file: h5py.File) -> None:
    del file[f"{HAND}/data"]
    file.create_dataset(f"{HAND}/data", (2000, 2), "f8", external=[("/etc/passwd", 0, 32000)])


def outside_source(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((2000, 2), "f8")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (2000, 2))
    del file[f"{HAND}/data"]
    file.create_virtual_dataset(f"{HAND}/data", layout)


def circle(file: h5py.File) -> None:
    del file[f"{HAND}/data"]
    file[f"{HAND}/data"] = h5py.SoftLink(f"/{HAND}/again")
    file[f"{HAND}/again"] = h5py.SoftLink(f"/{HAND}/data")


def dangling(file: h5py.File) -> None:
    gone = file.create_group("gone")
    file["units/electrodes"].attrs["table"] = gone.ref
    del gone, file["gone"]


def unknown_filter(file: h5py.File) -> None:
    """Chunks that say a filter has packed them which nobody has."""
    kept, values = dict(file[f"{HAND}/data"].attrs), file[f"{HAND}/data"][()]
    del file[f"{HAND}/data"]
    how = h5p.create(h5p.DATASET_CREATE)
    how.set_chunk((len(values), 2))
    how.set_filter(32999, h5z.FLAG_OPTIONAL, ())
    made = h5d.create(file.id, f"{HAND}/data".encode(), h5t.IEEE_F64LE, h5s.create_simple(values.shape), how)
    made.write_direct_chunk((0, 0), values.tobytes(), 0)
    file[f"{HAND}/data"].attrs.update(kept)


def no_rows(table: str, *columns: str) -> Spoil:
    def spoil(file: h5py.File) -> None:
        for name in columns:
            swap(file, f"{table}/{name}", file[f"{table}/{name}"][:0])

    return spoil


def unfilled(file: h5py.File) -> None:
    del file[f"{HAND}/data"]
    file.create_dataset(f"{HAND}/data", (1 << 40, 2), "f8")


TEXT = h5py.string_dtype()
FILES: dict[str, tuple[Spoil, str]] = {
    # what is not there
    "no units": (remove("units"), "mouse.nwb: there is no series 'units'; there is: processing/"),
    "no spike times": (remove(SPIKES), "mouse.nwb:/units: has no spike_times; its columns are: quality, electrodes"),
    "no index": (remove(f"{SPIKES}_index"), "mouse.nwb:/units: spike_times has no index; write the units with pynwb"),
    "no ids": (remove("units/id"), "mouse.nwb:/units: has no column id of one number a row"),
    "no trials": (remove(TRIALS), "mouse.nwb: there is no interval table 'trials'"),
    "another name of the trials": (
        lambda file: file.move(TRIALS, "intervals/trails"),
        "mouse.nwb: there is no interval table 'trials'; did you mean trails?",
    ),
    "no such event": (remove(f"{TRIALS}/go_time"), "table 'trials' has no column of times 'go_time'; did you mean"),
    "no hand": (remove(HAND), "mouse.nwb: there is no series 'hand_pos'; there is: processing/behavior/Position/push"),
    "no clock": (remove(f"{HAND}/timestamps"), f"mouse.nwb:/{HAND}: has neither timestamps nor a rate; write one"),
    "no context": (remove(f"{TRIALS}/task"), "inputs.task: there is no trial column 'task'; there is: go_time"),
    "two hands": (
        lambda file: file.copy(HAND, "processing/behavior/hand_pos"),
        f"'hand_pos' names 2 objects; write the full path: {HAND} or processing/behavior/hand_pos",
    ),
    "units in another form": (instead("units", lambda _: np.arange(3)), "mouse.nwb: there is no series 'units'"),
    # spikes
    "unit ids twice": (put("units/id", 1, 100), "unit id '100' stands 2 times in units; unit ids must be unique"),
    "spikes that descend": (put(SPIKES, 5, 0), "/units/spike_times: spike time 0 s comes after 0.319835 s at index 5"),
    "a spike at NaN": (put(SPIKES, 5, np.nan), "/units/spike_times: spike time is nan at index 5 (unit row 0); remove"),
    "a spike at infinity": (put(SPIKES, 5, np.inf), "/units/spike_times: spike time is inf at index 5 (unit row 0)"),
    "an index past the spikes": (
        put(f"{SPIKES}_index", -1, 9999),
        "/units/spike_times_index: does not cut 1200 values",
    ),
    "an index that falls": (
        put(f"{SPIKES}_index", 3, 5),
        "/units/spike_times_index: does not cut 1200 values into rows",
    ),
    "an index of fractions": (
        changed(f"{SPIKES}_index", lambda ends: ends + 0.5),
        "/units/spike_times_index: does not cut 1200 values into rows; it must ascend within them",
    ),
    "an index of fewer units": (
        changed(f"{SPIKES}_index", lambda ends: ends[:-1]),
        "index does not cut the 1200 spike",
    ),
    "spikes as records": (changed(SPIKES, records), "/units/spike_times: holds records (a, b) of shape (1200,), not a"),
    "spikes as text": (
        changed(SPIKES, lambda times: times.astype("S")),
        "/units/spike_times: holds text of shape (1200,)",
    ),
    "spikes as references": (references(SPIKES, h5py.ref_dtype), "/units/spike_times: holds references to objects"),
    "spikes as regions": (references(SPIKES, h5py.regionref_dtype), "/units/spike_times: holds references to regions"),
    "one spike": (
        changed(SPIKES, lambda times: times[0]),
        "/units/spike_times: holds float64 values of shape (), not a",
    ),
    "spikes in two columns": (
        changed(SPIKES, lambda times: np.stack([times, times], 1)),
        "of shape (1200, 2), not a list",
    ),
    "spikes of nothing": (changed(SPIKES, lambda _: h5py.Empty("f8")), "/units/spike_times: holds nothing, not a list"),
    "units without a row": (
        no_rows("units", "id", "spike_times", "spike_times_index", "quality", "electrodes", "electrodes_index"),
        "mouse.nwb: neural sources share no recorded time; check that they are not empty",
    ),
    "a column of fewer units": (
        changed("units/quality", lambda v: v[:-1]),
        "/units/quality: has 5 values, the table has 6",
    ),
    "observed in one column": (
        lambda file: file.update({"units/obs_intervals": np.arange(12.0), "units/obs_intervals_index": np.arange(6)}),
        "/units/obs_intervals: holds float64 values of shape (12,), not a table of numbers",
    ),
    # areas
    "an electrode past the table": (
        put("units/electrodes", 0, 99),
        "/units/electrodes: names row 99 of a table of 7 rows",
    ),
    "an electrode below zero": (
        changed("units/electrodes", lambda rows: rows.astype(int) - 9),
        "/units/electrodes: names row -9 of a table of 7",
    ),
    "electrodes of fewer units": (
        changed("units/electrodes_index", lambda ends: ends[:-1]),
        "/units: has electrodes of 5 units, the table has 6",
    ),
    "a reference that dangles": (
        dangling,
        "/units/electrodes: refers to no table (attribute `table`); write area: NAME",
    ),
    "a reference to nothing": (attribute("units/electrodes", "table", h5py.Reference()), "refers to no table"),
    "a name for a reference": (attribute("units/electrodes", "table", "electrodes"), "refers to no table"),
    # trials
    "events at NaN": (
        changed(f"{TRIALS}/go_time", lambda times: times * np.nan),
        "no trial of 'trials' is left: of 20, 20 are selected, 0 have finite times, 0 last a bin or more",
    ),
    "events of another day": (
        changed(f"{TRIALS}/go_time", lambda times: times + 1e6),
        "20 last a bin or more, 0 of these lie within the recording; check trials.where, trials.align",
    ),
    "events as text": (changed(f"{TRIALS}/go_time", lambda v: v.astype("S")), "has no column of times 'go_time'"),
    "fewer events than trials": (
        changed(f"{TRIALS}/go_time", lambda v: v[:-3]),
        f"/{TRIALS}/go_time: has 17 values, the",
    ),
    "fewer ids than trials": (changed(f"{TRIALS}/id", lambda ids: ids[:-3]), "has 20 values, the table has 17 rows"),
    "ids as records": (changed(f"{TRIALS}/id", records), f"/{TRIALS}: has no column id of one number a row"),
    "trial ids twice": (
        changed(f"{TRIALS}/id", lambda ids: 0 * ids),
        "trial id '0' stands 20 times; give each trial an",
    ),
    "no trial": (
        no_rows(TRIALS, "id", "start_time", "stop_time", "go_time", "task"),
        "no trial of 'trials' is left: of 0, 0 are selected",
    ),
    "a context at infinity": (
        changed(f"{TRIALS}/task", lambda _: np.full(N_TRIAL, np.inf)),
        "inputs.task: a context is infinite in some trial",
    ),
    # behaviour
    "times that repeat": (put(f"{HAND}/timestamps", 7, 0.06), "timestamps: timestamp 7 repeats (0.06 s after 0.06 s)"),
    "times that descend": (
        put(f"{HAND}/timestamps", 7, 0),
        "timestamps: timestamp 7 descends (0 s after 0.06 s); time",
    ),
    "a time at NaN": (
        put(f"{HAND}/timestamps", 7, np.nan),
        f"/{HAND}/timestamps: timestamp 7 is nan; write finite times",
    ),
    "times as text": (
        changed(f"{HAND}/timestamps", lambda t: t.astype("S")),
        f"/{HAND}/timestamps: holds text of shape",
    ),
    "times in two columns": (
        changed(f"{HAND}/timestamps", lambda t: np.stack([t, t], 1)),
        "shape (2000, 2), not a list",
    ),
    "fewer samples than times": (changed(f"{HAND}/data", lambda v: v[:-7]), "has 1993 samples and 2000 timestamps"),
    "time along the other axis": (changed(f"{HAND}/data", lambda v: v.T), "2000 timestamps; write axes: [unit, time]"),
    "three axes": (changed(f"{HAND}/data", lambda v: v[..., None]), f"/{HAND}: has 3 axes, shape (2000, 2, 1); write"),
    "no samples": (changed(f"{HAND}/data", lambda v: v[:0]), f"/{HAND}: holds no samples; name another series"),
    "samples of nothing": (changed(f"{HAND}/data", lambda _: h5py.Empty("f8")), f"/{HAND}: holds no samples"),
    "samples as records": (changed(f"{HAND}/data", records), f"/{HAND}: holds records (a, b) of shape (2000,); name a"),
    "samples as text": (
        changed(f"{HAND}/data", lambda v: v.astype("S")),
        f"/{HAND}: holds text of shape (2000, 2); name",
    ),
    "complex samples": (
        changed(f"{HAND}/data", lambda v: v + 0j),
        f"/{HAND}: holds complex128 values of shape (2000, 2)",
    ),
    "a sample at infinity": (
        put(f"{HAND}/data", (5, 0), np.inf),
        f"/{HAND}/data: value at [5, 0] is infinite; write NaN",
    ),
    "a sample beyond float32": (
        put(f"{HAND}/data", (5, 0), 1e300),
        f"/{HAND}/data: value 1e+300 at [5, 0] is too large",
    ),
    "a conversion of zero": (
        attribute(f"{HAND}/data", "conversion", 0.0),
        f"/{HAND}/data: has conversion 0.0; write a",
    ),
    "a conversion in words": (
        attribute(f"{HAND}/data", "conversion", "one"),
        f"/{HAND}/data: has conversion one; write",
    ),
    "three conversions": (
        attribute(f"{HAND}/data", "conversion", np.ones(3)),
        "has conversion [1. 1. 1.]; write a finite",
    ),
    "an offset at NaN": (attribute(f"{HAND}/data", "offset", np.nan), f"/{HAND}/data: has offset nan; write a finite"),
    "a rate of zero": (attribute(f"{PUSH}/starting_time", "rate", 0.0), f"/{PUSH}: has neither timestamps nor a rate"),
    "a rate in words": (
        attribute(f"{PUSH}/starting_time", "rate", "fast"),
        f"/{PUSH}: has neither timestamps nor a rate",
    ),
    "a start at NaN": (changed(f"{PUSH}/starting_time", lambda _: np.nan), f"/{PUSH}/starting_time: starts at nan s"),
    "two starts": (
        changed(f"{PUSH}/starting_time", lambda _: np.zeros(2)),
        "starting_time: holds float64 values of shape",
    ),
    # the file itself
    "a link out of the folder": (
        instead("units", lambda _: h5py.ExternalLink("/etc/passwd", "/x")),
        "mouse.nwb:units: an external link leads out of the file's folder, to /etc/passwd; copy the data into the file",
    ),
    "storage out of the folder": (outside_storage, "external storage leads out of the file's folder, to /etc/passwd"),
    "a source out of the folder": (outside_source, "an external link leads out of the file's folder, to /etc/other.h5"),
    "a link to no HDF5": (
        instead("units", lambda _: h5py.ExternalLink("mouse.yaml", "/x")),
        "mouse.yaml, which cannot be read as HDF5",
    ),
    "links in a circle": (
        circle,
        "mouse.nwb: there is no series 'hand_pos'; there is: processing/behavior/Position/push",
    ),
    "an unknown filter": (
        unknown_filter,
        f"mouse.nwb:{HAND}/data: is compressed by filter 32999, which is not installed",
    ),
    "a size that cannot be": (
        unfilled,
        f"mouse.nwb:{HAND}/data: declares 1.759e+04 GB and stores 0 bytes; the file was",
    ),
    "no end of groups": (
        lambda file: file.create_group("/".join("g" * 300)),
        "/g/g/g/...: nests groups deeper than 100",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_refused(case: str, here: Path) -> None:
    spoil, said = FILES[case]
    with h5py.File("mouse.nwb", "r+") as file:
        spoil(file)
    assert_refused(ncyber("validate", "mouse.yaml"), 4, said)
    assert_refused(ncyber("fit", "mouse.yaml", "--out", "new", "--dry-run"), 4, said)
    looked = ncyber("inspect", "mouse.nwb", "--quality")
    assert looked.code in (0, 4), explain(looked)  # what can be shown is shown


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda whole: b"", "mouse.nwb: is not an HDF5 file; ncyber reads NWB and HDF5; convert other formats first"),
        (lambda whole: b"hello", "mouse.nwb: is not an HDF5 file"),
        (
            lambda whole: whole[: len(whole) // 2],
            "mouse.nwb: cannot be read as HDF5 (Unable to synchronously open file (",
        ),
    ],
    ids=["empty", "text", "half"],
)
def test_what_is_no_hdf5_is_refused(content: Callable[[bytes], bytes], said: str, here: Path) -> None:
    (here / "mouse.nwb").write_bytes(content((here / "mouse.nwb").read_bytes()))
    for command in (
        ["validate", "mouse.yaml"],
        ["inspect", "mouse.nwb"],
        ["infer", "run", "mouse.nwb", "--out", "x.h5"],
    ):
        assert_refused(ncyber(*command), 4, said)


def test_everything_is_told_at_once(here: Path) -> None:
    with h5py.File("mouse.nwb", "r+") as file:
        put(SPIKES, 5, np.nan)(file)
        put(f"{HAND}/timestamps", 7, np.nan)(file)
        attribute(f"{PUSH}/data", "conversion", 0.0)(file)
        changed(f"{TRIALS}/id", lambda ids: ids[:-3])(file)
    ended = ncyber("validate", "mouse.yaml")
    assert ended.code == 4
    places = ["units/spike_times", f"{HAND}/timestamps", f"{PUSH}/data", f"{TRIALS}/"]
    for place, line in zip(places, ended.out.splitlines(), strict=True):
        assert line.startswith(f"error: mouse.nwb:/{place}")
        assert "; " in line  # the remedy


NAMES = ["../../etc/" + "мышь" * 50, "\x1b[31mred\u202e"]  # out of the folder and too long; steering the terminal


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:12]))
def test_whatever_an_animal_is_called_results_lie_where_they_were_asked_for(name: str, here: Path) -> None:
    with h5py.File("mouse.nwb", "r+") as file:
        swap(file, "general/subject/subject_id", np.bytes_(name.encode()))
    sound_run(here / "named", here / "mouse.nwb")
    before = {*here.parent.iterdir(), *here.iterdir()}
    ended = ncyber("infer", "named", "mouse.nwb", "--out", "x.h5", "--nwb", "nwb")
    assert ended.code == 0, explain(ended)
    shown = ncyber("inspect", "mouse.nwb")
    assert shown.code == 0, explain(shown)
    for letter in "\0\x1b\u202e":
        assert letter not in ended.out + shown.out
    assert {*here.parent.iterdir(), *here.iterdir()} == before | {here / "x.h5", here / "nwb"}
    assert len(list((here / "nwb").iterdir())) == 1
