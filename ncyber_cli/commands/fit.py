"""`ncyber fit`: recordings and a spec in, a trained model out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ncyber_cli.commands.choices import (
    AsJson,
    Device,
    OnDevice,
    Overrides,
    Quiet,
    ReplaceRun,
    Resume,
    resume_or_replace,
)


def fit(
    spec: Annotated[Path, typer.Argument(help="The spec, a YAML file.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of the run.", show_default=False)],
    data: Annotated[
        list[str] | None, typer.Argument(help="Recordings, in place of data.sessions.", show_default=False)
    ] = None,
    overrides: Overrides = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="A run, or an HDF5 file of rates, to learn from beside the data; again for each of several.",
            show_default=False,
        ),
    ] = None,
    device: OnDevice = Device.auto,
    seed: Annotated[int, typer.Option(min=0, help="Of the weights, the order of trials and the noise.")] = 0,
    resume: Resume = False,
    overwrite: ReplaceRun = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read everything, say what would be trained, write nothing.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a model on recordings of one or several animals."""
    from ncyber_cli.pipeline.fit import FitRequest, run_fit

    resume_or_replace(resume=resume, overwrite=overwrite)
    request = FitRequest(
        spec=spec,
        data=tuple(data or ()),
        out=out,
        overrides=tuple(overrides or ()),
        teachers=tuple(teacher or ()),
        device=device.value,
        seed=seed,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
        as_json=as_json,
        quiet=quiet,
    )
    run_fit(request)
