"""Reads a results file back: refuses what is foreign, newer or unfinished, then hands over plain HDF5."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from ncyber_cli.data.open_hdf5 import open_hdf5
from ncyber_cli.errors import DataError
from ncyber_cli.outputs.results_layout import FORMAT, FORMAT_VERSION


@contextmanager
def read_results(path: Path) -> Iterator[h5py.File]:
    """The open file, read-only. Raises DataError if it is not a complete results file of this format."""
    with open_hdf5(path) as file:
        if file.attrs.get("format") != FORMAT:
            raise DataError("is not a results file", where=str(path), remedy="give a file that ncyber infer wrote")
        check_finished(file, str(path))
        yield file


def check_finished(file: h5py.File, where: str) -> None:
    """Raise DataError for a results file that a later version wrote, or that was not written to its end."""
    version = int(file.attrs.get("format_version", 0))
    if not 1 <= version <= FORMAT_VERSION:
        what = f"has format version {version}, this ncyber reads up to {FORMAT_VERSION}"
        raise DataError(what, where=where, remedy="update ncyber")
    if not file.attrs.get("complete", False):
        raise DataError("was not finished", where=where, remedy="write it again")


def session_groups(file: h5py.File) -> Iterator[h5py.Group]:
    """Every session's group, animal by animal; attributes `animal` and `session` hold the names as recorded."""
    for animal in file.get("animals", {}).values():
        yield from animal.values()


def texts(dataset: h5py.Dataset) -> list[str]:
    """A text dataset as Python strings."""
    return [str(text) for text in dataset.asstr()[:]]
