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
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Set one key of the spec: key.path=value.", show_default=False)
]
