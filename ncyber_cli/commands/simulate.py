"""`ncyber simulate`: run the fitted animal on its own, with its objective drawn or set by hand."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ncyber_cli.commands.choices import AsJson, BatchSize, Checkpoint, Device, Kept, OnDevice, Overwrite, RunFolder


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
    steps: Annotated[
        int | None,
        typer.Option(min=2, help="Bins of each rollout; default the length of a trial.", show_default=False),
    ] = None,
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
    objective: Annotated[
        str | None,
        typer.Option(
            help="Set the objective: one number a dimension (0.05,-0.02), or a CSV file with one line a bin; "
            "nan leaves it to the prior.",
            show_default=False,
        ),
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
    """Roll the model out, closed or open loop."""
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
            objective=objective,
            closed=loop is Loop.closed,
            name=name,
            noise=noise,
            checkpoint=checkpoint.value,
            batch=batch,
            seed=seed,
            device=device.value,
            overwrite=overwrite,
        ),
        as_json=as_json,
    )
