"""A small sound lab: an NWB file, a plain HDF5 file and a run, which the tests of bad inputs spoil one at a time."""

from __future__ import annotations

import contextlib
import functools
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np
import typer
from data.nwb_files import add_position, add_trials, add_units, empty_file, save
from finished_run import finished_run

from ncyber_cli import cli
from ncyber_cli.spec_file import spec_from_text

N_TRIAL, N_UNIT = 20, 6
Spoil = Callable[[h5py.File], None]

NWB_SPEC = """\
version: 1
data:
  sessions: [mouse.nwb]
  bin_s: 0.05
  trials: {align: go_time, window_s: [-0.2, 0.6]}
  neural:
    - {source: units, kind: spikes, area: from_electrodes}
  behavior: {position: {source: hand_pos, unit: m}}
  inputs: {force: {source: push, kind: force}, task: {column: task, kind: context}}
model:
  brain: {kind: residual_mlp, latents: 3, hidden: 8}
  controller: {kind: setpoint}
  body: {kind: point_mass}
inference: {hidden: 8, samples: 3}
"""
HDF5_SPEC = """\
version: 1
data:
  sessions: [worm.h5]
  bin_s: 0.05
  trials: {table: cues, align: go, window_s: [0.0, 0.8]}
  neural:
    - {source: traces, kind: calcium, time: clock, labels: names}
  behavior: {speed: {source: speed, time: clock}}
model:
  brain: {kind: residual_mlp, latents: 3, hidden: 8}
inference: {hidden: 8, samples: 3}
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@functools.cache
def _command() -> Callable[..., Any]:
    """What `cli.app` makes of itself at every call, which takes longer than most of the commands here."""
    return typer.main.get_command(cli.app)


def ncyber(*arguments: str | Path) -> Ended:
    """The command line in this process, from its entry on: what a shell would see."""
    out, err, code, command = io.StringIO(), io.StringIO(), 0, _command()
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(sys, "argv", ["ncyber", *map(str, arguments)]))
        stack.enter_context(mock.patch.object(cli, "app", command))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Ended(code, out.getvalue(), err.getvalue())


def write_nwb(path: Path) -> Path:
    """20 reaches of one mouse: spikes of 6 units in two areas, a hand, pushes, a task."""
    rng = np.random.default_rng(0)
    nwb = empty_file()
    trains = [np.sort(rng.uniform(0, N_TRIAL, 200)) for _ in range(N_UNIT)]
    add_units(nwb, trains, ["M1", "PMd"] * (N_UNIT // 2), quality=["good"] * N_UNIT)
    start_s = np.arange(N_TRIAL, dtype=float)
    add_trials(nwb, start_s, start_s + 0.9, go_time=start_s + 0.3, task=["near", "far"] * (N_TRIAL // 2))
    time_s = np.arange(N_TRIAL * 100) / 100
    add_position(nwb, rng.normal(size=(len(time_s), 2)).cumsum(0) / 100, timestamps=time_s)
    add_position(nwb, 0.1 * rng.normal(size=(len(time_s), 2)), name="push")
    return save(nwb, path)


def write_hdf5(path: Path) -> Path:
    """20 s of 6 traces and a speed on one clock, with a table of cues."""
    rng = np.random.default_rng(0)
    time_s = np.arange(N_TRIAL * 20) / 20
    with h5py.File(path, "w") as file:
        file["clock"] = time_s
        file["traces"] = rng.normal(size=(len(time_s), N_UNIT))
        file["speed"] = rng.normal(size=len(time_s))
        file["names"] = [f"AVA{unit}" for unit in range(N_UNIT)]
        file["cues/go"] = np.arange(N_TRIAL) + 0.1
    return path


def sound_run(folder: Path, recording: Path, text: str = NWB_SPEC) -> Path:
    """A run on the recording, its model at the warm start."""
    spec = spec_from_text(text, "spec").model_dump(mode="json")
    return finished_run(folder, [recording], spec["data"], spec["model"])


def swap(file: h5py.File, path: str, values: Any, **how: Any) -> None:
    """Other values in place of a dataset, its attributes kept."""
    kept = dict(file[path].attrs)
    del file[path]
    file.create_dataset(path, data=values, **how).attrs.update(kept)


def explain(ended: Ended) -> str:
    return f"exit {ended.code}\n{ended.out}\n{ended.err}"


def assert_refused(ended: Ended, code: int, said: str) -> None:
    """The exit code, the message word for word, and no word of an accident."""
    assert ended.code == code, explain(ended)
    assert said in ended.out + ended.err, explain(ended)
    for accident in ("Traceback", "error: unexpected"):
        assert accident not in ended.err, explain(ended)
