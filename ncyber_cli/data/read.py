"""Any recording: NWB by its objects' names, other HDF5 by declared paths."""

from __future__ import annotations

from pathlib import Path

from ncyber_cli.data.open_hdf5 import file_sha256, open_hdf5
from ncyber_cli.data.read_benchmark import read_benchmark
from ncyber_cli.data.read_hdf5 import read_hdf5
from ncyber_cli.data.read_nwb import read_nwb
from ncyber_cli.data.recording import Recording
from ncyber_cli.spec import Data


def read_recording(path: Path, data: Data, sha256: str | None = None) -> Recording:
    """Read one session; `sha256` is the file's, where it is known.

    Raises DataError for an unreadable file, missing objects and unusable values.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        digest = file_sha256(path) if sha256 is None else sha256
        if data.layout is not None:
            return read_benchmark(file, path, data, digest, data.layout)
        read = read_nwb if "nwb_version" in file.attrs else read_hdf5
        return read(file, path, data, digest)
