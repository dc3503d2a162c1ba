"""Bad plain HDF5 and bad benchmark files: refused by `validate` and `fit` alike, with the path and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from lab import HDF5_SPEC, N_TRIAL, Spoil, assert_refused, explain, ncyber, swap


def changed(path: str, change: Callable[[Any], Any]) -> Spoil:
    return lambda file: swap(file, path, change(file[path][()]))


def added(**datasets: Any) -> Spoil:
    """New datasets, `__` in their names standing for a slash."""

    def spoil(file: h5py.File) -> None:
        for name, values in datasets.items():
            file[name.replace("__", "/")] = values

    return spoil


def sound(file: h5py.File) -> None:
    """The fault is in the spec."""


def remove(path: str) -> Spoil:
    def spoil(file: h5py.File) -> None:
        del file[path]

    return spoil


def circle(file: h5py.File) -> None:
    del file["traces"]
    file["traces"] = h5py.SoftLink("/again")
    file["again"] = h5py.SoftLink("/traces")


def nobody(file: h5py.File) -> None:
    file.attrs["subject"] = np.zeros(0)


def spec(before: str, after: str) -> str:
    assert before in HDF5_SPEC
    return HDF5_SPEC.replace(before, after)


def benchmark(layout: str) -> str:
    return f"""\
version: 1
data:
  sessions: [worm.h5]
  bin_s: 0.05
  layout: {layout}
  neural: [{{source: spikes, kind: spikes}}]
