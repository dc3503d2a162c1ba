"""The only door for YAML: a file and its overrides in, a checked Spec or every problem at once out."""

from __future__ import annotations

import difflib
import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ncyber_cli.errors import DataError, SpecError, UsageError
from ncyber_cli.spec import Spec
from ncyber_cli.spec_override import apply_override
from ncyber_cli.spec_problems import dotted, problems
from ncyber_cli.spec_yaml import Document, Problem, parse, scalar

_LARGEST_BYTES = 1_000_000  # a spec is a page; more is a recording given in its place


def load_spec(path: Path | str, overrides: Sequence[str] = ()) -> Spec:
    """Read, override and check a spec.

    Args:
        path: a YAML file.
        overrides: `a.b=value` each, as given to `--set`; the value follows the file's own rules, so that
            `data.trials.window_s=[-0.2, 1.0]` and `data.neural.0.kind=calcium` work.

    Raises:
        SpecError: listing every problem, one a line, as `FILE:LINE:COL key.path: what, what to write`.
    """
    document = parse(_read(Path(path)))
    if document.value is None and not document.problems:
        document.problems.append(Problem("1:1", (), "the file is empty, `ncyber init` writes a spec to start from"))
    elif isinstance(document.value, dict):
        for override in overrides:
            apply_override(document, override)
    elif document.value is not None:
        document.problems.append(Problem("1:1", (), "is not a mapping, write version: 1 and data: at the left edge"))
    return _checked(document, Path(path))


def spec_from_text(text: str, name: str) -> Spec:
    """Check a spec that stands in no file; `name` is what its errors call it. Raises SpecError as `load_spec` does."""
    return _checked(parse(text), Path(name))


def with_gym(spec: Spec, path: Path) -> Spec:
    """The spec with the part `gym` of another YAML file in place of its own.

    Raises:
        SpecError: listing every problem, as `load_spec` does.
    """
    document = parse(_read(path))
    written = document.value if isinstance(document.value, dict) else {}
    document.problems += [
        Problem(document.keys[(key,)], (key,), "is not read here, keep gym alone") for key in written if key != "gym"
    ]
    if "gym" not in written and not document.problems:
        document.problems.append(Problem("1:1", (), "holds no gym, write gym: {observation: ..., action: ...}"))
    document.value = {**spec.model_dump(mode="json", exclude_none=True), "gym": written.get("gym")}
    return _checked(document, path)


def spec_text(spec: Spec) -> str:
    """Write a spec, defaults included, as YAML that `load_spec` reads back to an equal spec."""
    values = _kind_first(spec.model_dump(mode="json", exclude_none=True))
    text: str = yaml.dump(
        values, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120
    )
    return text


def resolve_sessions(spec: Spec, spec_path: Path, data_args: Sequence[str] = ()) -> list[Path]:
    """Find the files of a run: `data_args` (relative to here) where given, else `data.sessions` (relative to the spec).

    Returns:
        Existing files, sorted, each once.

    Raises:
        UsageError: neither names a file.
        DataError: a name or pattern that matches nothing, or matches a folder.
    """
    folder = Path() if data_args else Path(spec_path).parent
    patterns = list(data_args) or spec.data.sessions
    if not patterns:
        raise UsageError("no recordings are named", remedy="write data.sessions in the spec, or give DATA... after it")
    found: dict[Path, Path] = {}
    for pattern in patterns:
        for match in _matches(folder, pattern):
            found.setdefault(match.resolve(), match)
    return sorted(found.values())


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise SpecError("is too large for a spec", where=str(path), remedy="give the YAML first, then the data")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError("is not UTF-8 text", where=str(path), remedy="give the YAML first, then the data") from error
    except OSError as error:
        near = difflib.get_close_matches(path.name, [p.name for p in _siblings(path)], n=1)
        hint = f"did you mean {path.with_name(near[0])}?" if near else "`ncyber init --out spec.yaml` writes a spec"
        raise SpecError(error.strerror or "cannot be read", where=str(path), remedy=hint) from error


def _siblings(path: Path) -> list[Path]:
    return sorted(p for p in path.parent.iterdir() if p != path) if path.parent.is_dir() else []


def _checked(document: Document, path: Path) -> Spec:
    spec = _validated(document)
    if spec is None:
        raise SpecError("\n".join(_line(str(path), problem) for problem in _in_order(document.problems)))
    return spec


def _validated(document: Document) -> Spec | None:
    """Give the spec, or None with `document.problems` complete."""
    if not isinstance(document.value, dict):
        return None
    try:
        spec = Spec.model_validate(document.value)
    except ValidationError as error:
        known = {problem.place for problem in document.problems}
        found = problems(error.errors(include_url=False, include_input=False), document)
        document.problems.extend(problem for problem in found if problem.place not in known)
        return None
    return None if document.problems else spec


def _kind_first(value: Any) -> Any:
    if isinstance(value, list):
        return [_kind_first(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _kind_first(value[key]) for key in sorted(value, key=lambda key: key != "kind")}


def _in_order(found: list[Problem]) -> list[Problem]:
    def position(problem: Problem) -> tuple[bool, list[int]]:
        overridden = problem.place.startswith("--set")
        return overridden, [] if overridden else [int(number) for number in problem.place.split(":")]

    return sorted(found, key=position)


def _line(file: str, problem: Problem) -> str:
    name = dotted(problem.path)
    if problem.place.startswith("--set"):
        where, name = problem.place, "" if problem.place == f"--set {name}" else name
    else:
        where = f"{file}:{problem.place}"
    if not name:
        return f"{where}: {problem.text}"
    return f"{where}{':' if where.startswith('--set') else ''} {name}: {problem.text}"


def _matches(folder: Path, pattern: str) -> list[Path]:
    literal = folder / Path(pattern).expanduser()
    matches = [literal] if literal.exists() else [Path(name) for name in glob.glob(str(literal), recursive=True)]
    if not matches:
        where = literal.parent
        holds = ", ".join(path.name for path in _siblings(literal)[:10]) or ("nothing" if where.is_dir() else "")
        remedy = f"{where} holds {holds}" if holds else f"there is no folder {where}"
        raise DataError("matches no file", where=pattern, remedy=remedy)
    for match in matches:
        if match.is_dir():
            raise DataError("is a folder", where=str(match), remedy=f"write a pattern, e.g. {match}/*.nwb")
    return matches


class _Dumper(yaml.SafeDumper):
    """Quotes every text that the loader would otherwise read as a number, a boolean or nothing."""

    def represent_text(self, text: str) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=None if scalar(text) == text else '"')


_Dumper.add_representer(str, _Dumper.represent_text)
