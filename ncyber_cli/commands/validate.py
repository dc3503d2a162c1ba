"""`ncyber validate`: every problem of a spec, then of its recordings, at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ncyber_cli.commands.choices import Overrides

if TYPE_CHECKING:
    from ncyber_cli.checks.registry import Finding
    from ncyber_cli.spec import Spec

_SPEC_FAILED, _DATA_FAILED = 3, 4


def validate(
    spec: Annotated[Path, typer.Argument(help="The spec, a YAML file.", show_default=False)],
    data: Annotated[
        list[str] | None, typer.Argument(help="Recordings, in place of data.sessions.", show_default=False)
    ] = None,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")] = False,
) -> None:
    """Name every problem of a spec (exit 3) and of its recordings (exit 4) at once."""
    from ncyber_cli.errors import SpecError
    from ncyber_cli.spec_file import load_spec

    try:
        checked = load_spec(spec, overrides or ())
    except SpecError as error:
        if not as_json:
            raise
        _print_json([{"grade": "error", "check": "spec", "what": line} for line in str(error).splitlines()])
        raise typer.Exit(error.exit_code) from error
    findings = _findings(checked, spec, data or [])
    errors = sum(finding.grade == "error" for finding in findings)
    if as_json:
        _print_json([dict(vars(finding)) for finding in findings])
    else:
        for finding in findings:
            print(f"{finding.grade}: {finding.where}: {finding.what}; {finding.remedy}")
        typer.echo(f"{spec}: {errors} errors, {len(findings) - errors} warnings", err=True)
    if any(finding.grade == "error" and finding.check == "spec" for finding in findings):
        raise typer.Exit(_SPEC_FAILED)
    if errors:
        raise typer.Exit(_DATA_FAILED)


def _findings(spec: Spec, spec_path: Path, data: list[str]) -> list[Finding]:
    from ncyber_cli.checks.registry import Finding
    from ncyber_cli.checks.run import check_files
    from ncyber_cli.errors import DataError, UsageError
    from ncyber_cli.pipeline.connectome import with_connectome
    from ncyber_cli.pipeline.teacher import with_teachers
    from ncyber_cli.spec_file import resolve_sessions

    beside: list[Finding] = []
    try:
        with_connectome(spec, spec_path)
        if spec.training.teacher is not None and spec.training.teacher.rates:
            with_teachers(spec, spec_path, (), spec_path)
    except (DataError, UsageError) as error:
        beside = [Finding(error.where, error.what, error.remedy)]
    if not data and not spec.data.sessions:
        typer.echo("no recordings are named, only the spec is checked", err=True)
        return beside
    try:
        paths = resolve_sessions(spec, spec_path, data)
    except DataError as error:
        return [*beside, Finding(error.where, error.what, error.remedy)]
    return beside + list(check_files(paths, spec))


def _print_json(rows: list[dict[str, str]]) -> None:
    from ncyber_cli.reporting import table

    table(rows, [], as_json=True)
