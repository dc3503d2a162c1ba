"""Choices and options that several commands offer, in the same words."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Kept(StrEnum):
    """Which checkpoint of a run."""

    best = "best"
    last = "last"


RunFolder = Annotated[Path, typer.Argument(help="Folder that ncyber fit wrote.", show_default=False)]
Recordings = Annotated[list[str], typer.Argument(help="Recordings, files or patterns.", show_default=False)]
Checkpoint = Annotated[Kept, typer.Option(help="best.pt or last.pt of the run.")]
Steps = Annotated[
    int | None, typer.Option(min=2, help="Bins of each rollout; default the length of a trial.", show_default=False)
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no remarks.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Trials at a time; changes speed and memory only.")]
OnDevice = Annotated[Device, typer.Option(help="auto: the GPU if there is one.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")]
ReplaceRun = Annotated[bool, typer.Option("--overwrite", help="Replace a run that exists.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Set one key of the spec: key.path=value.", show_default=False)
]


def resume_or_replace(*, resume: bool, overwrite: bool) -> None:
    """Raise UsageError where both are asked for."""
    from ncyber_cli.errors import UsageError

    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other", remedy="give one of them")
