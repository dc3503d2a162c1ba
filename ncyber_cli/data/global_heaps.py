"""The one damage that HDF5 does not refuse but reads for ever: a global heap whose free space has no size.

Text and references lie in global heaps, chains of objects that HDF5 (to version 2.0) follows by their sizes. Free
space of size 0, as a block of zeros leaves it, is a step of nothing, and no signal ends the reading.
Source of the layout: HDF5 File Format Specification 3.0, III.E Disk Format: Level 1E - Global Heap.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
from h5py import h5d

from ncyber_cli.errors import DataError

_BEGIN = b"GCOL\x01\0\0\0"  # signature, version 1, three reserved bytes; the size of the heap follows
_HEADER, _OBJECT = 16, struct.Struct("<HHIQ")  # of an object: index (0: free space), references, reserved, size
_WIDTH = 8  # bytes of a size; HDF5 writes others only where it is asked to
_LARGE = 1 << 20  # samples of a dataset above it are passed over, so that a large file takes no longer than a small


def check_heaps(file: h5py.File, path: Path, datasets: Sequence[h5d.DatasetID]) -> None:
    """Raise DataError for a global heap that HDF5 would never come to the end of. `datasets` are all of the file's."""
    if file.id.get_create_plist().get_sizes()[1] != _WIDTH:
        return
    with open(path, "rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for start, stop in _gaps(_stored(datasets), len(content)):
            at = content.find(_BEGIN, start, stop)
            while at >= 0:
                if _endless(content, at):
                    what = f"has a storage of text that is damaged at byte {at}"
                    raise DataError(what, where=str(path), remedy="the file is damaged: copy it again")
                at = content.find(_BEGIN, at + len(_BEGIN), stop)


def _endless(content: mmap.mmap, at: int) -> bool:
    end = min(at + int.from_bytes(content[at + 8 : at + 16], "little"), len(content))
    place = at + _HEADER
    while place + _OBJECT.size <= end:
        index, _, _, size = _OBJECT.unpack_from(content, place)
        if size == 0 and index == 0:
            return True
        place += _OBJECT.size + -(-size // 8) * 8 if index else size
    return False


def _stored(datasets: Sequence[h5d.DatasetID]) -> Iterator[tuple[int, int]]:
    """Where samples of large datasets lie, as (start, stop)."""
    for dataset in datasets:
        if dataset.get_storage_size() < _LARGE:
            continue
        offset = dataset.get_offset()
        if offset is not None:
            yield offset, offset + dataset.get_storage_size()
        elif dataset.get_create_plist().get_layout() == h5d.CHUNKED:
            chunks: list[tuple[int, int]] = []
            dataset.chunk_iter(lambda chunk, into=chunks: into.append((chunk.byte_offset, chunk.size)))
            yield from ((start, start + size) for start, size in chunks)


def _gaps(stored: Iterator[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """What of the file lies between the stored samples."""
    place = 0
    for start, stop in sorted(stored):
        if start > place:
            yield place, min(start, size)
        place = max(place, stop)
    if place < size:
        yield place, size
