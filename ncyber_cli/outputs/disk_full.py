"""A full disk, told as what it is: HDF5 wraps it in a page of its own stack."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ncyber_cli.errors import ResourceError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def disk_full_explained(target: Path) -> Iterator[None]:
    """Turn the block's `no space left` (or quota, or file size limit) into a ResourceError about `target`."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # h5py raises RuntimeError where the failing write happens on close
        full = getattr(error, "errno", None) in _FULL or any(f"errno = {number}," in str(error) for number in _FULL)
        if not full:
            raise
        remedy = "free space, raise the quota or choose a folder on another disk"
        raise ResourceError("the disk is full", where=str(target), remedy=remedy) from error
