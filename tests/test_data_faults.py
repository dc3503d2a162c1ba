"""Recordings at the edge of what can be fitted, through validate, fit, infer and simulate from the command line.

Either every command works and what it writes is finite, or fit ends with one clear line that validate has said before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ncyber_cli import cli
from ncyber_cli.data.recording import TEST
from ncyber_cli.data.split import split_trials
from ncyber_cli.outputs.read_results import read_results
from ncyber_cli.spec import Split

N_TRIAL, N_BIN, N_UNIT = 20, 12, 6
Arrays = dict[str, Any]

SPEC = """\
version: 1
data:
  sessions: [rat.h5]
  bin_s: 0.05
  neural: [{{source: counts, kind: {kind}, axes: [trial, time, unit]{where}}}]
  behavior: {{position: {{source: position, unit: m, axes: [trial, time, feature]}}}}
  held_out: {{fraction: {held_out}}}
  split: {{validation: {validation}, test: {test}}}
model:
  brain: {{kind: residual_mlp, latents: 2, hidden: 4}}
{body}
inference: {{hidden: 4, samples: 2}}
training: {{epochs: 1, batch: 8}}
"""
BODY = """\
  controller: {kind: setpoint}
  objective: {prior: slow}
  body: {kind: point_mass}"""
KEYS: dict[str, Any] = {"kind": "spikes", "where": "", "held_out": 0.2, "validation": 0.1, "test": 0.2, "body": BODY}


def sound() -> Arrays:
    """Counts and positions of trials that can be fitted."""
    rng = np.random.default_rng(0)
    position = np.cumsum(rng.normal(0, 0.01, (N_TRIAL, N_BIN, 2)), axis=1)
    return {
        "counts": rng.poisson(1.0, (N_TRIAL, N_BIN, N_UNIT)).astype(np.float64),
        "position": position,
        "quality": np.array(["good"] * N_UNIT, dtype=h5py.string_dtype()),
    }


@dataclass(frozen=True)
class Case:
    """A fault and how it ends: `code` 0 works, else fit's exit code, with `told` in what it says."""

    spoil: Callable[[Arrays], Arrays]
    code: int = 0
    told: str = ""
    foreseen: bool = True  # by validate
    keys: tuple[tuple[str, Any], ...] = ()


def put(name: str, where: Any, value: float) -> Callable[[Arrays], Arrays]:
    def spoil(arrays: Arrays) -> Arrays:
        arrays[name][where] = value
        return arrays

    return spoil


def silent_in_training(arrays: Arrays) -> Arrays:
    """A unit that fires in test trials alone."""
    split = split_trials(Split(validation=KEYS["validation"], test=KEYS["test"]), "rat", N_TRIAL)
    arrays["counts"][split != TEST, :, 1] = 0
    return arrays


def kept(trials: Any = slice(None), bins: Any = slice(None), units: Any = slice(None)) -> Callable[[Arrays], Arrays]:
    def spoil(arrays: Arrays) -> Arrays:
        return {
            "counts": arrays["counts"][trials, bins][:, :, units],
            "position": arrays["position"][trials, bins],
            "quality": arrays["quality"][units],
        }

    return spoil


