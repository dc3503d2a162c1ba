"""Damaged files of every format that ncyber reads, each given to the commands that read it, in a child process.

A case is one of
    refused   an error with its exit code, which is the format's own
    same      the damage touched nothing that matters: the results are those of the sound file, to the bit
    other     the damage made other valid data of it: sample by sample, what was read is what h5py alone reads in the
              damaged file (values carry no check sum; the results name the hash of the file they are of)
and must never be
    wrong     results that are none of these
    accident  exit code 1, or an exit code of another format
    crash     ended by a signal
    hang      not ended within the limits of `child`
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from child import Outcome, in_child
from damage import damaged, misspelt
from lab import HDF5_SPEC, NWB_SPEC, Ended, ncyber, sound_run, write_hdf5, write_nwb
from numbers_of import Arrays, equal, numbers, same_numbers
from numpy.typing import NDArray

from ncyber_cli.data.read import read_recording
from ncyber_cli.data.recording import Sampled, SpikeTrains
from ncyber_cli.errors import NcyberError
from ncyber_cli.pipeline.sessions import read_sessions
from ncyber_cli.pipeline.taught_rates import read_rates
from ncyber_cli.spec_file import load_spec


@dataclass(frozen=True)
class Format:
    """A file to damage, and what is made of it in the folder where it lies."""

    file: str
    codes: tuple[int, ...]  # of its refusals
    judged: Callable[[Path], dict[str, Any]]  # of the lab's folder: code, what, said


@dataclass(frozen=True)
class Case:
    format: str
    number: int
    how: str
    ended: str
    code: int | None
    detail: str


def make_lab(folder: Path) -> Path:
    """Sound files of every format, and what they give."""
    os.environ["NCYBER_CACHE"] = "off"
    for name, text, write in (("mouse", NWB_SPEC, write_nwb), ("worm", HDF5_SPEC, write_hdf5)):
        suffix = "nwb" if name == "mouse" else "h5"
        write(folder / f"{name}.{suffix}")
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        sound_run(folder / f"{name}-run", folder / f"{name}.{suffix}", text)
        # Trials of a file with another hash are all test trials: so are those of the damaged ones.
        with open(folder / f"{name}.{suffix}", "ab") as file:
            file.write(b"\0")
        _infer(folder, name, suffix, folder / f"{name}-results.h5")
    return folder


def run_case(lab: Path, name: str, seed: int, number: int, folder: Path) -> Case:
    """Damage one file of the lab's as seed and number say, and judge what comes of it."""
    kind = FORMATS[name]
    rng = np.random.default_rng([seed, number, sorted(FORMATS).index(name)])
    here = folder / f"{name}-{number}"
    here.mkdir(parents=True)
    for path in lab.iterdir():
        if path.name != kind.file.split("/")[0]:
            (here / path.name).symlink_to(path)
    (here / kind.file).parent.mkdir(exist_ok=True)
    spoil = misspelt if kind.file.endswith(".yaml") and number % 2 else damaged
    content, how = spoil((lab / kind.file).read_bytes(), rng)
    (here / kind.file).write_bytes(content)
    case = _case(kind, name, number, how, in_child(lambda: kind.judged(lab), here))
    if case.ended in ("refused", "same", "other"):
        shutil.rmtree(here)
    return case


def _case(kind: Format, name: str, number: int, how: str, outcome: Outcome) -> Case:
    said = outcome.said
    if outcome.ended != "done":
        return Case(name, number, how, outcome.ended, None, outcome.detail)
    if "failed" in said:
        return Case(name, number, how, "accident", None, said["failed"])
    code, ended = said["code"], said["what"]
    if ended == "refused" and code not in kind.codes:
        ended = "accident"
    return Case(name, number, how, ended, code, said["said"])


def _refused(ended: Ended) -> dict[str, Any]:
    lines = (ended.err.strip() or ended.out.strip()).splitlines() or [""]
    return {"code": ended.code, "what": "refused", "said": lines[-1][:300]}


def _told(what: str, said: str = "") -> dict[str, Any]:
    return {"code": 0, "what": what, "said": said}


# -- recordings


def _recording(name: str, suffix: str, raw: Callable[[Path], Arrays], read: Callable[[Path], Arrays]) -> Format:
    def judged(lab: Path) -> dict[str, Any]:
        file = Path(f"{name}.{suffix}")
        for command in (["inspect", file, "--quality"], ["validate", f"{name}.yaml"]):
            ended = ncyber(*command)
            if ended.code not in (0, 4):
                return _refused(ended)
        ended = _infer(Path(), name, suffix, Path("results.h5"))
        if ended.code:
            return _refused(ended)
        if same_numbers(numbers(Path("results.h5")), numbers(lab / f"{name}-results.h5")):
            return _told("same")
        now = raw(file)
        if same_numbers(now, raw(lab / file)):
            return _told("wrong", "other results of the same values")
        return (
            _told("other")
            if same_numbers(now, read(file))
            else _told("wrong", "values were read that are not in the file")
        )

    return Format(f"{name}.{suffix}", (4, 6), judged)


def _infer(folder: Path, name: str, suffix: str, out: Path) -> Ended:
    return ncyber("infer", folder / f"{name}-run", folder / f"{name}.{suffix}", "--out", out)


