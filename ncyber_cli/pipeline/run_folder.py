"""The folder of a run: one fit at a time writes to it, and none replaces another's work unasked."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ncyber_cli.atomic import sweep_partials
from ncyber_cli.errors import Interrupted, ResourceError, Stopped, UsageError
from ncyber_cli.training.checkpoint import BEST, LAST

METRICS, SUMMARY, SPEC, LOCK = "metrics.jsonl", "summary.json", "spec.yaml", "lock"
_WRITTEN = (LAST, BEST, METRICS, SUMMARY, SPEC)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)


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
            remedy = "begin again" + (" with --overwrite" if self._holds_a_run() else ": leave out --resume")
            raise UsageError(f"holds no {LAST} to go on from", where=where, remedy=remedy)
        if not resume and not overwrite and self._holds_a_run():
            go_on = "go on with --resume, " if self.last.exists() else ""
            remedy = f"{go_on}replace it with --overwrite, or choose another --out"
            raise UsageError("holds a run already", where=where, remedy=remedy)

    def _holds_a_run(self) -> bool:
        """Whether anything is here that beginning again would destroy.

        A fit that was killed before its first checkpoint has left its lock, its spec and lines of metrics at most.
        """
        there = {name for name in _WRITTEN if (self.path / name).exists()}
        begun = (self.path / LOCK).exists() and there <= {METRICS, SPEC}
        return bool(there) and not begun

    @contextmanager
    def locked(self, *, resume: bool, overwrite: bool, remark: Callable[[str], None]) -> Iterator[None]:
        """Keep other fits out. Raises ResourceError if one is in; the lock dies with its process.

        What `check` found is looked at again: another fit may have ended here since. Where the file system has no
        locks, `remark` is told.
        """
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
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                remark(f"warning: {self.path} is on a file system without locks: let no other fit write there")
            self.check(resume=resume, overwrite=overwrite)
            lock.truncate(0)
            lock.write(f"{os.getpid()} on {socket.gethostname()}\n")
            lock.flush()
            sweep_partials(self.path)
            yield

    @contextmanager
    def stop_told(self, resume_command: str) -> Iterator[None]:
        """Say of a signal in the block, which begins once the folder holds nothing older, what it leaves behind."""
        try:
            yield
        except Stopped as stop:
            name = signal.Signals(stop.signal_number).name
            what, remedy = f"stopped by {name} before anything was saved", "type the same command again"
            if self.last.exists():
                what, remedy = f"stopped by {name}, what was trained is in {self.path}", f"go on with: {resume_command}"
            raise Interrupted(stop.signal_number, what, remedy=remedy) from None

    def clear(self) -> None:
        """Remove the files of an earlier run, and nothing else."""
        for path in (self.path / name for name in _WRITTEN):
            path.unlink(missing_ok=True)
