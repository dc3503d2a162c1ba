"""Find objects of an NWB file by name or by full path, wherever they stand.

Read from the file's own attributes (neurodata_type, colnames), not through pynwb: its schema loading takes longer than
the data of an hour, and what it refuses for the letter of a schema a lab still has to read. The layout of NWB 2 on disk
is the same from 2.0 on. A series is known by its `data`, a table by its `colnames`, so that types of extensions are
found too.
"""

from __future__ import annotations

from collections.abc import Iterator

import h5py
from h5py import h5o

from ncyber_cli.data.absent import NotThere
from ncyber_cli.data.columns import text
from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.numeric import dataset
from ncyber_cli.errors import DataError

_NOTES = ("general", "specifications")  # of NWB: what is told of the session, and its own schemas


def typed_groups(file: h5py.File) -> dict[str, h5py.Group]:
    """Every group of data with a neurodata_type by its path, outermost first.

    External links are followed (`open_hdf5` has checked where to), soft links are not: what they lead to is listed
    where it stands. A group that several hard links lead to is listed once.
    """
    return dict(_below("", file, set()))


def _below(path: str, group: h5py.Group, seen: set[tuple[int, int]]) -> Iterator[tuple[str, h5py.Group]]:
    info = h5o.get_info(group.id)
    if (info.fileno, info.addr) in seen:
        return
    seen.add((info.fileno, info.addr))
    if path and "neurodata_type" in group.attrs:
        yield path, group
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.SoftLink) or (not path and name in _NOTES):
            continue
        item = group.get(name)  # None where an external link leads nowhere
        if isinstance(item, h5py.Group):
            yield from _below(f"{path}/{name}".lstrip("/"), item, seen)


def neurodata_type(item: h5py.Group | h5py.Dataset) -> str:
    return text(item.attrs.get("neurodata_type", ""))


def is_series(group: h5py.Group) -> bool:
    return "colnames" not in group.attrs and dataset(group, "data") is not None


def is_units(group: h5py.Group) -> bool:
    return neurodata_type(group) == "Units" or ("colnames" in group.attrs and "spike_times" in group)


def is_intervals(group: h5py.Group) -> bool:
    return "colnames" in group.attrs and "start_time" in group and "stop_time" in group


def is_events(group: h5py.Group) -> bool:
    """NWB's EventsTable: a row for each event, with its `timestamp`."""
    return "colnames" in group.attrs and "timestamp" in group


class NwbObjects:
    """The file's series, containers and tables by their path, e.g. processing/behavior/Position/hand_pos."""

    def __init__(self, file: h5py.File, file_name: str) -> None:
        self.file_name = file_name
        self.by_path = typed_groups(file)

    def where(self, path: str) -> str:
        return f"{self.file_name}:/{path}"

    def units(self, source: str) -> tuple[str, h5py.Group] | None:
        """(path, table) if `source` names a units table, else None."""
        found = [(path, item) for path, item in self._named(source).items() if is_units(item)]
        return found[0] if found else None

    def series(self, source: str) -> dict[str, h5py.Group]:
        """Every series that `source` names: itself, or all those below a container or module, by path.

        Raises DataError if there is none, or if the name stands for several unrelated objects.
        """
        meant = {path: self._series_below(path) for path in self._named(source)}
        meant = {path: below for path, below in meant.items() if below}
        if not meant:
            known = [path for path, item in self.by_path.items() if is_series(item) or is_units(item)]
            raise NotThere(f"there is no series {source!r}", where=self.file_name, remedy=did_you_mean(source, known))
        # A container often bears the name of its series (Position/Position): the innermost is meant.
        innermost = max(meant, key=len)
        if any(not (innermost == path or innermost.startswith(f"{path}/")) for path in meant):
            raise DataError(
                f"{source!r} names {len(meant)} objects",
                where=self.file_name,
                remedy=f"write the full path: {' or '.join(sorted(meant))}",
            )
        return meant[innermost]

    def one_series(self, source: str) -> tuple[str, h5py.Group]:
        """(path, series) of the one series that `source` names. Raises DataError for none and for several."""
        found = self.series(source)
        if len(found) > 1:
            raise DataError(
                f"{source!r} holds {len(found)} series",
                where=self.file_name,
                remedy=f"name one: {', '.join(sorted(found))}",
            )
        return next(iter(found.items()))

    def intervals(self, name: str) -> tuple[str, h5py.Group]:
        """(path, group) of an interval table, or of a table or series of events. Raises DataError for none of them."""
        named = self._named(name)
        for is_meant in (is_intervals, is_events, is_series):
            if found := [(path, item) for path, item in named.items() if is_meant(item)]:
                return found[0]
        known = [
            path.rsplit("/", 1)[-1] for path, item in self.by_path.items() if is_intervals(item) or is_events(item)
        ]
        raise DataError(f"there is no interval table {name!r}", where=self.file_name, remedy=did_you_mean(name, known))

    def _named(self, source: str) -> dict[str, h5py.Group]:
        path = source.strip("/")
        if path in self.by_path:
            return {path: self.by_path[path]}
        return {full: item for full, item in self.by_path.items() if full.endswith(f"/{path}")}

    def _series_below(self, path: str) -> dict[str, h5py.Group]:
        if is_series(self.by_path[path]):
            return {path: self.by_path[path]}
        return {full: item for full, item in self.by_path.items() if full.startswith(f"{path}/") and is_series(item)}
