"""Refits that a verdict needs: proper runs of the same spec, data and budget, kept in a folder and used again."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ncyber_cli.atomic import write_text
from ncyber_cli.data.recording import Session
from ncyber_cli.errors import DataError, UsageError
from ncyber_cli.pipeline.fit import FitRequest, train_run
from ncyber_cli.pipeline.open_run import OpenRun, open_run
from ncyber_cli.pipeline.run_folder import SUMMARY, RunFolder
from ncyber_cli.reporting import Progress
from ncyber_cli.spec import Spec
from ncyber_cli.spec_file import load_spec, spec_text

_SPEC = "spec.yaml"
_MLP = "model.controller={kind: mlp}"
_STILL = "model.objective.prior=jump"  # goals of `mlp` have no axis that could move


@dataclass(frozen=True)
class Refits:
    """The runs beside the one that is judged: its own spec from other seeds, and `mlp` from every seed."""

    seeds: list[OpenRun]
    mlps: list[OpenRun]


def refits(run: OpenRun, folder: Path, sessions: Sequence[Session], seeds: int, progress: Progress) -> Refits:
    """Train what is missing in `folder`: the spec from `seeds` - 1 further seeds, and `mlp` from all of them.

    Raises DataError if a recording of the run is not there, UsageError if the folder holds something else, and what
    training raises; an interrupted refit goes on when evaluate is run again.
    """
    paths = _recordings(run, sessions)
    own = run_seed(run)
    write_text(folder / _SPEC, spec_text(run.spec))
    others = [_refit(run, folder, f"seed{seed}", (), seed, paths, progress) for seed in range(own + 1, own + seeds)]
    moving = run.spec.model.objective is not None and run.spec.model.objective.prior == "moving"
    mlp = (_STILL, _MLP) if moving else (_MLP,)
    mlps = [_refit(run, folder, f"mlp-seed{seed}", mlp, seed, paths, progress) for seed in range(own, own + seeds)]
    return Refits(others, mlps)


def run_seed(run: OpenRun) -> int:
    """The seed a run was begun with; 0 where it has no summary."""
    summary = run.path.parent / SUMMARY
    return int(json.loads(summary.read_text())["provenance"]["seed"]) if summary.exists() else 0


def _refit(
    run: OpenRun,
    folder: Path,
    name: str,
    overrides: tuple[str, ...],
    seed: int,
    paths: Sequence[Path],
    progress: Progress,
) -> OpenRun:
    out = folder / name
    if (out / SUMMARY).exists():
        found = open_run(out, "best", run.device.type)
        _check_same(run, found, load_spec(folder / _SPEC, overrides), seed)
        progress.say(f"using {out}")
        return found
    progress.say(f"training {name}")
    request = FitRequest(
        spec=folder / _SPEC,
        data=tuple(str(path) for path in paths),
        out=out,
        overrides=overrides,
        device=run.device.type,
        seed=seed,
        resume=RunFolder(out).last.exists(),
        command=shlex.join(["ncyber", *sys.argv[1:]]),
    )
    train_run(request, progress)
    return open_run(out, "best", run.device.type)


def _check_same(run: OpenRun, found: OpenRun, wanted: Spec, seed: int) -> None:
    """Raise UsageError if a refit that is there is of another spec, seed or split."""
    parted = [
        what
        for what, here, there in (
            ("spec", _without_files(found.spec), _without_files(wanted)),
            ("seed", run_seed(found), seed),
            ("recordings", found.layout.sessions, run.layout.sessions),
        )
        if here != there
    ]
    if parted:
        remedy = "choose another --out, or remove that folder"
        what = f"is a refit with another {' and another '.join(parted)} than this run's"
        raise UsageError(what, where=str(found.path.parent), remedy=remedy)


def _without_files(spec: Spec) -> dict[str, object]:
    return spec.model_dump(exclude={"data": {"sessions"}})


def _recordings(run: OpenRun, sessions: Sequence[Session]) -> list[Path]:
    """The files the run was fitted to: those that were given, or those that its spec names."""
    given = {session.sha256: session.path for session in sessions}
    named = [Path(name) for name in run.spec.data.sessions]
    if all(known.sha256 in given for known in run.layout.sessions):
        return [given[known.sha256] for known in run.layout.sessions]
    for path in named:
        if not path.exists():
            remedy = "give all recordings of the fit as DATA, or leave the refits out with --no-refit"
            raise DataError("a recording that the run was fitted to is not there", where=str(path), remedy=remedy)
    return named
