"""Outputs appear whole or not at all: write beside, flush to disk, rename into place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ncyber_cli.errors import UsageError

_SUFFIX = ".ncyber-partial"


def refuse_existing(target: Path, *, overwrite: bool) -> None:
    """Raise UsageError for an output that is there already, before anything is computed for it."""
    if not overwrite and Path(target).exists():
        raise UsageError("exists already", where=str(target), remedy="choose another --out, or write --overwrite")


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path in target's folder; on success it becomes target, on failure it is removed."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=_SUFFIX, dir=target.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        with open(partial, "rb+") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)  # mkstemp makes files private; results belong to the lab
        os.replace(partial, target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        partial.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    with atomic_path(target) as partial:
        partial.write_text(text, encoding="utf-8")


def sweep_partials(folder: Path) -> None:
    """Remove temporaries that a killed run left in its own folder."""
    for stale in Path(folder).glob(f".*{_SUFFIX}"):
        stale.unlink(missing_ok=True)
