"""`metrics.jsonl`: one line an epoch, on disk as soon as the epoch ends, and exact after a resume."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ncyber_cli.atomic import atomic_path, disk_full_explained
from ncyber_cli.errors import CheckpointError
from ncyber_cli.outputs.provenance import plain


class MetricsLog:
    """Appends one JSON object per epoch.

    `resume_after` is the (start, epoch) of the checkpoint that training goes on from: lines after it are
    removed, those before it keep their bytes, and the torn last line of a killed run is dropped. Without
    it the log starts empty.

    Raises CheckpointError if a line that is kept cannot be read.
    """

    def __init__(self, path: Path, *, resume_after: tuple[int, int] | None = None) -> None:
        path = self._path = Path(path)
        kept = b"" if resume_after is None or not path.exists() else _lines_until(path, resume_after)
        with atomic_path(path) as partial:
            partial.write_bytes(kept)
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 (closed in __exit__)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, epoch: int, values: Mapping[str, Any], *, start: int = 0) -> None:
        """Write one epoch's values; NaN and infinity become null. `start` counts independent starts from 0."""
        line = json.dumps({"start": start, "epoch": epoch, **plain(values)}, allow_nan=False)
        with disk_full_explained(self._path):
            rest = line.encode() + b"\n"
            while rest:  # a full disk first takes less than all of it
                rest = rest[self._file.write(rest) :]


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Every whole line of the log, in order; a torn last line is left out."""
    return [record for _, record in _records(Path(path))]


def _lines_until(path: Path, last: tuple[int, int]) -> bytes:
    return b"".join(line for line, record in _records(path) if (record["start"], record["epoch"]) <= last)


def _records(path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    lines = path.read_bytes().splitlines(keepends=True)
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            record["start"], record["epoch"]
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                break
            where = f"{path}:{number}"
            raise CheckpointError("is not a line of metrics", where=where, remedy="delete that line") from error
        if not line.endswith(b"\n"):
            break
        records.append((line, record))
    return records
