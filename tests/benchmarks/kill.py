"""kill -9 at moments spread over a whole command, again and again: nothing is lost, nothing half is taken for whole.

    python tests/benchmarks/kill.py [--kills 30] [--work DIR] [--seed 1]

Two thirds of the kills hit `fit` (half of them of a spec with two starts), the others `infer --nwb` of two sessions.
A moment is a share of the CPU time that the uninterrupted command took, one in each equal part of it. A fit is then run
again as the README's line for SLURM does, with --resume if there is a last.pt; infer as it was, with --overwrite if its
results file is there. What it ends with has to be bit-equal to the uninterrupted run: best.pt and last.pt (the state of
optimisers and generators too), metrics.jsonl and summary.json but for times and the command line, every dataset of the
results file, the names of the NWB files. Before that, every file that the killed process left is opened: a checkpoint
loads, a results file is complete. After it no temporary file may be left.

Checkpoints are written every 0.2 s here, not every 30 s, so that kills hit them. Prints JSON; exits 8 unless every kill
passed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from ncyber_cli.outputs.metrics_log import read_metrics
from ncyber_cli.outputs.read_results import read_results
from ncyber_cli.training.checkpoint import load

ROOT = Path(__file__).parents[2]
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_OFTEN = """
import sys
from ncyber_cli.training import starts
starts._SAVE_EVERY_S = 0.2
sys.argv[0] = "ncyber"
from ncyber_cli.cli import main
main()
"""
_SPEC = """
version: 1
data:
  bin_s: 0.04
  trials: {table: trials, align: go_time, window_s: [-0.2, 0.6]}
  neural: [{source: units, kind: spikes, area: from_electrodes}]
  behavior:
    position: {source: hand_pos, unit: m}
    velocity: {source: hand_vel, unit: m/s}
  inputs: {force: {source: external_force, kind: force}}
  held_out: {fraction: 0.2}
  split: {by: trial, validation: 0.1, test: 0.2}
model:
  brain: {kind: residual_mlp, latents: 4, hidden: 16}
  controller: {kind: setpoint}
  objective: {prior: slow}
  body: {kind: point_mass}
  environment: {kind: feedback, delay_s: 0.1}
inference: {hidden: 8, samples: 4}
training: {epochs: 8, batch: 4}
"""
_TIMES = {"seconds", "cpu_s"}


@dataclass(frozen=True)
class Ended:
    code: int
    cpu_s: float
    said: str


def ncyber(words: Sequence[str], folder: Path, kill_at_cpu_s: float = float("inf")) -> Ended:
    """Run a command in a process of its own; kill it once it has used so much CPU time."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _OFTEN, *words]
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said) as process,
    ):
        used = 0.0
        while process.poll() is None:
            used = max(used, _cpu_s(process.pid))
            if used >= kill_at_cpu_s:
                process.kill()
                process.wait()
                break
            time.sleep(0.005)
        said.seek(0)
        return Ended(process.returncode, used, said.read())


