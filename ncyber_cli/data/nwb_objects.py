"""Find objects of an NWB file by name or by full path, wherever they stand."""

from __future__ import annotations

from typing import Any

from pynwb import NWBFile, ProcessingModule, TimeSeries
from pynwb.core import NWBDataInterface
from pynwb.epoch import TimeIntervals
from pynwb.misc import Units

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.errors import DataError


class NwbObjects:
    """The file's series, containers and tables by their path, e.g. processing/behavior/Position/hand_pos."""

    def __init__(self, nwb: NWBFile, manager: Any, file_name: str) -> None:
        self.file_name = file_name
        self.by_path: dict[str, Any] = {}
        for item in nwb.objects.values():
            if isinstance(item, NWBDataInterface | ProcessingModule | Units | TimeIntervals):
                self.by_path[manager.get_builder(item).path.removeprefix("root/")] = item

    def where(self, path: str) -> str:
        return f"{self.file_name}:/{path}"

    def units(self, source: str) -> tuple[str, Units] | None:
        """(path, table) if `source` names a units table, else None."""
        found = [(path, item) for path, item in self._named(source).items() if isinstance(item, Units)]
        return found[0] if found else None

    def series(self, source: str) -> dict[str, TimeSeries]:
        """Every series that `source` names: itself, or all those below a container or module, by path.

        Raises DataError if there is none, or if the name stands for several unrelated objects.
        """
        meant = {path: self._below(path) for path in self._named(source)}
        meant = {path: below for path, below in meant.items() if below}
        if not meant:
            known = [path for path, item in self.by_path.items() if isinstance(item, TimeSeries | Units)]
            raise DataError(f"there is no series {source!r}", where=self.file_name, remedy=did_you_mean(source, known))
        # A container often bears the name of its series (Position/Position): the innermost is meant.
        innermost = max(meant, key=len)
        if any(not (innermost == path or innermost.startswith(f"{path}/")) for path in meant):
            raise DataError(
                f"{source!r} names {len(meant)} objects",
                where=self.file_name,
                remedy=f"write the full path: {' or '.join(sorted(meant))}",
            )
        return meant[innermost]

    def one_series(self, source: str) -> tuple[str, TimeSeries]:
        """(path, series) of the one series that `source` names. Raises DataError for none and for several."""
        found = self.series(source)
        if len(found) > 1:
            raise DataError(
                f"{source!r} holds {len(found)} series",
                where=self.file_name,
                remedy=f"name one: {', '.join(sorted(found))}",
            )
        return next(iter(found.items()))

    def intervals(self, name: str) -> TimeIntervals:
        """An interval table. Raises DataError if there is none of that name."""
        found = [(path, item) for path, item in self._named(name).items() if isinstance(item, TimeIntervals)]
        if not found:
            known = [path for path, item in self.by_path.items() if isinstance(item, TimeIntervals)]
            names = [path.rsplit("/", 1)[-1] for path in known]
            raise DataError(
                f"there is no interval table {name!r}", where=self.file_name, remedy=did_you_mean(name, names)
            )
        return found[0][1]

    def _named(self, source: str) -> dict[str, Any]:
        path = source.strip("/")
        if path in self.by_path:
            return {path: self.by_path[path]}
        return {full: item for full, item in self.by_path.items() if full.endswith(f"/{path}")}

    def _below(self, path: str) -> dict[str, TimeSeries]:
        if isinstance(self.by_path[path], TimeSeries):
            return {path: self.by_path[path]}
        return {
            full: item
            for full, item in self.by_path.items()
            if full.startswith(f"{path}/") and isinstance(item, TimeSeries)
        }
