"""One NWB session: what the spec names, as plain arrays."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pynwb import NWBHDF5IO, NWBFile

from ncyber_cli.data.nwb_objects import NwbObjects
from ncyber_cli.data.nwb_series import read_neural_series, read_sampled
from ncyber_cli.data.nwb_tables import interval_table, read_units
from ncyber_cli.data.open_hdf5 import file_sha256, open_hdf5
from ncyber_cli.data.recording import NeuralStream, Recording, Sampled
from ncyber_cli.data.unit_names import group_name, unique_over_sources
from ncyber_cli.errors import DataError
from ncyber_cli.spec import Data, NeuralSource


def read_nwb(path: Path, data: Data) -> Recording:
    """Read the neural sources, behaviour, inputs and interval table that `data` names.

    A source is an object's name, searched everywhere, or its full path. The animal is the NWB
    subject_id, else the session id, else the file's name; the session is the session id, else the
    file's name. Raises DataError for an unreadable file, a missing object (naming what there is)
    and unusable values.
    """
    path = Path(path)
    digest = file_sha256(path)
    with open_hdf5(path) as file:
        io, nwb = _opened(file, path)
        objects = NwbObjects(nwb, io.manager, path.name)
        sources = [source.source for source in data.neural]
        streams = [_neural(objects, source) for source in data.neural]
        session = str(nwb.session_id or "").strip() or path.stem
        subject = str(nwb.subject.subject_id or "").strip() if nwb.subject is not None else ""
        return Recording(
            animal=group_name(subject or session),
            session=group_name(session),
            path=path,
            sha256=digest,
            neural=unique_over_sources(streams, sources, where=path.name),
            behavior={
                name: _sampled(objects, series.source, series.axes, series.columns)
                for name, series in data.behavior.items()
            },
            inputs={
                name: _sampled(objects, given.source, given.axes, given.columns)
                for name, given in data.inputs.items()
                if given.source is not None
            },
            trials=None if data.trials is None else interval_table(objects.intervals(data.trials.table)),
        )


def _opened(file: Any, path: Path) -> tuple[NWBHDF5IO, NWBFile]:
    try:
        with warnings.catch_warnings():
            # pynwb warns of schema details of other people's files that the user cannot mend.
            warnings.simplefilter("ignore")
            io = NWBHDF5IO(file=file, mode="r")
            return io, io.read()
    except OSError:
        raise
    except Exception as error:  # pynwb raises whatever its builders meet in a malformed file
        reason = (str(error).splitlines() or ["no message"])[0]
        raise DataError(
            f"pynwb cannot read it ({type(error).__name__}: {reason})",
            where=str(path),
            remedy="see what `pynwb-validate` says of it",
        ) from error


def _neural(objects: NwbObjects, source: NeuralSource) -> NeuralStream:
    units = objects.units(source.source)
    if units is not None:
        path, table = units
        return read_units(table, source, objects.where(path))
    return read_neural_series(objects, source)


def _sampled(objects: NwbObjects, source: str, axes: Sequence[str] | None, columns: Sequence[int] | None) -> Sampled:
    path, series = objects.one_series(source)
    return read_sampled(series, objects.where(path), axes, columns)
