"""Outputs appear whole or not at all: write beside, flush to disk, rename into place."""

from __future__ import annotations

import errno
import os
import re
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

from ncyber_cli.errors import DiskFull, UsageError

_SUFFIX = ".ncyber-partial"
_WRITER = re.compile(r"\.([0-9a-f]{8})-(\d+)\.\w*" + re.escape(_SUFFIX))
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a disk, a quota, a limit of file sizes
_ABANDONED_S = 24 * 3600.0  # of a writer on another machine, which cannot be asked: whoever writes does so every hour


def refuse_existing(target: Path, *, overwrite: bool, option: str = "--out") -> None:
    """Raise UsageError for an output of `option` that is there already, before anything is computed for it."""
    target = Path(target)
    if target.is_dir():
        raise UsageError("is a folder", where=str(target), remedy="name a file")
    if not overwrite and target.exists():
        raise UsageError("exists already", where=str(target), remedy=f"choose another {option}, or write --overwrite")


def refuse_inputs(targets: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise UsageError for an output that would take the place of an input, whatever may be overwritten."""
    read = [path for path in inputs if path.exists()]
    for target in targets:
        if target.exists() and any(target.samefile(path) for path in read):
            raise UsageError("is an input, which is never written to", where=str(target), remedy="choose another --out")


def check_writable(folder: Path) -> None:
    """Make a folder for outputs that come late. Raises OSError if nothing can be written there."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):  # asking for rights would miss read-only disks
        pass


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path in target's folder; on success it becomes target, on failure it is removed.

    Raises DiskFull if the disk is.
    """
    target = Path(target)
    with disk_full_explained(target), _partial_of(target) as partial:
        yield partial


@contextmanager
def disk_full_explained(target: Path) -> Iterator[None]:
    """Turn the block's `no space left` (or quota, or file size limit) into DiskFull about `target`.

    HDF5 wraps it in a page of its own stack, and raises RuntimeError where the failing write happens on close; torch
    has an error of its own while it deals with it.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        if not any(_says_full(each) for each in _with_what_led_to(error)):
            raise
        remedy = "free space, raise the quota or choose a folder on another disk"
        raise DiskFull("the disk is full", where=str(target), remedy=remedy) from error


def _says_full(error: BaseException) -> bool:
    return getattr(error, "errno", None) in FULL or any(f"errno = {number}," in str(error) for number in FULL)


def _with_what_led_to(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@contextmanager
def _partial_of(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep_partials(target.parent)
    prefix = f".{target.name[:40]}.{_machine()}-{os.getpid()}."  # names of files have at most 255 bytes
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=_SUFFIX, dir=target.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        with open(partial, "rb+") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        with suppress(PermissionError):  # shares that know no rights
            partial.chmod(0o666 & ~umask)  # mkstemp makes files private; results belong to the lab
        os.replace(partial, target)
        _flush_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    with atomic_path(target) as partial:
        partial.write_text(text, encoding="utf-8")


def sweep_partials(folder: Path) -> None:
    """Remove the temporaries that killed processes left in a folder; those of living ones stay."""
    for partial in Path(folder).glob(f".*{_SUFFIX}"):
        with suppress(OSError):  # another process was quicker, or owns it
            if _abandoned(partial):
                partial.unlink()


def _abandoned(partial: Path) -> bool:
    writer = _WRITER.search(partial.name)
    if writer is None or writer[1] != _machine():
        return time.time() - partial.stat().st_mtime > _ABANDONED_S
    return not _lives(int(writer[2]))


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):  # there is none, or there can be none of such a number
        return False
    except PermissionError:  # of another user
        return True
    return True


@cache
def _machine() -> str:
    """Where a process id means something: this machine since it was started, and the container that we are in."""
    about = [socket.gethostname()]
    with suppress(OSError):  # not on Linux
        about.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        about.append(os.readlink("/proc/self/ns/pid"))
    return sha256(" ".join(about).encode()).hexdigest()[:8]


def _flush_folder(folder: Path) -> None:
    """Put the new name on disk; not every network file system can, and the file is whole without."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
