"""`ncyber adapt`: a new animal in a fitted model, from few trials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ncyber_cli.commands.choices import (
    AsJson,
    Device,
    OnDevice,
    Quiet,
    Recordings,
    ReplaceRun,
    Resume,
    RunFolder,
    resume_or_replace,
)


def adapt(
    run: RunFolder,
    data: Recordings,
    out: Annotated[Path, typer.Option(help="Folder of the new run.", show_default=False)],
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Learn from the first so many training trials of each session; those left over are neither learned "
            "from nor scored. Default: all of them. No validation trials are needed.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes over the trials; default as many as make 120 steps.", show_default=False),
    ] = None,
    curve: Annotated[
        str | None,
        typer.Option(
            help="Besides, compare with fits from scratch at these numbers of trials, e.g. 1,2,4,8: both are scored on "
            "the same test trials. Costs a whole fit for each number.",
            show_default=False,
        ),
    ] = None,
    device: OnDevice = Device.auto,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of trials and the noise.")] = 0,
    resume: Resume = False,
    overwrite: ReplaceRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Learn a new animal's readout, embedding and gains in a finished run; all that animals share stays as it is."""
    from ncyber_cli.pipeline.adapt import AdaptRequest, adapt_run
    from ncyber_cli.pipeline.learning_curve import curve_run, read_numbers

    resume_or_replace(resume=resume, overwrite=overwrite)
    request = AdaptRequest(
        run=run,
        data=tuple(data),
        out=out,
        trials=trials,
        epochs=epochs,
        curve=curve,
        device=device.value,
        seed=seed,
        resume=resume,
        overwrite=overwrite,
        as_json=as_json,
        quiet=quiet,
    )
    if curve is None:
        adapt_run(request)
    else:
        curve_run(request, read_numbers(curve))
