"""Where a model runs."""

from __future__ import annotations

import torch

from ncyber_cli.errors import UsageError


def chosen_device(name: str) -> torch.device:
    """The device of `auto`, `cpu` or `cuda`. Raises UsageError for a GPU that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is available", where="--device cuda", remedy="write --device cpu")
    return torch.device(name)
