"""Any recording: NWB by its objects' names, other HDF5 by declared paths."""

from __future__ import annotations

from pathlib import Path

from ncyber_cli.data.open_hdf5 import open_hdf5
from ncyber_cli.data.read_hdf5 import read_hdf5
from ncyber_cli.data.read_nwb import read_nwb
from ncyber_cli.data.recording import Recording
from ncyber_cli.spec import Data


def is_nwb(path: Path) -> bool:
    """Whether the file says it is NWB. Raises DataError if it is no readable HDF5 file."""
    with open_hdf5(path) as file:
        return "nwb_version" in file.attrs


def read_recording(path: Path, data: Data) -> Recording:
    """Read one session. Raises DataError for an unreadable file, missing objects and unusable values."""
    return read_nwb(path, data) if is_nwb(path) else read_hdf5(path, data)
