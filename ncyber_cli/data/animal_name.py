"""What an animal is called: by the spec, by its file, or by its file's name."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from ncyber_cli.data.recording import Recording, Session
from ncyber_cli.data.unit_names import group_name
from ncyber_cli.spec import Data


def named_after_file(recorded: Recording | Session) -> bool:
    """Whether neither the spec nor an NWB file named the animal; plain HDF5 has no place for its name."""
    return recorded.path.suffix == ".nwb" and recorded.animal == group_name(recorded.path.stem)


def animal_name(path: Path, data: Data, written: str) -> str:
    """The name `data.animal_of` has for the file, else what is `written` in the file, else the file's own name."""
    chosen = (name for pattern, name in data.animal_of.items() if fnmatchcase(path.name, pattern))
    return group_name(next(chosen, written) or path.stem)
