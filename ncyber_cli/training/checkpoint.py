"""Checkpoints: plain tensors, numbers and text, written whole or not at all, read as data and never as code."""

from __future__ import annotations

import pickle
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from ncyber_cli.atomic import atomic_path
from ncyber_cli.errors import CheckpointError
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.model.layout import Layout
from ncyber_cli.spec import Spec

FORMAT, VERSION = "ncyber checkpoint", 1
BEST, LAST = "best.pt", "last.pt"
_FIT = "`ncyber fit SPEC DATA... --out RUN` writes one"
_ITS_OWN_VERSION = "use the version of ncyber that the run's summary.json names, or fit again"
_DAMAGED = "the file is damaged; use the run's other checkpoint (best.pt, last.pt) or fit again"
# What a damaged archive, or a pickle of something else, may end in.
_DAMAGES = (
    OSError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    NotImplementedError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    pickle.UnpicklingError,
)


@dataclass(frozen=True)
class Checkpoint:
    """What a file of a run holds; `training` is the state of an unfinished fit (last.pt only)."""

    spec: Spec
    layout: Layout
    model_state: dict[str, Tensor]
    training: dict[str, Any] | None
    path: Path


def save(
    path: Path,
    *,
    spec: Spec,
    layout: Layout,
    model_state: Mapping[str, Tensor],
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint; a killed process leaves the file that was there before.

    `training` may hold tensors, numbers, text, None, and lists and dicts of these. Raises ResourceError
    if the disk is full.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "spec": spec.model_dump_json(),
        "layout": layout.to_plain(),
        "model": dict(model_state),
        "training": None if training is None else dict(training),
    }
    # A file object, not a path: torch's own writer forgets why a write failed.
    with atomic_path(path) as partial, open(partial, "wb") as file:
        torch.save(content, file)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU; of a run's folder, best.pt.

    Every byte is held against its check sum, which torch writes and does not read. Raises CheckpointError for a file
    that is missing, damaged, of another program or of a later version.
    """
    path = Path(path)
    path = path / BEST if path.is_dir() else path
    content = _read(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError("is not a checkpoint of ncyber", where=str(path), remedy=_FIT)
    version = content.get("version")
    if not isinstance(version, int) or version < 1:
        raise CheckpointError(f"has no version, but {version!r}", where=str(path), remedy=_FIT)
    if version > VERSION:
        what = f"was written by a later ncyber (checkpoint version {version}, this one reads up to {VERSION})"
        raise CheckpointError(what, where=str(path), remedy="upgrade ncyber")
    try:
        spec = Spec.model_validate_json(content["spec"])
        layout = Layout.from_plain(content["layout"])
        return Checkpoint(spec, layout, _tensors(content["model"]), content["training"], path)
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        what = f"was written by another version of ncyber ({_reason(error)})"
        raise CheckpointError(what, where=str(path), remedy=_ITS_OWN_VERSION) from error


def restore(checkpoint: Checkpoint, device: torch.device | str = "cpu") -> NeuroModel:
    """The model of a checkpoint, ready to infer. Raises CheckpointError if the weights do not fit it."""
    try:
        model = assemble(checkpoint.spec, checkpoint.layout, torch.Generator().manual_seed(0))
        model.load_state_dict(checkpoint.model_state)
    except (RuntimeError, LookupError, ValueError, TypeError, ArithmeticError) as error:
        what = f"does not fit this version of the model ({_reason(error)})"
        raise CheckpointError(what, where=str(checkpoint.path), remedy=_ITS_OWN_VERSION) from error
    for name, values in checkpoint.model_state.items():
        if torch.isnan(values).any():
            what = f"holds weights that are not numbers ({name})"
            raise CheckpointError(what, where=str(checkpoint.path), remedy="use an earlier checkpoint, or fit again")
    return model.to(device).eval()


def _tensors(state: Any) -> dict[str, Tensor]:
    """A model's state as it was saved. Raises TypeError for anything else."""
    if not isinstance(state, dict) or not all(isinstance(values, Tensor) for values in state.values()):
        raise TypeError("model: not a mapping of names to tensors")
    return state


def _read(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of a foreign file before it refuses it
            _check_sums(path)
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError("there is no such checkpoint", where=str(path), remedy=_FIT) from error
    except PermissionError as error:
        raise CheckpointError("may not be read", where=str(path), remedy="ask its owner") from error
    except _DAMAGES as error:
        raise CheckpointError("cannot be read as a checkpoint", where=str(path), remedy=_DAMAGED) from error


def _check_sums(path: Path) -> None:
    """Raise BadZipFile unless the file is a zip archive, as torch writes it, and every record is what was written."""
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(damaged)


def _reason(error: Exception) -> str:
    """One line of what is wrong; pydantic and load_state_dict say first only that something is."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[min(1, len(lines) - 1)]