def _cpu_s(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * _TICK_S


class Lab:
    """A folder with two recordings, a spec, and what every command ends with when it is left alone."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        done = ncyber(["synth", "reach", "--out", ".", "--animals", "2", "--trials", "16", "--units", "20",
                       "--seed", str(seed)], folder)  # fmt: skip
        assert done.code == 0, done.said
        (folder / "spec.yaml").write_text(_SPEC)
        ncyber([*self.fit("warm", 1), "--set", "training.epochs=1"], folder)  # the recordings are in the cache now
        self.cpu_s: dict[str, float] = {}
        for starts in (1, 2):
            self.cpu_s[f"fit {starts}"] = self._whole(self.fit(f"whole-{starts}", starts))
        self.cpu_s["infer"] = self._whole(self.infer("whole"))

    def _whole(self, words: Sequence[str]) -> float:
        done = ncyber(words, self.folder)
        assert done.code == 0, done.said
        return done.cpu_s

    def fit(self, out: str, starts: int) -> list[str]:
        words = ["fit", "spec.yaml", "reach-1.nwb", "reach-2.nwb", "--out", out, "--device", "cpu"]
        return [*words, "--set", f"training.starts={starts}"]

    def infer(self, out: str) -> list[str]:
        words = ["infer", "whole-1", "reach-1.nwb", "reach-2.nwb", "--out", f"{out}/results.h5", "--device", "cpu"]
        return [*words, "--nwb", f"{out}/nwb", "--batch", "2"]


def killed_fit(lab: Lab, number: int, starts: int, share: float) -> dict[str, Any]:
    """Kill a fit at a share of its time, run it again, and compare."""
    out = lab.folder / f"killed-fit-{number}"
    words = lab.fit(out.name, starts)
    ended = ncyber(words, lab.folder, share * lab.cpu_s[f"fit {starts}"])
    row: dict[str, Any] = {"command": f"fit, {starts} starts", "share": round(share, 3), "killed": _was_killed(ended)}
    row["left"] = sorted(path.name for path in out.glob("*.*")) if out.exists() else []
    row["opens"] = all(_loads(out / name) for name in ("best.pt", "last.pt") if (out / name).exists())
    again = ncyber([*words, *(["--resume"] if (out / "last.pt").exists() else [])], lab.folder)
    row["ended"] = again.code
    if again.code == 0:
        row["different"] = list(different_runs(lab.folder / f"whole-{starts}", out))
    row["partials"] = _partials(out)
    row["passed"] = row["opens"] and again.code == 0 and not row["different"] and not row["partials"]
    if not row["passed"]:
        row["said"] = again.said[-500:]
    return row


def killed_infer(lab: Lab, number: int, share: float) -> dict[str, Any]:
    """Kill infer at a share of its time, run it again, and compare."""
    out = lab.folder / f"killed-infer-{number}"
    words = lab.infer(out.name)
    ended = ncyber(words, lab.folder, share * lab.cpu_s["infer"])
    row: dict[str, Any] = {"command": "infer", "share": round(share, 3), "killed": _was_killed(ended)}
    row["left"] = sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) if out.exists() else []
    row["opens"] = all(_complete(path) for path in out.glob("*.h5"))
    again = ncyber([*words, *(["--overwrite"] if (out / "results.h5").exists() else [])], lab.folder)
    row["ended"] = again.code
    if again.code == 0:
        row["different"] = list(different_results(lab.folder / "whole", out))
    row["partials"] = _partials(out)
    row["passed"] = row["opens"] and again.code == 0 and not row["different"] and not row["partials"]
    if not row["passed"]:
        row["said"] = again.said[-500:]
    return row


def _was_killed(ended: Ended) -> bool:
    return ended.code == -signal.SIGKILL


def _loads(path: Path) -> bool:
    load(path)
    return True


def _complete(path: Path) -> bool:
    with read_results(path):
        return True


def _partials(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.ncyber-partial")]


def different_runs(one: Path, other: Path) -> Iterator[str]:
    """Where two runs part, times and command lines aside."""
    for name in ("best.pt", "last.pt"):
        left, right = load(one / name), load(other / name)
        yield from differences(left.model_state, right.model_state, f"{name}:model")
        yield from differences(left.training, right.training, f"{name}:training")
    logs = [
        [{key: line[key] for key in line.keys() - _TIMES} for line in read_metrics(run / "metrics.jsonl")]
        for run in (one, other)
    ]
    yield from differences(*logs, "metrics.jsonl")
    summaries = [json.loads((run / "summary.json").read_text()) for run in (one, other)]
    for summary in summaries:
        summary["provenance"].pop("command")
    yield from differences(*summaries, "summary.json")
    if (one / "spec.yaml").read_bytes() != (other / "spec.yaml").read_bytes():
        yield "spec.yaml"


def different_results(one: Path, other: Path) -> Iterator[str]:
    """Where what infer has written parts: datasets, attributes but for the command line, NWB files."""
    contents: list[dict[str, Any]] = []
    for folder in (one, other):
        found: dict[str, Any] = {}
        with read_results(folder / "results.h5") as file:
            found |= {f"@{name}": value for name, value in file.attrs.items() if name != "command"}
            file.visititems(lambda name, item, found=found: found.update(_values(name, item)))
        contents.append(found)
    yield from differences(*contents, "results.h5")
    names = [sorted(path.name for path in (folder / "nwb").iterdir()) for folder in (one, other)]
    yield from differences(*names, "nwb")


def _values(name: str, item: Any) -> dict[str, Any]:
    return {name: item[()]} if isinstance(item, h5py.Dataset) else {}


def differences(one: Any, other: Any, path: str) -> Iterator[str]:
    """Paths at which two nested structures are not equal to the bit."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            yield path
        for key in one.keys() & other.keys():
            yield from differences(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            yield path
        for index, (left, right) in enumerate(zip(one, other, strict=False)):
            yield from differences(left, right, f"{path}.{index}")
    elif isinstance(one, torch.Tensor):
        if not torch.equal(one, other):
            yield path
    elif isinstance(one, np.ndarray) and one.dtype.kind == "f":
        if one.shape != other.shape or not np.array_equal(one, other, equal_nan=True):
            yield path
    elif isinstance(one, np.ndarray):
        if not np.array_equal(one, other):
            yield path
    elif one != other:
        yield path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--work", type=Path, default=None)
    parser.add_argument("--seed", type=int, default=1, help="of the recordings and of the moments")
    asked = parser.parse_args()
    work = asked.work or Path(tempfile.mkdtemp(prefix="ncyber-kill-"))
    rng = np.random.default_rng(asked.seed)
    lab = Lab(work / "lab", asked.seed)
    n_fit = asked.kills * 2 // 3
    jobs: list[tuple[int, float]] = []  # starts (0: infer) and share
    for starts, count in ((1, n_fit - n_fit // 2), (2, n_fit // 2), (0, asked.kills - n_fit)):
        jobs += [(starts, (index + rng.uniform()) / count) for index in range(count)]
    rows = []
    for number, (starts, share) in enumerate(jobs):
        row = killed_fit(lab, number, starts, share) if starts else killed_infer(lab, number, share)
        print(json.dumps(row), file=sys.stderr, flush=True)
        rows.append(row)
    passed, killed = sum(row["passed"] for row in rows), sum(row["killed"] for row in rows)
    if asked.work is None:
        shutil.rmtree(work)
    print(json.dumps({"seed": asked.seed, "kills": killed, "passed": passed, "of": len(rows), "rows": rows}, indent=2))
    sys.exit(0 if passed == len(rows) else 8)


if __name__ == "__main__":
    main()
