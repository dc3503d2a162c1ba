"""`ncyber compare`: how the animals of a run differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ncyber_cli.commands.choices import AsJson, Checkpoint, Device, Kept, OnDevice, Overwrite, RunFolder


def compare(
    run: RunFolder,
    out: Annotated[
        Path | None,
        typer.Option(
            help="JSON file for everything: embeddings of animals and sessions, all modes of each animal's dynamics "
            "and its constants with their uncertainty, and the distances of all pairs.",
            show_default=False,
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option(min=0, max=1000, help="Draws of the embeddings behind each standard deviation.")
    ] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Of the rollouts and the draws.")] = 0,
    checkpoint: Checkpoint = Kept.best,
    device: OnDevice = Device.auto,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Show how the animals of a run differ: embeddings, time constants, frequencies, distances, with uncertainty.

    Time constants and frequencies are those of the linear dynamics that fit rollouts of the animal best; distances are
    of rollouts that begin alike, after Procrustes. Between two animals: ncyber simulate --embedding-of A:B:0.5.
    """
    from ncyber_cli.pipeline.compare import CompareOptions, compare_run

    options = CompareOptions(
        draws=draws, seed=seed, checkpoint=checkpoint.value, device=device.value, overwrite=overwrite
    )
    compare_run(run, out, options, as_json=as_json)
