"""`ncyber infer`: what a finished run makes of recordings, trial by trial, in one results file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ncyber_cli.commands.choices import (
    AsJson,
    BatchSize,
    Checkpoint,
    Device,
    Kept,
    OnDevice,
    Overwrite,
    Recordings,
    RunFolder,
)


class Sources(StrEnum):
    both = "both"
    neural = "neural"
    behavior = "behavior"


def infer(
    run: RunFolder,
    data: Recordings,
    out: Annotated[Path, typer.Option(help="Results file to write (HDF5).", show_default=False)],
    causal: Annotated[
        bool, typer.Option("--causal", help="Each bin from what was recorded up to it, nothing later.")
    ] = False,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="Posterior samples behind means and sds; default the spec's.", show_default=False),
    ] = None,
    write_samples: Annotated[
        bool,
        typer.Option(
            "--write-samples",
            help="Also write every posterior sample, as <group>/sample (sample, trial, time, feature); "
            "row k of all groups is one joint draw of the trial. The file grows by the number of samples.",
        ),
    ] = False,
    sources: Annotated[
        Sources, typer.Option("--from", help="What is seen: neural activity, behavior, or both.")
    ] = Sources.both,
    until_s: Annotated[
        float | None,
        typer.Option(
            help="Forecast: see only the first so many seconds of each trial (from its window's start), the model "
            "runs on by itself after. Rates are then what to expect of each unit: with private noise that lasts, what "
            "is left of its own noise is part of them.",
            show_default=False,
        ),
    ] = None,
    nwb: Annotated[
        Path | None, typer.Option(help="Folder for one NWB file a session as well.", show_default=False)
    ] = None,
    checkpoint: Checkpoint = Kept.best,
    batch: BatchSize = 64,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    device: OnDevice = Device.auto,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Infer latents, controls, objectives, rates and body of every trial."""
    from ncyber_cli.pipeline.infer import InferOptions, infer_run

    infer_run(
        run,
        data,
        out,
        InferOptions(
            causal=causal,
            samples=samples,
            write_samples=write_samples,
            sources=sources.value,
            until_s=until_s,
            nwb=nwb,
            checkpoint=checkpoint.value,
            batch=batch,
            seed=seed,
            device=device.value,
            overwrite=overwrite,
        ),
        as_json=as_json,
    )
