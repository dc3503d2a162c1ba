"""What a plain HDF5 file holds: its datasets, and which of them look like times and like counts."""

from __future__ import annotations

from collections.abc import Iterator

import h5py
import numpy as np

from ncyber_cli.checks.holding import Holding, all_missing, first_rows, rate_hz
from ncyber_cli.data.columns import text


def hdf5_objects(file: h5py.File) -> Iterator[Holding]:
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    for item in found:
        if item.shape is None:
            continue
        numeric = item.dtype.kind in "biuf"
        first = first_rows(item)
        rising = item.ndim == 1 and len(first) > 1 and bool(np.all(np.diff(first) > 0))
        counts = first.size > 0 and bool(np.all((first >= 0) & (first == np.round(first))))
        kind = str(item.dtype) if numeric else "text" if h5py.check_string_dtype(item.dtype) else "other"
        timed = rising and item.dtype.kind == "f"
        yield Holding(
            item.name.strip("/"),
            kind,
            item.shape,
            text(item.attrs.get("unit", item.attrs.get("units", ""))),
            rate_hz(item) if timed else None,
            rising=rising,
            counts=counts,
            empty=all_missing(first),
            span_s=(float(item[0]), float(item[-1])) if timed else None,
        )
