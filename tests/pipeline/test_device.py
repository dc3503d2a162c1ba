"""Law: a GPU that is not there is refused before anything is read."""

from __future__ import annotations

import pytest
import torch

from ncyber_cli.errors import UsageError
from ncyber_cli.pipeline.device import chosen_device


@pytest.mark.skipif(torch.cuda.is_available(), reason="here a GPU is there")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    assert chosen_device("auto") == torch.device("cpu")
    with pytest.raises(UsageError, match="no CUDA device is available"):
        chosen_device("cuda")
