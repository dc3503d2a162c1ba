"""Law: one CPU thread unless the user asks for more, and a GPU that is not there is refused before anything is read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from ncyber_cli.errors import UsageError
from ncyber_cli.pipeline.device import chosen_device


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """As if torch had found two cores; undone afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_one_thread_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert chosen_device("cpu") == torch.device("cpu")
    assert torch.get_num_threads() == 1


def test_the_users_number_of_threads_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    chosen_device("cpu")
    assert torch.get_num_threads() == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="here a GPU is there")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    assert chosen_device("auto") == torch.device("cpu")
    with pytest.raises(UsageError, match="no CUDA device is available"):
        chosen_device("cuda")
