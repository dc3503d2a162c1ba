"""Sessions on their bins, kept beside the recordings, so that the next command need not read and bin them again.

An entry is known by the SHA-256 of the recording, by what the spec says of data and model, and by the program that
wrote it. Anything else of the same name is passed over and written anew, and so is a damaged entry. Hashing ten
gigabytes takes longer than reading an entry, so that a file's hash is remembered too: it holds as long as inode, size,
time of modification and time of change (which no program can set) stay what they were.

The folder is `.ncyber_cache` beside the recording, unless that is read-only. NCYBER_CACHE names another folder, or says
`off`. It may be deleted at any time.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from ncyber_cli import __version__
from ncyber_cli.atomic import atomic_path, write_text
from ncyber_cli.data.open_hdf5 import file_sha256
from ncyber_cli.data.pack_record import Record, read_record, write_record
from ncyber_cli.errors import DataError, ResourceError

VARIABLE = "NCYBER_CACHE"
FOLDER = ".ncyber_cache"
_KEPT = 6  # entries a recording: a few specs in turn, without filling the lab's disk
_SETTLED_S = 2.0  # a file changed less than this ago may change again within one tick of its clock


class SessionCache:
    """What is kept of one recording. Where the cache is off nothing is found and nothing is written."""

    _hashed: ClassVar[dict[Path, dict[str, int]]] = {}  # files as they were when this process took their hash

    def __init__(self, recording: Path) -> None:
        self.recording = Path(recording)
        self.folder = _folder(self.recording)
        # Recordings of many folders may share one cache.
        place = hashlib.sha256(os.fsencode(self.recording.absolute())).hexdigest()[:8]
        self.name = f"{self.recording.name}.{place}"

    def sha256(self) -> str:
        """The recording's SHA-256, remembered or taken anew. Raises DataError if the file cannot be read."""
        if not self.recording.is_file():
            return file_sha256(self.recording)
        identity = self._hashed[self.recording] = _identity(self.recording)
        if self.folder is None:
            return file_sha256(self.recording)
        note = self.folder / f"{self.name}.sha256"
        try:
            known = json.loads(note.read_text(encoding="utf-8"))
            if known["file"] == identity:
                return str(known["sha256"])
        except (OSError, ValueError, KeyError, TypeError):  # there is none, or it is damaged
            pass
        digest = file_sha256(self.recording)
        settled = time.time_ns() - identity["changed_ns"] > _SETTLED_S * 1e9
        if settled and identity == _identity(self.recording):
            self._write(note, lambda path: write_text(path, json.dumps({"sha256": digest, "file": identity})))
        return digest

    def check_unchanged(self) -> None:
        """Raise DataError if the file is no longer what its hash was taken of: what was read may be of neither."""
        try:
            now = _identity(self.recording)
        except OSError:
            now = None
        if self._hashed.get(self.recording, now) != now:
            what = "was changed while it was read" if now else "was removed while it was read"
            raise DataError(what, where=str(self.recording), remedy="begin again once it is written")

    def find(self, key: Mapping[str, Any]) -> Any:
        """The record that was kept under `key`, or None."""
        if self.folder is None:
            return None
        whole, path = self._entry(key)
        try:
            record = read_record(path, whole)
            os.utime(path)  # what was used last is kept longest
        except Exception:  # a damaged archive raises whatever its bytes happen to mean
            return None
        return record

    def keep(self, key: Mapping[str, Any], record: Record) -> None:
        """Write `record` under `key`, and let the oldest entries of the recording go."""
        if self.folder is None:
            return
        whole, path = self._entry(key)

        def write(path: Path) -> None:
            with atomic_path(path) as partial, open(partial, "wb") as file:
                write_record(file, whole, record)
            entries = self.folder.glob(f"{glob.escape(self.name)}.*.npz") if self.folder else ()
            for old in sorted(entries, key=lambda entry: -entry.stat().st_mtime)[_KEPT:]:
                old.unlink(missing_ok=True)

        self._write(path, write)

    def _entry(self, key: Mapping[str, Any]) -> tuple[dict[str, Any], Path]:
        """The key with the program that reads and bins, and the file that is named after it."""
        whole = {**key, "program": _program()}
        digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
        return whole, (self.folder or Path()) / f"{self.name}.{digest[:16]}.npz"

    @staticmethod
    def _write(path: Path, write: Callable[[Path], None]) -> None:
        """A full disk, or a folder that another process deletes, costs the next command its time, this one nothing."""
        try:
            _make(path.parent)
            write(path)
        except (OSError, ResourceError):
            pass


def _folder(recording: Path) -> Path | None:
    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() == "off":
        return None
    if chosen:
        return Path(chosen).expanduser()
    beside = recording.parent
    try:
        # The bits are asked too: root may write where nobody is meant to.
        meant = bool(beside.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    except OSError:
        return None
    return beside / FOLDER if meant and os.access(beside, os.W_OK) else None


def _make(folder: Path) -> None:
    """Make the folder, and tell version control and backups to pass it over."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / ".gitignore", "*\n")
    write_text(folder / "CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# ncyber's; may be deleted\n")


def _identity(path: Path) -> dict[str, int]:
    about = path.stat()
    return {
        "inode": about.st_ino,
        "size": about.st_size,
        "modified_ns": about.st_mtime_ns,
        "changed_ns": about.st_ctime_ns,
    }


@cache
def _program() -> str:
    """Version and code of what reads and bins: an entry of another program is none."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return f"{__version__} {digest.hexdigest()[:16]}"
