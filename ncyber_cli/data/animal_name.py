"""What an animal is called: by the spec, by its file, or by its file's name."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from ncyber_cli.data.unit_names import group_name
from ncyber_cli.spec import Data


def animal_name(path: Path, data: Data, written: str) -> str:
    """The name `data.animal_of` has for the file, else what is `written` in the file, else the file's own name."""
    return group_name(_given(path, data) or written or path.stem)


def is_nameless(path: Path, data: Data, subject: str) -> bool:
    """Whether neither the file's subject nor the spec names the animal."""
    return not subject and _given(path, data) is None


def _given(path: Path, data: Data) -> str | None:
    return next((name for pattern, name in data.animal_of.items() if fnmatchcase(path.name, pattern)), None)
