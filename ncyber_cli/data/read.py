"""Any recording: NWB by its objects' names, other HDF5 by declared paths."""

from __future__ import annotations

from pathlib import Path

from ncyber_cli.data.open_hdf5 import file_sha256, open_hdf5
from ncyber_cli.data.read_benchmark import read_benchmark
from ncyber_cli.data.read_hdf5 import read_hdf5
from ncyber_cli.data.read_nwb import read_nwb
from ncyber_cli.data.recording import Recording
from ncyber_cli.spec import Data


def is_nwb(path: Path) -> bool:
    """Whether the file says it is NWB. Raises DataError if it is no readable HDF5 file."""
    with open_hdf5(path) as file:
        return "nwb_version" in file.attrs


def read_recording(path: Path, data: Data, sha256: str | None = None) -> Recording:
    """Read one session; `sha256` is the file's, where it is known.

    Raises DataError for an unreadable file, missing objects and unusable values.
    """
    nwb = is_nwb(path)
    digest = file_sha256(path) if sha256 is None else sha256
    if data.layout is not None:
        return read_benchmark(path, data, digest, data.layout)
    return read_nwb(path, data, digest) if nwb else read_hdf5(path, data, digest)
