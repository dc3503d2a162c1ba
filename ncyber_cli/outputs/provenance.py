"""Where a result comes from: program versions, input files, seed, spec and command line."""

from __future__ import annotations

import json
import math
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ncyber_cli import __version__
from ncyber_cli.atomic import write_text

# Read from the packages' metadata, so that recording torch's version does not import torch.
_PACKAGES = ("torch", "numpy", "scipy", "h5py", "pynwb", "pydantic", "scikit-learn")


@dataclass(frozen=True)
class Provenance:
    """What has to be known to make a result again."""

    command: tuple[str, ...]
    seed: int
    spec: str  # text of the resolved spec
    input_sha256: Mapping[str, str]  # by path, as given
    versions: Mapping[str, str]  # by program

    def attributes(self) -> dict[str, str | int]:
        """As attributes of an HDF5 file; mappings become JSON text."""
        return {
            "command": shlex.join(self.command),
            "seed": self.seed,
            "spec": self.spec,
            "input_sha256": json.dumps(dict(self.input_sha256), sort_keys=True),
            "versions": json.dumps(dict(self.versions), sort_keys=True),
        }


def record_provenance(command: Sequence[str], *, seed: int, spec: str, input_sha256: Mapping[str, str]) -> Provenance:
    """The provenance of the present process. `input_sha256` is by path."""
    return Provenance(tuple(command), seed, spec, dict(input_sha256), program_versions())


def program_versions() -> dict[str, str]:
    """Versions of this program, of Python and of the installed packages that can change a result."""
    found = {"ncyber": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write_summary(path: Path, provenance: Provenance, results: Mapping[str, Any]) -> None:
    """Write `summary.json`: `results` under their own keys beside `provenance`; NaN and infinity become null."""
    if "provenance" in results:
        raise ValueError("results may not be called provenance")
    content = {**results, "provenance": {**provenance.attributes(), **_mappings(provenance)}}
    write_text(path, json.dumps(plain(content), indent=2, sort_keys=True, allow_nan=False) + "\n")


def _mappings(provenance: Provenance) -> dict[str, Any]:
    return {"input_sha256": dict(provenance.input_sha256), "versions": dict(provenance.versions)}


def plain(value: Any) -> Any:
    """The value as JSON can say it: numpy becomes Python, paths text, and numbers that are not finite None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value
