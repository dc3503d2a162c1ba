"""What benchmark scripts share: options, one JSON object on stdout, and steps that are not made again.

A step leaves its outcome in the folder that --work names; a script that is run again goes on from there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from timed_command import ncyber

Report = dict[str, Any]


def parser(
    doc: str | None, *, seed: int | None, seeds: str = "of the animals and of the fit"
) -> argparse.ArgumentParser:
    """With --set, --work and (unless None, for scripts of many seeds) --seed; `doc` is the script's own."""
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if seed is not None:
        options.add_argument("--seed", type=int, default=seed, help=seeds)
    options.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    options.add_argument("--work", type=Path, help="keep files here, and go on from those that are there")
    return options


def run(
    benchmark: Callable[[argparse.Namespace, Path], Report],
    options: argparse.Namespace,
    passed: Callable[[Report], bool] = lambda report: all(report["passed"].values()),
) -> int:
    """Print the report; the exit status is 8 below a bar."""
    with tempfile.TemporaryDirectory() as scratch:
        report = benchmark(options, options.work or Path(scratch))
    print(json.dumps(report, indent=2))
    return 0 if passed(report) else 8


def synthesised(folder: Path, world: str, *words: str | Path) -> list[Path]:
    """The files of simulated animals."""
    if not folder.exists():
        ncyber("synth", world, "--out", folder, *words)
    return sorted(folder.glob("*.nwb"))


def once(target: Path, arguments: Sequence[str | Path]) -> dict[str, float]:
    """Run a command that makes the folder `target`; what that cost."""
    kept = target.with_suffix(".cost.json")
    if not kept.exists():
        kept.write_text(json.dumps(asdict(ncyber(*arguments))))
    found: dict[str, float] = json.loads(kept.read_text())
    return found


def fitted(run: Path, spec: Path, files: Sequence[Path], settings: Sequence[str], seed: int) -> dict[str, float]:
    """Fit into `run`; what that cost."""
    overrides = [word for setting in settings for word in ("--set", setting)]
    return once(run, ["fit", spec, *files, "--out", run, "--seed", str(seed), "--quiet", "--overwrite", *overrides])


def inferred(path: Path, run: Path, files: Sequence[Path], words: Sequence[str]) -> Path:
    """A results file, made where it is missing or older than its run."""
    if not path.exists() or path.stat().st_mtime < (run / "best.pt").stat().st_mtime:
        ncyber("infer", run, *files, "--out", path, "--overwrite", *words)
    return path
