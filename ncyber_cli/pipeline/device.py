"""Where a model runs."""

from __future__ import annotations

import os

import torch

from ncyber_cli.errors import UsageError


def chosen_device(name: str) -> torch.device:
    """The device of `auto`, `cpu` or `cuda`. Raises UsageError for a GPU that is not there.

    On a CPU one thread is used unless OMP_NUM_THREADS says otherwise: a step is many small operations, whose threads
    wait for each other at every one of them, and on a machine with other work an epoch then takes thirty times as long.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is available", where="--device cuda", remedy="write --device cpu")
    return torch.device(name)
