"""One whole training step away from the CPU: no stray CPU tensor, no wait of the host for the device.

The `meta` device computes shapes only. A CPU tensor in an element-wise operation raises there, and so
does everything that reads a value back: `.item()`, `bool(tensor)`, boolean indexing, `nonzero`.
"""

from __future__ import annotations

import copy
from dataclasses import fields
from typing import Any

import pytest
import torch
from tiny import MODELS, Tiny, make_tiny

from ncyber_cli.inference.elbo import Noise, draw_noise
from ncyber_cli.training.blinding import Blinding, draw_blinding
from ncyber_cli.training.schedule import make_optimizer
from ncyber_cli.training.step import StepResult, train_step

EVERY_MODEL = pytest.mark.parametrize("kind", MODELS)


def one_step(tiny: Tiny, device: str, noise: Noise, blinding: Blinding) -> tuple[torch.nn.Module, StepResult]:
    model = copy.deepcopy(tiny.model).to(device)
    optimizer = make_optimizer(model, 1e-3, 1e-4)
    result = train_step(model, optimizer, tiny.batch.to(device), blinding, noise, 1.0, len(tiny.batch.session))
    return model, result


@EVERY_MODEL
def test_a_training_step_touches_neither_the_cpu_nor_the_host(kind: str) -> None:
    tiny = make_tiny(kind, dtype="float32")
    batch, model = tiny.batch.to("meta"), copy.deepcopy(tiny.model).to("meta")
    n_trial, n_time = batch.mask.shape
    noise = draw_noise(model, n_time, n_trial, None)
    blinding = draw_blinding(batch, tiny.spec.inference, None)
    for record in (noise, blinding):
        assert all(not torch.is_tensor(part) or part.is_meta for part in record.__dict__.values())
    model, result = one_step(tiny, "meta", noise, blinding)
    assert result.loss.is_meta
    assert result.elbo.is_meta
    assert result.finite.is_meta
    assert all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@EVERY_MODEL
def test_cuda_is_the_cpu(kind: str) -> None:
    tiny = make_tiny(kind)
    n_trial, n_time = tiny.batch.mask.shape
    generator = torch.Generator().manual_seed(0)
    noise = draw_noise(tiny.model, n_time, n_trial, generator)
    blinding = draw_blinding(tiny.batch, tiny.spec.inference, generator)
    here, on_cpu = one_step(tiny, "cpu", noise, blinding)
    there, on_cuda = one_step(tiny, "cuda", _to_cuda(noise), _to_cuda(blinding))
    torch.testing.assert_close(on_cuda.loss.cpu(), on_cpu.loss, rtol=1e-8, atol=1e-8)
    for name, values in here.state_dict().items():
        torch.testing.assert_close(there.state_dict()[name].cpu(), values, rtol=1e-6, atol=1e-7)


def _to_cuda(record: Any) -> Any:
    parts = {f.name: getattr(record, f.name) for f in fields(record)}
    return type(record)(**{name: part.cuda() if torch.is_tensor(part) else part for name, part in parts.items()})
