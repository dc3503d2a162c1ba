"""`ncyber design`: a controller for a given task, tuned on a fitted model that is otherwise frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ncyber_cli.commands.choices import AsJson, Checkpoint, Device, Kept, OnDevice, Quiet, ReplaceRun, RunFolder, Steps


def design(
    run: RunFolder,
    cost: Annotated[
        str,
        typer.Option(
            help="Weights of what a rollout costs, end=1,effort=1e-3. Terms, with L the body's unit of length and U "
            "that of the command: end, squared distance of the last position to the objective (L^2); path, its mean "
            "over the rollout (L^2); effort, mean squared command (U^2); end_speed, squared speed at the end "
            "((L/s)^2); jerk, mean squared change of the actuator in a second ((U/s)^2); time, seconds away from the "
            "objective (s).",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new run.", show_default=False)],
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="A goal: one number a dimension (0.05,-0.02), or a CSV file with one line a bin; repeated, the "
            "controller is tuned for all of them. Default: eight goals a sample, drawn from the prior.",
            show_default=False,
        ),
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option(
            help="What may move, e.g. stiffness,damping; default everything that the controller learns. Its gate and "
            "bound are part of that: a tuned gate need not wait for the animal's go cue.",
            show_default=False,
        ),
    ] = None,
    steps: Steps = None,
    samples: Annotated[int, typer.Option(min=2, help="Noise samples of each goal that are tuned on.")] = 8,
    updates: Annotated[int, typer.Option(min=1, help="Gradient steps.")] = 100,
    learning_rate: Annotated[float, typer.Option(min=1e-6, max=1, help="Size of the first steps.")] = 0.03,
    animal: Annotated[
        list[str] | None,
        typer.Option(
            help="Count only this animal's rollouts; may be repeated. What animals share moves for all.",
            show_default=False,
        ),
    ] = None,
    checkpoint: Checkpoint = Kept.best,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise; samples that are tuned on are not reported on.")] = 0,
    device: OnDevice = Device.auto,
    overwrite: ReplaceRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Tune the controller of a run for a task, everything else frozen; a new run, and its cost before and after."""
    from ncyber_cli.pipeline.design import DesignOptions, design_run

    options = DesignOptions(
        objectives=tuple(objective or ()),
        tune=tuple(name.strip() for name in tune.split(",")) if tune else (),
        steps=steps,
        samples=samples,
        updates=updates,
        learning_rate=learning_rate,
        animals=tuple(animal or ()),
        checkpoint=checkpoint.value,
        seed=seed,
        device=device.value,
        overwrite=overwrite,
        quiet=quiet,
    )
    design_run(run, cost, out, options, as_json=as_json)
