"""`ncyber evaluate`: does the objective of a finished run earn its place? Metrics, figures and one page."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ncyber_cli.commands.choices import (
    AsJson,
    Checkpoint,
    Device,
    Kept,
    OnDevice,
    Overwrite,
    Quiet,
    Recordings,
    RunFolder,
)


class Require(StrEnum):
    supported = "supported"


def evaluate(
    run: RunFolder,
    data: Recordings,
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, figures and report.html.", show_default=False)],
    seeds: Annotated[
        int,
        typer.Option(
            min=1, max=20, help="Seeds behind the verdict: the run's own and refits; each also needs an mlp refit."
        ),
    ] = 1,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit/--no-refit",
            help="Train what is missing under OUT/ablations, with the run's own spec, data and budget; without, "
            "nothing is judged against mlp.",
        ),
    ] = True,
    require: Annotated[
        list[Require] | None,
        typer.Option(help="End with exit code 8 unless the verdict on all animals is yes.", show_default=False),
    ] = None,
    checkpoint: Checkpoint = Kept.best,
    device: OnDevice = Device.auto,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say whether the objective earns its place: a report with metrics, figures and a verdict."""
    from ncyber_cli.pipeline.evaluate import EvaluateOptions, evaluate_run

    evaluate_run(
        run,
        data,
        out,
        EvaluateOptions(
            seeds=seeds,
            refit=refit,
            require=tuple(each.value for each in require or ()),
            checkpoint=checkpoint.value,
            device=device.value,
            overwrite=overwrite,
            quiet=quiet,
        ),
        as_json=as_json,
    )
