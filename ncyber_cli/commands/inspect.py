"""`ncyber inspect`: what recordings hold, and the spec lines that would read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ncyber_cli.checks.holdings import FileHoldings, Holding


def inspect(
    data: Annotated[list[Path], typer.Argument(help="NWB or HDF5 files.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")] = False,
) -> None:
    """Show what recordings hold, and the spec lines that would read them."""
    from ncyber_cli.checks.holdings import holdings

    files = [holdings(path) for path in data]
    if as_json:
        _print_json(files)
        return
    for place, held in enumerate(files):
        print("\n" * (place > 0) + f"{held.path}: {'NWB' if held.nwb else 'HDF5'}, animal {held.animal or 'not named'}")
        _print_text(held)


def _print_text(held: FileHoldings) -> None:
    from ncyber_cli.checks.suggest import spec_lines
    from ncyber_cli.reporting import table

    table([_row(item) for item in held.objects], ["object", "type", "shape", "unit", "rate (Hz)", "columns"])
    print("\nspec lines that would read it (a guess from names and shapes, correct it):\n")
    print("\n".join(spec_lines(held)))


def _print_json(files: list[FileHoldings]) -> None:
    from ncyber_cli.checks.suggest import spec_lines
    from ncyber_cli.reporting import table

    rows = [
        {
            "file": str(held.path),
            "format": "NWB" if held.nwb else "HDF5",
            "animal": held.animal,
            "objects": [
                {
                    "path": item.path,
                    "type": item.kind,
                    "shape": list(item.shape),
                    "unit": item.unit,
                    "rate_hz": item.rate_hz,
                    "columns": list(item.columns),
                }
                for item in held.objects
            ],
            "spec": "\n".join(spec_lines(held)),
        }
        for held in files
    ]
    table(rows, [], as_json=True)


def _row(item: Holding) -> dict[str, str]:
    return {
        "object": item.path,
        "type": item.kind,
        "shape": " x ".join(str(n) for n in item.shape) or "1 value",
        "unit": item.unit,
        "rate (Hz)": f"{item.rate_hz:g}" if item.rate_hz else "",
        "columns": ", ".join(item.columns),
    }
