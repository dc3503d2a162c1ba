"""`ncyber simulate`: run the fitted animal on its own, and do things to it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ncyber_cli.commands.choices import (
    AsJson,
    BatchSize,
    Checkpoint,
    Device,
    Kept,
    OnDevice,
    Overwrite,
    RunFolder,
    Steps,
)

# Options that do something to the animal; those that name many things may be repeated.
_INTERVENTION: dict[str, Any] = {"rich_help_panel": "Interventions", "show_default": False}


class Loop(StrEnum):
    closed = "closed"
    open = "open"


class Part(StrEnum):
    train = "train"
    validation = "validation"
    test = "test"
    all = "all"


def simulate(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="Results file to write (HDF5).", show_default=False)],
    data: Annotated[
        list[str] | None,
        typer.Argument(
            help="Recordings: start where their trials start, with their inputs. Default: start from the prior.",
            show_default=False,
        ),
    ] = None,
    steps: Steps = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Rollouts an animal, without DATA; default 16.", show_default=False)
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Samples of each rollout.")] = 1,
    animal: Annotated[
        list[str] | None, typer.Option(help="Only this animal; may be repeated.", show_default=False)
    ] = None,
    split: Annotated[
        Part | None, typer.Option(help="Which trials of DATA to start from; default test.", show_default=False)
    ] = None,
    from_s: Annotated[
        float | None,
        typer.Option(
            help="Take the trials of DATA over at this many seconds after their aligning event, knowing nothing "
            "recorded later but inputs and forces. Default: from their first bin, inferred from the whole trial.",
            show_default=False,
        ),
    ] = None,
    silence: Annotated[
        list[str] | None,
        typer.Option(
            help="Silence a brain area: its units emit nothing, it sends and receives nothing, and the arm loses the "
            "area's share of the command.",
            metavar="AREA",
            **_INTERVENTION,
        ),
    ] = None,
    cut: Annotated[
        list[str] | None,
        typer.Option(help="Cut the connection from area A to area B.", metavar="A:B", **_INTERVENTION),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="Set the objective: one number a dimension (0.05,-0.02); a CSV file with one line a bin of the trial, "
            "or with a column time_s, in s from the aligning event; trial:ID, what was inferred in that trial of DATA, "
            "sample by sample; or inferred, what was inferred where the rollouts begin. nan leaves it to the prior.",
            **_INTERVENTION,
        ),
    ] = None,
    perturb: Annotated[
        list[str] | None,
        typer.Option(
            help="Add a pulse to a force, stimulation, stimulus or silencing of the spec: force:1.5,0@0.1+0.08 is 1.5 "
            "and 0 in its two columns, from 0.1 s after the aligning event for 0.08 s. :half-sine after it gives it "
            "that shape, with those peaks; default :square. A silencing is one above 0.5.",
            metavar="NAME:V,V@ONSET+DURATION",
            **_INTERVENTION,
        ),
    ] = None,
    body: Annotated[
        list[str] | None,
        typer.Option(
            help="Change the body: mass=x2 is twice the mass that was fitted, mass=2.0 is 2 kg, unknown to the brain; "
            "lag=x2 or lag=0.1 is the muscle's lag in s; noise=x2 is twice the body's noise.",
            metavar="NAME=AMOUNT",
            **_INTERVENTION,
        ),
    ] = None,
    delay: Annotated[
        float | None,
        typer.Option(help="Sensory delay in s, known to the brain.", metavar="SECONDS", **_INTERVENTION),
    ] = None,
    embedding_of: Annotated[
        str | None,
        typer.Option(
            help="Give every brain the embedding of this animal, or, with A:B:0.5, the one half-way from A to B.",
            metavar="ANIMAL",
            **_INTERVENTION,
        ),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            help="Let a Gymnasium environment be the body, ncyber/Reach-v0, or module:Id for one that the module "
            "registers. What of it is the body, the command and the goal stands in the spec under gym; episodes that "
            "end cut their trials short; rewards are written. --objective env takes the goal from the environment.",
            metavar="ID",
            show_default=False,
        ),
    ] = None,
    env_map: Annotated[
        Path | None,
        typer.Option(help="YAML file with a gym: in place of the spec's.", metavar="FILE", show_default=False),
    ] = None,
    loop: Annotated[Loop, typer.Option(help="open: the brain is told nothing of its body.")] = Loop.closed,
    name: Annotated[str, typer.Option(help="What these rollouts are called in the file.")] = "rollout",
    noise: Annotated[
        bool, typer.Option("--noise/--no-noise", help="Noise of brain, body and objective after the first bin.")
    ] = True,
    checkpoint: Checkpoint = Kept.best,
    batch: BatchSize = 64,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same noise, whatever else is set.")] = 0,
    device: OnDevice = Device.auto,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Roll the model out, closed or open loop, and do something to the animal.

    Interventions may be combined and, where they name something, repeated. The same rollouts without them, under the
    same noise, are then written beside them as `baseline`, and the difference is printed.
    """
    from ncyber_cli.pipeline.interventions import Interventions
    from ncyber_cli.pipeline.simulate import SimulateOptions, simulate_run

    simulate_run(
        run,
        data or [],
        out,
        SimulateOptions(
            steps=steps,
            trials=trials,
            samples=samples,
            animals=tuple(animal or ()),
            split=None if split is None else split.value,
            from_s=from_s,
            interventions=Interventions(
                silence=tuple(silence or ()),
                cut=tuple(cut or ()),
                objective=objective,
                perturb=tuple(perturb or ()),
                body=tuple(body or ()),
                delay_s=delay,
                embedding_of=embedding_of,
            ),
            closed=loop is Loop.closed,
            name=name,
            noise=noise,
            env=env,
            env_map=env_map,
            checkpoint=checkpoint.value,
            batch=batch,
            seed=seed,
            device=device.value,
            overwrite=overwrite,
        ),
        as_json=as_json,
    )
