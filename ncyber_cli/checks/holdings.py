"""What a file holds, read without loading the data."""

from __future__ import annotations

from pathlib import Path

import h5py

from ncyber_cli.checks.hdf5_holdings import hdf5_objects
from ncyber_cli.checks.holding import FileHoldings
from ncyber_cli.checks.nwb_holdings import nwb_objects
from ncyber_cli.data.columns import text
from ncyber_cli.data.open_hdf5 import open_hdf5

_PLACEHOLDERS = ("0001", "1900", "1970", "2000-01-01")  # dates that exports write where nobody knows


def holdings(path: Path) -> FileHoldings:
    """List what `path` holds. Raises DataError if it is no readable HDF5 file or leads out of its folder."""
    with open_hdf5(path) as file:
        if "nwb_version" not in file.attrs:
            return FileHoldings(path, False, path.stem, list(hdf5_objects(file)))
        animal, session = _note(file, "general/subject/subject_id"), _note(file, "general/session_id")
        start = _note(file, "session_start_time")
        remarks = []
        if not animal:
            remarks.append(
                f"no subject id: the animal will be called {session or path.stem}, unless the spec says "
                f"data: {{animal_of: {{{path.name}: NAME}}}}"
            )
        if start.startswith(_PLACEHOLDERS):
            remarks.append(f"the session starts at {start}, which looks like a placeholder; nothing depends on it")
        return FileHoldings(path, True, animal, nwb_objects(file), session, start, remarks)


def _note(file: h5py.File, path: str) -> str:
    item = file.get(path)
    return text(item[()]) if isinstance(item, h5py.Dataset) and item.shape == () else ""
