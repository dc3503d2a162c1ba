"""`ncyber simulate`: the fitted animals on their own, from the prior or from recorded trials, into a results file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.errors import NumericalError, UsageError
from ncyber_cli.inference.rollout import rollout, set_objective
from ncyber_cli.inference.trial_noise import path_noise
from ncyber_cli.outputs.provenance import record_provenance
from ncyber_cli.outputs.results_hdf5 import ResultsWriter
from ncyber_cli.pipeline.objective_schedule import read_schedule
from ncyber_cli.pipeline.open_run import OpenRun, objective_in_body_units, open_run
from ncyber_cli.pipeline.scenes import RecordedTrials, Source, UsualTrials, check_animals
from ncyber_cli.pipeline.sessions import sessions_of_run
from ncyber_cli.reporting import table
from ncyber_cli.spec import PointMass
from ncyber_cli.spec_file import resolve_sessions, spec_text

_COLUMNS = ["rollout", "animal", "trials", "samples", "steps", "loop"]
_TRIALS = 16  # rollouts an animal where nothing is recorded to start from


@dataclass(frozen=True)
class SimulateOptions:
    """What can be asked of `simulate` besides the run and the recordings; None is the default that the help names."""

    steps: int | None = None
    trials: int | None = None
    samples: int = 1
    animals: tuple[str, ...] = ()
    split: Literal["train", "validation", "test", "all"] | None = None
    objective: str | None = None
    closed: bool = True
    name: str = "rollout"
    noise: bool = True
    checkpoint: Literal["best", "last"] = "best"
    batch: int = 64
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False


def simulate_run(run: Path, data: Sequence[str], out: Path, options: SimulateOptions, *, as_json: bool = False) -> None:
    """Write rollouts of every animal (or of every session in `data`) and print where they ended.

    Raises UsageError for options that do not fit the run, CheckpointError, DataError and ResourceError for what
    cannot be read or written, NumericalError for rollouts that are not finite.
    """
    if Path(out).exists() and not options.overwrite:
        raise UsageError("exists already", where=str(out), remedy="choose another --out, or write --overwrite")
    opened = open_run(run, options.checkpoint, options.device)
    schedule = _schedule(opened, options.objective)
    sources, digests = _sources(opened, run, data, options)
    provenance = record_provenance(
        ["ncyber", *sys.argv[1:]],
        seed=options.seed,
        spec=spec_text(opened.spec),
        input_sha256={str(opened.path): opened.sha256, **digests},
    )
    with ResultsWriter(
        out, {**provenance.attributes(), "run": str(opened.path)}, overwrite=options.overwrite
    ) as writer:
        rows = [_roll_out(opened, source, schedule, writer, options) for source in sources]
    if as_json:
        table([row | {"written": [str(out)]} for row in rows], [], as_json=True)
        return
    ends = [name for name in ("end_to_objective", "unit") if any(name in row for row in rows)]
    table(rows, _COLUMNS + ends)
    print(f"wrote {out}")


def _schedule(run: OpenRun, text: str | None) -> torch.Tensor | None:
    if text is None:
        return None
    objective = run.model.loop.objective
    if objective is None:
        raise UsageError("this run's model has no objective", where="--objective", remedy="leave it out")
    return torch.from_numpy(read_schedule(text, objective.size)).to(objective.mean)


def _sources(
    run: OpenRun, folder: Path, data: Sequence[str], options: SimulateOptions
) -> tuple[list[Source], dict[str, str]]:
    """What to roll out, and the sha256 of every recording behind it."""
    animals = check_animals(options.animals, run.layout.animals)
    if not data:
        if options.split is not None:
            raise UsageError("there are no trials to choose from", where="--split", remedy="give DATA, or leave it out")
        trials = options.trials or _TRIALS
        return [UsualTrials(run, animal, trials, options.steps) for animal in animals], {}
    if options.trials is not None:
        remedy = "leave it out: every chosen trial of DATA is rolled out"
        raise UsageError("--trials is for rollouts without DATA", where="--trials", remedy=remedy)
    sessions = sessions_of_run(run.layout, run.spec, resolve_sessions(run.spec, Path(folder), data))
    chosen = [session for session in sessions if session.animal in animals]
    if not chosen:
        raise UsageError("DATA has no session of it", where=f"--animal {' '.join(options.animals)}", remedy="give one")
    digests = {str(session.path): session.sha256 for session in chosen}
    return [RecordedTrials(run, session, options.split or "test", options.steps) for session in chosen], digests


def _roll_out(
    run: OpenRun, source: Source, schedule: torch.Tensor | None, writer: ResultsWriter, options: SimulateOptions
) -> dict[str, Any]:
    """Write the rollouts of one session; their row of the table."""
    header = source.header
    name = f"{options.name}_{header.animal}_{header.session}"
    writer.add_rollout(name, header, samples=options.samples, settings=_settings(options))
    total, ended = 0.0, 0
    for some in source.pieces(options.batch):
        for sample in range(options.samples):
            scene = source.scene(some, seed=options.seed, sample=sample)
            scene = scene if schedule is None else set_objective(scene, schedule)
            noise = path_noise(run.model, some.keys, scene.input.shape[1], options.seed, sample)
            groups = rollout(run.model, scene, noise, closed=options.closed, noisy=options.noise)
            values = {group: found.to(torch.float32).cpu().numpy() for group, found in groups.items()}
            values["rates"] = values["rates"][:, :, : len(header.unit_id)]
            _check_finite(values["latents"], header.mask[some.rows], name)
            for group, found in values.items():
                writer.write_samples(name, np.array([sample]), some.rows, group, found[None])
            distance = _end_distance(run, values, header.mask[some.rows])
            total, ended = total + float(distance.sum()), ended + len(distance)
    trials, steps = header.mask.shape
    row = {"rollout": name, "animal": header.animal, "session": header.session, "trials": trials}
    row |= {"samples": options.samples, "steps": steps, "loop": "closed" if options.closed else "open"}
    return row | ({"end_to_objective": total / ended, "unit": run.layout.body_units[0]} if ended else {})


def _settings(options: SimulateOptions) -> dict[str, str | int | float]:
    return {
        "rollout": options.name,
        "loop": "closed" if options.closed else "open",
        "noise": options.noise,
        "objective": options.objective or "prior",
    }


def _check_finite(latents: NDArray[np.float32], mask: NDArray[np.bool_], name: str) -> None:
    bad = ~np.isfinite(latents).all(2) & mask
    if bad.any():
        first = int(np.flatnonzero(bad.any(0))[0])
        raise NumericalError(
            f"the model's own dynamics run away from bin {first} on", where=name, remedy="write a smaller --steps"
        )


def _end_distance(run: OpenRun, values: dict[str, NDArray[np.float32]], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How far from its objective each body ends, (trial,); empty where the two have no unit in common."""
    if not (objective_in_body_units(run) and isinstance(run.spec.model.body, PointMass)):
        return np.zeros(0)
    last, trials = mask.shape[1] - 1 - np.argmax(mask[:, ::-1], axis=1), np.arange(len(mask))
    goal = values["objectives"][trials, last]
    gap = values["body"][trials, last, : goal.shape[1]] - goal
    distance: NDArray[np.float64] = np.linalg.norm(gap.astype(np.float64), axis=1)
    return distance
