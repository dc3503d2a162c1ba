"""Records as one file of arrays with a header of JSON: nothing is pickled, and every array carries a check sum."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import numpy as np

from ncyber_cli.data.recording import IntervalTable, Recording, Session

Record = IntervalTable | Recording | Session
_RECORDS = {record.__name__: record for record in (IntervalTable, Recording, Session)}


def write_record(file: IO[bytes], key: Mapping[str, Any], record: Record) -> None:
    """Write `record`, and what it is known by. Raises TypeError for an array of Python objects."""
    arrays: dict[str, Any] = {}
    header = json.dumps({"key": key, "record": _packed(record, arrays)})
    np.savez(file, header=np.frombuffer(header.encode(), np.uint8), **arrays)


def read_record(path: Path, key: Mapping[str, Any]) -> Any:
    """The record in `path`. Raises KeyError if it is known by another key, anything if it is damaged."""
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as entry:
        header = json.loads(entry["header"].tobytes())
        if header["key"] != key:
            raise KeyError("another key")
        return _unpacked(header["record"], entry)


def _packed(value: Any, arrays: dict[str, Any]) -> Any:
    """`value` as JSON, its arrays set aside."""
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError(f"an array of {value.dtype} would have to be pickled")
        arrays[f"array{len(arrays)}"] = value
        return {"array": f"array{len(arrays) - 1}"}
    if isinstance(value, Record):
        parts = {field.name: _packed(getattr(value, field.name), arrays) for field in fields(value)}
        return {"record": type(value).__name__, "parts": parts}
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, Mapping):
        return {"items": {name: _packed(item, arrays) for name, item in value.items()}}
    if isinstance(value, list | tuple):
        return [_packed(item, arrays) for item in value]
    return value


def _unpacked(value: Any, arrays: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    if "record" in value:
        parts = {name: _unpacked(item, arrays) for name, item in value["parts"].items()}
        return _RECORDS[value["record"]](**parts)
    if "path" in value:
        return Path(value["path"])
    return {name: _unpacked(item, arrays) for name, item in value["items"].items()}
