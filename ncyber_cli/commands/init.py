"""`ncyber init`: a commented spec to start from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Template(StrEnum):
    quickstart = "quickstart"
    worm = "worm"
    lorenz = "lorenz"
    switching = "switching"
    lqr = "lqr"
    mixed = "mixed"
    areas = "areas"
    connectome = "connectome"
    oscillators = "oscillators"


def init(
    template: Annotated[
        Template,
        typer.Option(
            help="quickstart: reaching, with a body; worm: calcium in HDF5, continuous; lorenz: brain only; "
            "switching: one of a few goals, exchanged for another now and then; lqr: which costs an animal minimises; "
            "areas: which of several areas speaks to which; "
            "connectome: the same where anatomy knows; mixed: spikes, calcium and field potentials in one model; "
            "oscillators: many animals that differ, without a body."
        ),
    ] = Template.quickstart,
    out: Annotated[Path | None, typer.Option(help="File to write; default standard output.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Write the JSON schema of a spec instead.")] = False,
) -> None:
    """Write a commented spec to start from."""
    text = _schema() if schema else template_text(template)
    if out is None:
        print(text, end="")
        return
    from ncyber_cli.errors import UsageError

    try:
        with out.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError as error:
        raise UsageError("exists already", where=str(out), remedy="choose another --out, or remove the file") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError("has no folder to go to", where=str(out), remedy=f"make {out.parent} first") from error
    typer.echo(f"wrote {out}     next: name your files and signals in it, then ncyber validate {out}", err=True)


def template_text(template: str) -> str:
    """Read a template: in the installed package beside this code, in a source checkout from example_configs."""
    package = Path(__file__).parents[1]
    for folder in (package / "templates", package.parent / "example_configs"):
        if (file := folder / f"{template}.yaml").is_file():
            return file.read_text(encoding="utf-8")
    from ncyber_cli.errors import ResourceError

    raise ResourceError(f"the template {template} is not installed", where=str(package), remedy="install ncyber again")


def _schema() -> str:
    import json

    from ncyber_cli.spec import Spec

    return json.dumps(Spec.model_json_schema(), indent=2) + "\n"
