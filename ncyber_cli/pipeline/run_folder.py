"""The folder of a run: one fit at a time writes to it, and none replaces another's work unasked."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ncyber_cli.atomic import sweep_partials
from ncyber_cli.errors import ResourceError, UsageError
from ncyber_cli.training.checkpoint import BEST, LAST

METRICS, SUMMARY, SPEC, LOCK = "metrics.jsonl", "summary.json", "spec.yaml", "lock"
_WRITTEN = (BEST, LAST, METRICS, SUMMARY, SPEC)


class RunFolder:
    """Paths of a run's files, and the rules for writing them."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.last, self.metrics = self.path / LAST, self.path / METRICS
        self.summary, self.spec = self.path / SUMMARY, self.path / SPEC

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Raise UsageError if the folder holds a run that may not be replaced, or none that could go on."""
        where = str(self.path)
        if self.path.exists() and not self.path.is_dir():
            raise UsageError("is a file", where=where, remedy="give --out a folder of its own")
        if resume and not self.last.exists():
            remedy = "begin with `ncyber fit` without --resume"
            raise UsageError(f"holds no {LAST} to go on from", where=where, remedy=remedy)
        if not resume and not overwrite and any((self.path / name).exists() for name in _WRITTEN):
            remedy = "go on with --resume, replace it with --overwrite, or choose another --out"
            raise UsageError("holds a run already", where=where, remedy=remedy)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other fits out. Raises ResourceError if one is in; the lock dies with its process."""
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / LOCK, "a+", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                holder = lock.read().strip() or "unknown"
                remedy = "wait for it, or choose another --out"
                raise ResourceError(
                    f"another fit (process {holder}) is writing here", where=str(self.path), remedy=remedy
                ) from error
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            sweep_partials(self.path)
            yield

    def clear(self) -> None:
        """Remove the files of an earlier run, and nothing else."""
        for path in (self.path / name for name in _WRITTEN):
            path.unlink(missing_ok=True)
