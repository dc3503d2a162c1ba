"""`ncyber simulate`: the fitted animals on their own, from the prior or from recorded trials, into a results file."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.atomic import refuse_existing, refuse_inputs
from ncyber_cli.errors import NumericalError, UsageError
from ncyber_cli.inference.rollout import rollout
from ncyber_cli.inference.trial_noise import path_noise
from ncyber_cli.outputs.provenance import record_provenance
from ncyber_cli.outputs.results_hdf5 import ResultsWriter
from ncyber_cli.pipeline.effects import COLUMNS as EFFECTS
from ncyber_cli.pipeline.effects import Effects, Values, end_distance, in_words
from ncyber_cli.pipeline.gym_rollout import ENV_COLUMNS, REWARDS, GymWorld
from ncyber_cli.pipeline.interventions import Interventions, Plan, planned
from ncyber_cli.pipeline.open_run import OpenRun, open_run
from ncyber_cli.pipeline.recorded_trials import RecordedTrials
from ncyber_cli.pipeline.scenes import SomeTrials, Source, UsualTrials, check_animals
from ncyber_cli.pipeline.sessions import sessions_of_run
from ncyber_cli.reporting import table
from ncyber_cli.spec_file import resolve_sessions, spec_text, with_gym

_COLUMNS = ["rollout", "animal", "trials", "samples", "steps", "loop"]
_BASELINE = "baseline"  # what rollouts without interventions are called beside those with them
_TRIALS = 16  # rollouts an animal where nothing is recorded to start from


@dataclass(frozen=True)
class SimulateOptions:
    """What can be asked of `simulate` besides the run and the recordings; None is the default that the help names."""

    steps: int | None = None
    trials: int | None = None
    samples: int = 1
    animals: tuple[str, ...] = ()
    split: Literal["train", "validation", "test", "all"] | None = None
    from_s: float | None = None  # recorded trials are taken over at this time after their aligning event
    interventions: Interventions = Interventions()
    closed: bool = True
    name: str = "rollout"
    noise: bool = True
    env: str | None = None  # id of the Gymnasium environment that is the body's world
    env_map: Path | None = None  # YAML file with a `gym` in place of the spec's
    checkpoint: Literal["best", "last"] = "best"
    batch: int = 64
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False


def simulate_run(run: Path, data: Sequence[str], out: Path, options: SimulateOptions, *, as_json: bool = False) -> None:
    """Write rollouts of every animal (or of every session in `data`) and print where they ended.

    With interventions every rollout is there twice: as it is asked for, and without them under the same noise.

    Raises UsageError for options that do not fit the run, CheckpointError, DataError and ResourceError for what
    cannot be read or written, NumericalError for rollouts that are not finite.
    """
    refuse_existing(out, overwrite=options.overwrite)
    opened = open_run(run, options.checkpoint, options.device)
    if options.env_map is not None:
        opened = replace(opened, spec=with_gym(opened.spec, options.env_map))
    with _world(opened, options) as (world, options):
        _simulate(opened, world, run, data, out, options, as_json=as_json)


def _simulate(
    opened: OpenRun,
    world: GymWorld | None,
    run: Path,
    data: Sequence[str],
    out: Path,
    options: SimulateOptions,
    *,
    as_json: bool,
) -> None:
    plans = _plans(opened, options, recorded=bool(data))
    sources, digests = _sources(opened, run, data, options)
    refuse_inputs([out], [opened.path, *map(Path, digests)])
    for source in sources:
        plans[-1].check(source)
    if world is not None:
        world.check(plans[-1], options.interventions)
    provenance = record_provenance(
        ["ncyber", *sys.argv[1:]],
        seed=options.seed,
        spec=spec_text(opened.spec),
        input_sha256={str(opened.path): opened.sha256, **digests},
    )
    with ResultsWriter(
        out, {**provenance.attributes(), "run": str(opened.path)}, overwrite=options.overwrite
    ) as writer:
        rows = [row for source in sources for row in _roll_out(opened, source, plans, world, writer, options)]
    _print(rows, out, as_json=as_json)


@contextmanager
def _world(run: OpenRun, options: SimulateOptions) -> Iterator[tuple[GymWorld | None, SimulateOptions]]:
    """The environment that is asked for, and the options without what it answers for: `--objective env`."""
    env_id, read_goal = options.env, options.interventions.objective == "env"
    if env_id is None:
        for option, asked in (("--objective env", read_goal), ("--env-map", options.env_map is not None)):
            if asked:
                raise UsageError("there is no environment", where=option, remedy="write --env ID, or leave it out")
        yield None, options
        return
    if options.from_s is not None:
        remedy = "leave one of the two out"
        raise UsageError("an environment cannot be taken over part way", where="--from-s", remedy=remedy)
    if read_goal:
        options = replace(options, interventions=replace(options.interventions, objective=None))
    world = GymWorld(run, env_id, read_goal=read_goal)
    try:
        yield world, options
    finally:
        world.close()


def _plans(run: OpenRun, options: SimulateOptions, *, recorded: bool) -> list[Plan]:
    """What is rolled out of each session: where something is done to it, first the same without that."""
    wanted = planned(run, options.name, options.interventions, recorded=recorded)
    if not options.interventions.written():
        return [wanted]
    if options.name == _BASELINE:
        remedy = "choose another name: so are the rollouts without interventions called"
        raise UsageError("is taken", where=f"--name {_BASELINE}", remedy=remedy)
    return [Plan(_BASELINE, run.model), wanted]


def _sources(
    run: OpenRun, folder: Path, data: Sequence[str], options: SimulateOptions
) -> tuple[list[Source], dict[str, str]]:
    """What to roll out, and the sha256 of every recording behind it."""
    animals = check_animals(options.animals, run.layout.animals)
    if not data:
        for option, asked in (("--split", options.split), ("--from-s", options.from_s)):
            if asked is not None:
                what = "there are no recorded trials"
                raise UsageError(what, where=option, remedy="give DATA, or leave it out")
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
    part = options.split or "test"
    return [RecordedTrials(run, session, part, options.steps, options.from_s) for session in chosen], digests


def _roll_out(
    run: OpenRun,
    source: Source,
    plans: Sequence[Plan],
    world: GymWorld | None,
    writer: ResultsWriter,
    options: SimulateOptions,
) -> list[dict[str, Any]]:
    """Write the rollouts of one session, plan by plan; their rows of the table."""
    header, own_bins = source.header, source.own_bins()
    if world is not None:
        header = replace(header, features={**header.features, "rewards": REWARDS})
    names = [f"{plan.name}_{header.animal}_{header.session}" for plan in plans]
    for plan, name in zip(plans, names, strict=True):
        settings = _settings(plan, options) | ({} if world is None else world.settings())
        writer.add_rollout(name, header, samples=options.samples, settings=settings)
    distances: list[list[NDArray[np.float64]]] = [[] for _ in plans]
    effects = Effects(run)
    for some in source.pieces(options.batch):
        for sample in range(options.samples):
            made = [_sample(run, source, some, plan, world, sample, options) for plan in plans]
            for name, values, distance in zip(names, made, distances, strict=True):
                ran = header.mask[some.rows] & _going_on(values)
                _check_finite(values["latents"], ran, name)
                for group, found in values.items():
                    writer.write_samples(name, np.array([sample]), some.rows, group, found[None])
                distance.append(end_distance(run, values, ran))
            if len(made) > 1:
                effects.add(made[0], made[-1], own_bins[some.rows] & _going_on(made[0]) & _going_on(made[-1]))
        if world is not None:
            for plan, name in zip(plans, names, strict=True):
                world.write_ends(plan, writer, name, some.rows)
    trials, steps = header.mask.shape
    row = {"animal": header.animal, "session": header.session, "trials": trials, "samples": options.samples}
    row |= {"steps": steps, "loop": "closed" if options.closed else "open"}
    rows = [{"rollout": name} | row | _ended(run, distance) for name, distance in zip(names, distances, strict=True)]
    if world is not None:
        rows = [row | world.summary(plan) for row, plan in zip(rows, plans, strict=True)]
    rows[-1] |= {"effect": effects.bands()} if len(plans) > 1 else {}
    return rows


def _sample(
    run: OpenRun,
    source: Source,
    some: SomeTrials,
    plan: Plan,
    world: GymWorld | None,
    sample: int,
    options: SimulateOptions,
) -> Values:
    """One sample of some trials under one plan, by group."""
    scene = plan.scene(source, some, seed=options.seed, sample=sample)
    noise = path_noise(run.model, some.keys, source.header.mask.shape[1], options.seed, sample)
    episodes = None
    if world is not None:
        scene, episodes = world.begin(plan, scene, some.keys, seed=options.seed, sample=sample)
    groups = rollout(plan.model, scene, noise, closed=options.closed, noisy=options.noise, plant=episodes)
    values = {group: found.to(torch.float32).cpu().numpy() for group, found in groups.items()}
    values["rates"] = values["rates"][:, :, : len(source.header.unit_id)]
    return values if episodes is None else episodes.cut(values)


def _going_on(values: Values) -> NDArray[np.bool_]:
    """(trial, time): bins before the end of a trial's episode; an environment that there is not ends none."""
    return ~np.isnan(values["rewards"][:, :, 0]) if "rewards" in values else np.ones(values["latents"].shape[:2], bool)