"""


COUNTS = np.ones((5, 8, 3))
FILES: dict[str, tuple[Spoil, str, str]] = {
    # paths
    "no such path": (
        sound,
        spec("source: traces", "source: trace"),
        "worm.h5: there is no dataset 'trace'; did you mean",
    ),
    "no such clock": (
        sound,
        spec("time: clock, l", "time: clok, l"),
        "there is no dataset 'clok'; did you mean clock?",
    ),
    "no such names": (sound, spec("names", "nams"), "worm.h5: there is no dataset 'nams'; did you mean names?"),
    "a path upwards": (
        sound,
        spec("source: traces", "source: ../traces"),
        "worm.h5: there is no dataset '../traces'; did",
    ),
    "a NUL in a path": (
        sound,
        spec("source: traces", 'source: "a\\0b"'),
        "worm.h5: there is no dataset 'a\\x00b'; there",
    ),
    "a group for a dataset": (
        sound,
        spec("source: traces", "source: cues"),
        "worm.h5: there is no dataset 'cues'; did",
    ),
    "a circle of links": (circle, HDF5_SPEC, "worm.h5: there is no dataset 'traces'; there is: clock, cues/go, names"),
    "no cues": (remove("cues"), HDF5_SPEC, "worm.h5: there is no group 'cues'"),
    "no go": (remove("cues/go"), HDF5_SPEC, "worm.h5:/cues: there is no column 'go'"),
    "no animal": (
        sound,
        spec("  bin_s", "  animal: subject\n  bin_s"),
        "data.animal 'subject' is neither a dataset nor an",
    ),
    "an animal of nothing": (
        nobody,
        spec("  bin_s", "  animal: subject\n  bin_s"),
        "data.animal 'subject' is neither a",
    ),
    # times
    "no times": (
        sound,
        spec(", time: clock, labels: names", ""),
        "/traces: has no times for its 400 samples; write time:",
    ),
    "times of others": (
        changed("clock", lambda t: t[:-5]),
        HDF5_SPEC,
        "/traces: has 400 samples along time, clock has 395",
    ),
    "times that descend": (
        changed("clock", lambda t: t[::-1]),
        HDF5_SPEC,
        "/clock: timestamp 1 descends (19.9 s after",
    ),
    "times at NaN": (
        changed("clock", lambda t: t * np.nan),
        HDF5_SPEC,
        "worm.h5:/clock: timestamp 0 is nan; write finite",
    ),
    "times in two columns": (
        changed("clock", lambda t: np.stack([t, t], 1)),
        HDF5_SPEC,
        "/clock: is not a 1-D column of",
    ),
    "times as text": (
        changed("clock", lambda t: t.astype("S")),
        HDF5_SPEC,
        "worm.h5:/clock: holds <U5 values of shape (400,)",
    ),
    # samples
    "time along the other axis": (
        changed("traces", lambda v: v.T),
        HDF5_SPEC,
        "worm.h5:/traces: has 6 samples along time, clock has 400; write axes in the file's order, e.g. axes: [",
    ),
    "three axes": (
        changed("traces", lambda v: v[..., None]),
        HDF5_SPEC,
        "/traces: has 3 axes, shape (400, 6, 1); write axes",
    ),
    "axes of another file": (
        sound,
        spec("labels: names", "axes: [time]"),
        "/traces: has shape (400, 6), axes say [time]; name every axis once",
    ),
    "one number": (
        changed("traces", lambda v: v[0, 0]),
        HDF5_SPEC,
        "worm.h5:/traces: has 0 axes, shape (); write axes",
    ),
    "no samples": (
        changed("traces", lambda v: v[:0]),
        HDF5_SPEC,
        "worm.h5:/traces: holds float64 values of shape (0, 6)",
    ),
    "nothing at all": (
        changed("traces", lambda v: h5py.Empty("f8")),
        HDF5_SPEC,
        "worm.h5:/traces: holds nothing; name a",
    ),
    "text": (
        changed("traces", lambda v: v.astype("S")),
        HDF5_SPEC,
        "/traces: holds text of shape (400, 6); name a dataset",
    ),
    "records": (
        changed("traces", lambda v: np.zeros(400, [("a", "f8")])),
        HDF5_SPEC,
        "/traces: holds records (a) of shape (400,)",
    ),
    "infinity": (
        changed("traces", lambda v: v * np.inf),
        HDF5_SPEC,
        "worm.h5:/traces: value at [0, 0] is infinite; write",
    ),
    "beyond float32": (
        changed("traces", lambda v: v * 1e300),
        HDF5_SPEC,
        "1.257e+299 at [0, 0] is too large; write NaN",
    ),
    "columns that are not there": (
        sound,
        spec("speed, time: clock", "speed, time: clock, columns: [3]"),
        "/speed: has 1 columns, columns asks for 3",
    ),
    "counts of fractions": (
        sound,
        spec("kind: calcium", "kind: spikes"),
        "/traces: value 0.1257302210933933 at [0, 0] is not a spike count",
    ),
    "a band above the clock": (
        sound,
        spec("kind: calcium", "kind: lfp, band_hz: [1, 50]"),
        "is sampled at 20 Hz, which holds nothing at 50 Hz",
    ),
    "events below zero": (
        sound,
        spec("kind: calcium", "kind: events"),
        "traces: zero_inflated_gamma needs values of zero and more, one is -3.9; write kind: calcium for fluorescence",
    ),
    "nothing recorded": (
        changed("traces", lambda v: v * np.nan),
        HDF5_SPEC,
        "worm.h5: no unit has a recorded value; check the neural source, or drop the file",
    ),
    # units and trials
    "names of fewer units": (
        changed("names", lambda v: v[:-1]),
        HDF5_SPEC,
        "/names: has 5 rows for 6 units; name one with",
    ),
    "electrodes": (
        sound,
        spec("labels: names", "area: from_electrodes"),
        "/traces: plain HDF5 has no electrodes; write area",
    ),
    "an area without latents": (
        sound,
        spec("latents: 3", "latents: {M1: 3}"),
        "6 units are in area 'brain', which model.",
    ),
    "no unit left": (
        sound,
        spec("  behavior", "  units: {where: \"unit_id == 'x'\"}\n  behavior"),
        "worm.h5: none of 6 units is left; loosen",
    ),
    "all held out": (
        sound,
        spec("  behavior", "  held_out: {units: [AVA0, AVA1, AVA2, AVA3, AVA4, AVA5]}\n  behavior"),
        "worm.h5: all 6 units are held out, none is left to encode; hold out fewer",
    ),
    "a held-out unit of nobody": (
        sound,
        spec("  behavior", "  held_out: {units: [AVB]}\n  behavior"),
        "data.held_out.units: no session has unit 'AVB'; there is: AVA0",
    ),
    "columns that differ": (
        added(cues__x=np.zeros(4)),
        HDF5_SPEC,
        "worm.h5:/cues: columns differ in length (go 20, x 4)",
    ),
    "trial ids twice": (
        added(cues__id=np.zeros(N_TRIAL)),
        HDF5_SPEC,
        "worm.h5: trial id '0' stands 20 times; give each",
    ),
    "a split in other words": (
        added(cues__part=["learn"] * N_TRIAL),
        spec("  behavior", "  split: {column: part}\n  behavior"),
        "trial column 'part' says 'learn'; it may say train, validation, test",
    ),
    "trials shorter than a bin": (
        sound,
        spec("bin_s: 0.05", "bin_s: 10"),
        "20 have finite times, 0 last a bin or more",
    ),
    "too many bins": (
        sound,
        spec("bin_s: 0.05", "bin_s: 1e-9"),
        "worm.h5: would be 1.6e+10 bins of 1e-09 s; write a larger data.bin_s or shorter windows, and check that times",
    ),
    "bins beyond counting": (
        sound,
        spec("bin_s: 0.05", "bin_s: 1e-300"),
        "worm.h5: would be 1.6e+301 bins of 1e-300 s",
    ),
    "windows beyond counting": (
        sound,
        spec("window_s: [0.0, 0.8]", "window_s: [0.0, 1e12]"),
        "would be 4e+14 bins of 0.05 s",
    ),
    "a condition on no column": (
        sound,
        spec("align: go", "align: go, where: 'og > 1'"),
        "trials.where: there is no column 'og' in 'og > 1'; there is",
    ),
    # benchmark layouts
    "another file than lfads-torch's": (
        sound,
        benchmark("lfads_torch"),
        "worm.h5: layout lfads_torch needs train_encod_data (trial, time, unit); there is",
    ),
    "another file than nlb_tools'": (
        sound,
        benchmark("nlb"),
        "worm.h5: layout nlb needs train_spikes_heldin (trial, time",
    ),
    "trials of one part alone": (
        added(train_encod_data=COUNTS, train_recon_data=np.ones((4, 8, 4))),
        benchmark("lfads_torch"),
        "worm.h5: spikes: has [4, 0] trials, the encoder's units have [5, 0]",
    ),
    "bins of one part alone": (
        added(train_spikes_heldin=COUNTS, train_spikes_heldout=np.ones((5, 9, 4))),
        benchmark("nlb"),
        "the train_ arrays of spikes differ in shape: (5, 8, 3) and (5, 9, 4); they share trials, and bins or units",
    ),
    "two axes": (
        added(train_encod_data=COUNTS[0]),
        benchmark("lfads_torch"),
        "/train_encod_data: holds float64 values of shape (8, 3)",
    ),
}


def spoilt(row: tuple[Spoil, str, str], here: Path) -> str:
    """A row's spec and file in place; what is to be said of them."""
    spoil, text, said = row
    (here / "worm.yaml").write_text(text)
    with h5py.File("worm.h5", "r+") as file:
        spoil(file)
    return said


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_refused(case: str, here: Path) -> None:
    said = spoilt(FILES[case], here)
    assert_refused(ncyber("validate", "worm.yaml"), 4, said)
    assert_refused(ncyber("fit", "worm.yaml", "--out", "new", "--dry-run"), 4, said)
    looked = ncyber("inspect", "worm.h5", "--quality")
    assert looked.code in (0, 4), explain(looked)


WARNED: dict[str, tuple[Spoil, str, str]] = {
    "trials that stop before they start": (
        added(cues__start_time=np.arange(N_TRIAL), cues__stop_time=np.arange(N_TRIAL) - 1.0),
        HDF5_SPEC,
        "cues.stop_time: 20 of 20 trials stop before they start; mend the table, or write trials.window_s",
    ),
    "contexts of no number": (
        added(cues__speed=np.where(np.arange(N_TRIAL) < 2, np.nan, 1.0)),
        HDF5_SPEC.replace("model:", "  inputs: {speed: {column: speed, kind: context}}\nmodel:"),
        "data.inputs.speed: is NaN in 2 of 20 trials, and taken for 0 there; leave such trials out",
    ),
}


@pytest.mark.parametrize("case", WARNED)
def test_what_runs_and_may_not_be_meant_is_said(case: str, here: Path) -> None:
    said = spoilt(WARNED[case], here)
    ended = ncyber("validate", "worm.yaml")
    assert ended.code == 0, explain(ended)
    assert f"warning: worm.h5:{said}" in ended.out
