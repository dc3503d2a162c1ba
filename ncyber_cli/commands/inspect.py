"""`ncyber inspect`: what recordings hold, what is wrong with them, and the spec lines that would read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ncyber_cli.checks.holding import FileHoldings, Holding
    from ncyber_cli.checks.registry import Finding


def inspect(
    data: Annotated[list[Path], typer.Argument(help="NWB or HDF5 files.", show_default=False)],
    quality: Annotated[
        bool,
        typer.Option(
            "--quality",
            help="Also read the data, by the lines offered: dead or doubled units, refractory violations, drift, "
            "trials without spikes, gaps, missing values.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")] = False,
) -> None:
    """Show what recordings hold, and the spec lines that would read them. Without --quality, metadata alone is read."""
    from ncyber_cli.checks.holdings import holdings

    files = [holdings(path) for path in data]
    findings = [_quality(held) if quality else None for held in files]
    if as_json:
        _print_json(files, findings)
        return
    for place, (held, found) in enumerate(zip(files, findings, strict=True)):
        print("\n" * (place > 0), end="")
        _print_text(held, found)


def _quality(held: FileHoldings) -> list[Finding]:
    """What the checks of `validate` find in the file, read by the lines that are offered for it."""
    from ncyber_cli.checks.registry import Finding
    from ncyber_cli.checks.run import check_files
    from ncyber_cli.checks.suggest import spec_lines
    from ncyber_cli.errors import SpecError
    from ncyber_cli.spec_file import spec_from_text

    lines = ["version: 1", *spec_lines(held)]
    try:
        spec = spec_from_text("\n".join(lines), "lines offered")
    except SpecError as error:
        remedy = "complete the lines, then run `ncyber validate SPEC`"
        return [Finding(str(held.path), f"cannot be read by a guess ({error.what})", remedy)]
    return list(check_files([held.path], spec, quality=True))


def _print_text(held: FileHoldings, findings: list[Finding] | None) -> None:
    from ncyber_cli.checks.suggest import spec_lines
    from ncyber_cli.reporting import table

    about = ["NWB" if held.nwb else "HDF5", f"animal {held.animal or 'not named'}"]
    about += [f"session {held.session}"] * bool(held.session) + [f"started {held.start}"] * bool(held.start)
    print(f"{held.path}: {', '.join(about)}")
    for remark in held.remarks:
        print(f"  {remark}")
    table([_row(item) for item in held.objects], ["object", "type", "shape", "unit", "rate (Hz)", "span (s)", "holds"])
    print("\nspec lines that would read it (a guess from names and shapes, correct it):\n")
    print("\n".join(spec_lines(held)))
    if findings is not None:
        print(f"\nquality: {len(findings) or 'no'} {'remark' if len(findings) == 1 else 'remarks'}")
        for finding in findings:
            print(f"  {finding.where}: {finding.what}; {finding.remedy}")


def _print_json(files: list[FileHoldings], findings: list[list[Finding] | None]) -> None:
    from ncyber_cli.reporting import table

    table([_entry(held, found) for held, found in zip(files, findings, strict=True)], [], as_json=True)


def _entry(held: FileHoldings, findings: list[Finding] | None) -> dict[str, Any]:
    from ncyber_cli.checks.suggest import spec_lines

    return {
        "file": str(held.path),
        "format": "NWB" if held.nwb else "HDF5",
        "animal": held.animal,
        "session": held.session,
        "start": held.start,
        "remarks": held.remarks,
        "objects": [
            {
                "path": item.path,
                "type": item.kind,
                "shape": list(item.shape),
                "unit": item.unit,
                "rate_hz": item.rate_hz,
                "span_s": None if item.span_s is None else list(item.span_s),
                "columns": list(item.columns),
                "areas": item.areas,
            }
            for item in held.objects
        ],
        "spec": "\n".join(spec_lines(held)),
        "quality": None if findings is None else [dict(vars(finding)) for finding in findings],
    }


def _row(item: Holding) -> dict[str, str]:
    areas = ", ".join(f"{area} {count}" for area, count in item.areas.items())
    columns = ", ".join(item.columns)
    return {
        "object": item.path,
        "type": item.kind,
        "shape": " x ".join(str(n) for n in item.shape) or "1 value",
        "unit": item.unit,
        "rate (Hz)": f"{item.rate_hz:g}" if item.rate_hz else "",
        "span (s)": "{:.6g} - {:.6g}".format(*item.span_s) if item.span_s else "",
        "holds": f"{areas}; columns {columns}" if areas and columns else areas or columns,
    }
