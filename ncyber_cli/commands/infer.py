"""`ncyber infer`: what a finished run makes of recordings, trial by trial, in one results file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ncyber_cli.commands.choices import Device, Kept


class Sources(StrEnum):
    both = "both"
    neural = "neural"
    behavior = "behavior"


def infer(
    run: Annotated[Path, typer.Argument(help="Folder that ncyber fit wrote.", show_default=False)],
    data: Annotated[list[str], typer.Argument(help="Recordings, files or patterns.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Results file to write (HDF5).", show_default=False)],
    causal: Annotated[
        bool, typer.Option("--causal", help="Each bin from what was recorded up to it, nothing later.")
    ] = False,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="Posterior samples behind means and sds; default the spec's.", show_default=False),
    ] = None,
    sources: Annotated[
        Sources, typer.Option("--from", help="What is seen: neural activity, behavior, or both.")
    ] = Sources.both,
    until_s: Annotated[
        float | None,
        typer.Option(
            help="Forecast: see only the first so many seconds of each trial (from its window's start), the model "
            "runs on by itself after.",
            show_default=False,
        ),
    ] = None,
    nwb: Annotated[
        Path | None, typer.Option(help="Folder for one NWB file a session as well.", show_default=False)
    ] = None,
    checkpoint: Annotated[Kept, typer.Option(help="best.pt or last.pt of the run.")] = Kept.best,
    batch: Annotated[int, typer.Option(min=1, help="Trials at a time; changes speed and memory only.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    device: Annotated[Device, typer.Option(help="auto: the GPU if there is one.")] = Device.auto,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")] = False,
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
