"""The only door to HDF5: read-only, and never a byte from outside the input's own folder.

HDF5 follows external links, external storage and virtual sources without a word, so a crafted file
could make a run read any file of the machine. Every such reference is resolved before the file is
used, in the file itself and in the files it links to. A dataset that declares what it cannot hold is refused too, and
damage that HDF5 would read for ever.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
from h5py import h5d, h5f, h5l, h5o, h5z

from ncyber_cli.data.global_heaps import check_heaps
from ncyber_cli.errors import DataError

_CHUNK = 1 << 22
_LARGE = 1 << 32  # bytes; below it even an empty dataset fits a laptop
_DEEPEST = 100  # groups within groups; HDF5 takes a time that grows with the cube of them
_LARGEST_RATIO = 1100  # of gzip, which packs zeros 1030 to 1


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Yield the file, opened read-only and checked.

    Raises DataError for a missing, foreign, truncated or unreadable file, and for any reference to
    data outside the file's own folder. What h5py raises inside the block, of damaged chunks and
    objects that are missing or malformed, becomes DataError too.
    """
    path = Path(path)
    _refuse_foreign(path)
    try:
        with h5py.File(path, "r") as file:
            _refuse_outside(file, path.resolve(), seen=set())
            try:
                yield file
            except OSError as error:
                _explain_missing_filter(file, path, error)
                raise
    except OSError as error:
        raise DataError(
            f"cannot be read as HDF5 ({error})",
            where=str(path),
            remedy="the file is damaged or truncated: copy it again",
        ) from error
    except (KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:  # h5py's words for broken objects
        raise DataError(
            f"holds objects that cannot be read ({type(error).__name__}: {error})",
            where=str(path),
            remedy="the file is damaged, or not laid out as it should be; of NWB `pynwb-validate` says more",
        ) from error


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in pieces. Raises DataError if the file cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(_CHUNK):
                digest.update(piece)
    except OSError as error:
        raise DataError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="check the path and its rights"
        ) from error
    return digest.hexdigest()


def _refuse_foreign(path: Path) -> None:
    if not path.exists():
        raise DataError("no such file", where=str(path), remedy="check data.sessions or the path on the command line")
    if not path.is_file():
        raise DataError("is not a file", where=str(path), remedy="name NWB or HDF5 files, not folders")
    if not h5py.is_hdf5(path):
        raise DataError(
            "is not an HDF5 file", where=str(path), remedy="ncyber reads NWB and HDF5; convert other formats first"
        )


def _refuse_outside(file: h5py.File, path: Path, seen: set[Path]) -> None:
    """Check every link and dataset of `file`, then of the files it links to. `path` is resolved."""
    seen.add(path)
    linked, datasets = _external_links(file, path), _datasets(file.id)
    check_heaps(file, path, [dataset for _, dataset in datasets])
    for name, dataset in datasets:
        plist = dataset.get_create_plist()
        for index in range(plist.get_external_count()):
            # Raw data files are looked up from the working directory, not from the file's folder.
            target = Path(os.fsdecode(plist.get_external(index)[0])).absolute()
            _refuse_path(target, path.parent, where=f"{path}:{name}", what="external storage")
        if plist.get_layout() == h5d.VIRTUAL:
            sources = {plist.get_virtual_filename(index) for index in range(plist.get_virtual_count())}
            linked += [(f"{path}:{name}", source) for source in sources if source != "."]  # "." is itself
        elif not plist.get_external_count():
            _refuse_absurd(dataset, where=f"{path}:{name}")
    for where, name in linked:
        target = path.parent / name
        if not target.exists() and Path(name).exists():
            target = Path(name).absolute()  # HDF5 tries the working directory next
        _refuse_path(target, path.parent, where=where, what="an external link")
        resolved = target.resolve()
        if resolved in seen or not resolved.exists():
            continue
        try:
            target_file = h5py.File(resolved, "r")
        except OSError as error:
            what = f"links to {resolved}, which cannot be read as HDF5 ({error})"
            remedy = "copy what was meant beside the file, or remove the link"
            raise DataError(what, where=where, remedy=remedy) from error
        with target_file:
            _refuse_outside(target_file, resolved, seen)


def _explain_missing_filter(file: h5py.File, path: Path, error: OSError) -> None:
    """Raise DataError if data could not be read for want of a decompressor that their file names."""
    if "plugin" not in str(error) and "filter" not in str(error):
        return
    for name, dataset in _datasets(file.id):
        plist = dataset.get_create_plist()
        for code, _, _, label in (plist.get_filter(index) for index in range(plist.get_nfilters())):
            if not h5z.filter_avail(code):
                raise DataError(
                    f"is compressed by filter {code} {os.fsdecode(label)}".rstrip() + ", which is not installed here",
                    where=f"{path}:{name}",
                    remedy="repack the file where it is (h5repack -f GZIP=4 IN OUT), or set HDF5_PLUGIN_PATH",
                ) from error


def _refuse_absurd(dataset: h5d.DatasetID, *, where: str) -> None:
    """A dataset that says it is far larger than what is stored of it could unpack to would only fill the memory."""
    declared = dataset.get_space().get_simple_extent_npoints() * dataset.get_type().get_size()
    if declared > _LARGE and declared > _LARGEST_RATIO * dataset.get_storage_size():
        raise DataError(
            f"declares {declared / 1e9:.4g} GB and stores {dataset.get_storage_size()} bytes",
            where=where,
            remedy="the file was never filled, or is not what it says: ask whoever made it",
        )


def _refuse_path(target: Path, folder: Path, *, where: str, what: str) -> None:
    if not target.resolve().is_relative_to(folder):
        raise DataError(
            f"{what} leads out of the file's folder, to {target}",
            where=where,
            remedy="copy the data into the file (h5repack, or pynwb's export) or beside it",
        )


def _external_links(file: h5py.File, path: Path) -> list[tuple[str, str]]:
    """(where, target file) of every external link, found without following any."""
    found: list[tuple[str, str]] = []

    def on_link(name: bytes, info: Any) -> bytes | None:
        if name.count(b"/") > _DEEPEST:
            return name
        if info.type == h5l.TYPE_EXTERNAL:
            target, _ = file.id.links.get_val(name)
            found.append((f"{path}:{os.fsdecode(name)}", os.fsdecode(target)))
        return None

    deep = file.id.links.visit(on_link, info=True)
    if deep is not None:
        where, remedy = f"{path}:{os.fsdecode(deep[:80])}...", "ask whoever made the file"
        raise DataError(f"nests groups deeper than {_DEEPEST}", where=where, remedy=remedy)
    return found


def _datasets(root: h5f.FileID) -> list[tuple[str, h5d.DatasetID]]:
    found: list[tuple[str, h5d.DatasetID]] = []

    def on_object(name: bytes, info: Any) -> None:
        if info.type == h5o.TYPE_DATASET:
            found.append((os.fsdecode(name), h5o.open(root, name)))

    h5o.visit(root, on_object, info=True)
    return found
