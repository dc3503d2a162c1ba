"""`ncyber simulate`: run the fitted animal on its own, with its objective drawn or set by hand."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ncyber_cli.commands.choices import Device, Kept


class Loop(StrEnum):
    closed = "closed"
    open = "open"


class Part(StrEnum):
    train = "train"
    validation = "validation"
    test = "test"
    all = "all"


def simulate(
    run: Annotated[Path, typer.Argument(help="Folder that ncyber fit wrote.", show_default=False)],
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
    checkpoint: Annotated[Kept, typer.Option(help="best.pt or last.pt of the run.")] = Kept.best,
    batch: Annotated[int, typer.Option(min=1, help="Trials at a time; changes speed and memory only.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same noise, whatever else is set.")] = 0,
    device: Annotated[Device, typer.Option(help="auto: the GPU if there is one.")] = Device.auto,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")] = False,
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