def _raw_nwb(path: Path) -> Arrays:
    """What the spec names, read by its path on the disk."""
    with h5py.File(path) as file:
        hand, push = (file[f"processing/behavior/Position/{name}"] for name in ("hand_pos", "push"))
        found = {
            "spikes": file["units/spike_times"][()],
            "ends": file["units/spike_times_index"][()],
            "hand": hand["data"][()],
            "hand_s": hand["timestamps"][()],
            "push": push["data"][()],
            "push_s": push["starting_time"][()] + np.arange(len(push["data"])) / push["starting_time"].attrs["rate"],
            "go": file["intervals/trials/go_time"][()],
            "task": file["intervals/trials/task"].asstr()[()],
            "trial_id": file["intervals/trials/id"][()].astype(str),
            "unit_id": file["units/id"][()].astype(str),
            "area": _areas(file),
        }
        for name, series in (("hand", hand), ("push", push)):
            about = series["data"].attrs
            scale, offset = about.get("conversion", 1.0), about.get("offset", 0.0)
            if (scale, offset) != (1.0, 0.0):
                found[name] = found[name] * scale + offset
        return found


def _areas(file: h5py.File) -> NDArray[Any]:
    """Where each unit's first electrode lies."""
    ends, rows = file["units/electrodes_index"][()].astype(int), file["units/electrodes"][()].astype(int)
    where = file["general/extracellular_ephys/electrodes/location"].asstr()[()]
    return np.array([where[rows[end]] for end in [0, *ends[:-1]]])


def _read_nwb(path: Path) -> Arrays:
    """The same as ncyber reads it."""
    recording = read_recording(path, load_spec("mouse.yaml").data)
    trains, hand, push = recording.neural[0].activity, recording.behavior["position"], recording.inputs["force"]
    assert isinstance(trains, SpikeTrains)
    assert recording.trials is not None
    return {
        "spikes": trains.times_s,
        "ends": trains.ends,
        "hand": hand.values,
        "hand_s": hand.time_s,
        "push": push.values,
        "push_s": push.time_s,
        "go": recording.trials.columns["go_time"],
        "task": recording.trials.columns["task"],
        "trial_id": np.array(recording.trials.id),
        "unit_id": np.array(recording.neural[0].unit_id),
        "area": np.array(recording.neural[0].area),
    }


def _raw_hdf5(path: Path) -> Arrays:
    with h5py.File(path) as file:
        named = {name: file[name][()] for name in ("clock", "traces", "speed")}
        return {**named, "go": file["cues/go"][()], "names": file["names"].asstr()[()]}


def _read_hdf5(path: Path) -> Arrays:
    recording = read_recording(path, load_spec("worm.yaml").data)
    traces, speed = recording.neural[0].activity, recording.behavior["speed"]
    assert isinstance(traces, Sampled)
    assert recording.trials is not None
    return {
        "clock": traces.time_s,
        "traces": traces.values,
        "speed": speed.values[:, 0],
        "go": recording.trials.columns["go"],
        "names": np.array(recording.neural[0].unit_id),
    }


# -- specs


def _judged_spec(lab: Path) -> dict[str, Any]:
    ended = ncyber("validate", "mouse.yaml")
    if ended.code not in (0, 3, 4):
        return _refused(ended)
    ended = ncyber("fit", "mouse.yaml", "--out", "new", "--dry-run", "--quiet")
    if ended.code:
        return _refused(ended)
    spec = load_spec("mouse.yaml")
    if spec == load_spec(lab / "mouse.yaml"):
        return _told("same")
    written = yaml.load(Path("mouse.yaml").read_text(encoding="utf-8-sig"), yaml.BaseLoader)
    fault = _misread(written, spec.model_dump(mode="json"), "")
    return _told("wrong", fault) if fault else _told("other")


def _misread(written: Any, read: Any, where: str) -> str:
    """The first place where a spec says something else than its text does, word for word; or nothing."""
    if isinstance(written, dict):
        parts = [(key, value, read.get(key) if isinstance(read, dict) else None) for key, value in written.items()]
    elif isinstance(written, list):
        parts = [(n, value, read[n] if isinstance(read, list) else None) for n, value in enumerate(written)]
    else:
        return "" if _means(written, read) else f"{where}: {written!r} was read as {read!r}"
    return next((fault for key, value, now in parts if (fault := _misread(value, now, f"{where}.{key}"))), "")


def _means(word: str, value: Any) -> bool:
    if isinstance(value, bool) or value is None:
        return word in {True: ("true",), False: ("false",), None: ("", "~", "null")}[value]
    return word == value if isinstance(value, str) else float(word) == value


# -- runs and rates


def _judged_checkpoint(lab: Path) -> dict[str, Any]:
    ended = _infer(Path(), "mouse", "nwb", Path("results.h5"))
    if ended.code:
        return _refused(ended)
    same = same_numbers(numbers(Path("results.h5")), numbers(lab / "mouse-results.h5"))
    return _told("same") if same else _told("wrong", "another model")


def _judged_rates(lab: Path) -> dict[str, Any]:
    """A results file of `infer` as a teacher: every rate that is taken over is the sound file's."""
    spec = load_spec("mouse.yaml")
    sessions = read_sessions(spec, [Path("mouse.nwb")])
    sound = read_rates(lab / "mouse-results.h5", sessions, counts=True, remark=lambda _: None)[0]
    try:
        found = read_rates(Path("mouse-results.h5"), sessions, counts=True, remark=lambda _: None)[0]
    except NcyberError as error:
        return {"code": error.exit_code, "what": "refused", "said": str(error)[:300]}
    return _told("same") if equal(found, sound) else _told("wrong", "other rates")


FORMATS = {
    "NWB": _recording("mouse", "nwb", _raw_nwb, _read_nwb),
    "HDF5": _recording("worm", "h5", _raw_hdf5, _read_hdf5),
    "spec": Format("mouse.yaml", (2, 3, 4), _judged_spec),
    "checkpoint": Format("mouse-run/best.pt", (5,), _judged_checkpoint),
    "results": Format("mouse-results.h5", (4,), _judged_rates),
}