CALCIUM = (("kind", "calcium"),)
NO_HELD_OUT = (("held_out", 0.0),)
CASES = {
    "nothing wrong": Case(lambda arrays: arrays),
    "NaN in counts": Case(put("counts", (3, slice(2, 5), 1), np.nan)),
    "a unit whose counts are all NaN": Case(put("counts", (slice(None), slice(None), 1), np.nan)),
    "a trial whose counts are all NaN": Case(put("counts", 3, np.nan)),
    "infinite counts": Case(put("counts", (3, 2, 1), np.inf), 4, "value at [3, 2, 1] is infinite"),
    "NaN in calcium": Case(put("counts", (3, slice(2, 5), 1), np.nan), keys=CALCIUM),
    "infinite calcium": Case(put("counts", (3, 2, 1), np.inf), 4, "value at [3, 2, 1] is infinite", keys=CALCIUM),
    "NaN in behaviour": Case(put("position", (3, slice(2, 5), 0), np.nan)),
    "behaviour that is all NaN": Case(put("position", slice(None), np.nan), 4, "has no recorded value in any training"),
    "infinite behaviour": Case(put("position", (3, 2, 0), np.inf), 4, "value at [3, 2, 0] is infinite"),
    "a constant channel": Case(put("position", (slice(None), slice(None), 1), 0.3)),
    "no spike at all": Case(put("counts", slice(None), 0)),
    "a unit without spikes": Case(put("counts", (slice(None), slice(None), 1), 0)),
    "a unit without spikes in training": Case(silent_in_training),
    "constant calcium": Case(put("counts", slice(None), 1), keys=CALCIUM),
    "one neuron, which is held out": Case(kept(units=[0]), 4, "all 1 units are held out"),
    "one neuron": Case(kept(units=[0]), keys=NO_HELD_OUT),
    "one trial": Case(kept(trials=[0])),
    "one trial, all of it training": Case(kept(trials=[0]), keys=(("validation", 0.0), ("test", 0.0))),
    "two trials": Case(kept(trials=[0, 1])),
    "trials of one bin, and a body": Case(kept(bins=[0]), 4, "no training trial has two bins that follow"),
    "trials of one bin": Case(kept(bins=[0]), 4, "no training trial has two bins", keys=(("body", ""),)),
    "trials of two bins": Case(kept(bins=[0, 1])),
    "no trial": Case(kept(trials=[]), 4, "of shape (0, 12, 6)"),
    "no bin": Case(kept(bins=[]), 4, "of shape (20, 0, 6)"),
    "no unit": Case(kept(units=[]), 4, "of shape (20, 12, 0)"),
    "every unit left out by where": Case(
        lambda arrays: arrays, 4, "none of 6 units is left", keys=(("where", ', where: "quality == \'bad\'"'),)
    ),
    "no test trial": Case(lambda arrays: arrays, keys=(("test", 0.0),)),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """The command line in this very process: words in, exit code and stderr out."""
    monkeypatch.chdir(tmp_path)

    def ncyber(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ncyber", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0), *capsys.readouterr()

    return ncyber


def assert_finite(path: Path) -> None:
    """Every value of a bin that is there is a number."""
    with read_results(path) as file:
        found: list[Any] = []
        file.visititems(lambda _, item: found.append(item))
        groups = [item for item in found if isinstance(item, h5py.Group) and "mask" in item]
        assert groups
        for group in groups:
            mask = group["mask"][:]
            for part in group.values():
                for statistic in ("mean", "sample"):
                    if isinstance(part, h5py.Group) and statistic in part:
                        values = part[statistic][:]
                        inside = np.broadcast_to(mask[..., None], values.shape)
                        assert np.isfinite(values[inside]).all(), part.name


@pytest.mark.parametrize("name", CASES)
def test_a_fault_in_data_is_told_or_done_without(name: str, tmp_path: Path, here: Any) -> None:
    case = CASES[name]
    with h5py.File(tmp_path / "rat.h5", "w") as file:
        for key, values in case.spoil(sound()).items():
            file[key] = values
    (tmp_path / "spec.yaml").write_text(SPEC.format(**{**KEYS, **dict(case.keys)}))
    foreseen, findings, _ = here("validate", "spec.yaml")
    code, _, err = here("fit", "spec.yaml", "--out", "run", "--device", "cpu", "--quiet")
    assert code == case.code, (findings, err)
    assert foreseen == (case.code if case.foreseen else 0), (findings, err)
    if case.code:
        assert case.told in err
        assert len(err.splitlines()) == 1
        assert not case.foreseen or "error: " in findings
        return
    for words, out in ((("infer", "run", "rat.h5"), "r.h5"), (("simulate", "run", "rat.h5", "--split", "all"), "s.h5")):
        code, _, err = here(*words, "--out", out, "--device", "cpu")
        assert code == 0, err
        assert_finite(tmp_path / out)