def _settings(plan: Plan, options: SimulateOptions) -> dict[str, str | int | float]:
    settings: dict[str, str | int | float] = {
        "rollout": plan.name,
        "loop": "closed" if options.closed else "open",
        "noise": options.noise,
        "objective": "prior",
    }
    if options.from_s is not None:
        settings["from_s"] = options.from_s
    if plan.name != _BASELINE:
        settings.update(options.interventions.written())
    return settings


def _ended(run: OpenRun, distances: Sequence[NDArray[np.float64]]) -> dict[str, Any]:
    """How far from its objective the body ended on average, where it can be said."""
    every = np.concatenate(distances)
    return {"end_to_objective": float(every.mean()), "unit": run.layout.body_units[0]} if len(every) else {}


def _check_finite(latents: NDArray[np.float32], mask: NDArray[np.bool_], name: str) -> None:
    bad = ~np.isfinite(latents).all(2) & mask
    if bad.any():
        first = int(np.flatnonzero(bad.any(0))[0])
        raise NumericalError(
            f"the model's own dynamics run away from bin {first} on", where=name, remedy="write a smaller --steps"
        )


def _print(rows: list[dict[str, Any]], out: Path, *, as_json: bool) -> None:
    if as_json:
        table([row | {"written": [str(out)]} for row in rows], [], as_json=True)
        return
    ends = [name for name in (*ENV_COLUMNS, "end_to_objective", "unit") if any(name in row for row in rows)]
    table(rows, _COLUMNS + ends)
    changed = [
        {"rollout": row["rollout"], "unit": row.get("unit")} | in_words(row["effect"])
        for row in rows
        if "effect" in row
    ]
    if changed:
        print("\nAgainst baseline under the same noise, median [5 %, 95 %] of trials and samples (rates: share):")
        table(changed, ["rollout", *(name for name in EFFECTS if name in changed[0]), "unit"])
    print(f"wrote {out}")
