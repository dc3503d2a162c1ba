"""The backbone's scan is its for-loop, forward and backward, and runs in the direction of time."""

from __future__ import annotations

import torch

from ncyber_cli.inference.recurrence import AffineScan, Backbone


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loop(gate: torch.Tensor, push: torch.Tensor) -> torch.Tensor:
    states = [push[0]]
    for t in range(1, len(push)):
        states.append(gate[t] * states[-1] + push[t])
    return torch.stack(states)


def test_the_scan_and_its_gradients_are_those_of_the_loop() -> None:
    inputs = [random(6, 2, 3, seed=seed).requires_grad_() for seed in (0, 1)]
    weight = random(6, 2, 3, seed=2)
    torch.testing.assert_close(AffineScan.apply(*inputs), loop(*inputs))
    ours = torch.autograd.grad((weight * AffineScan.apply(*inputs)).sum(), inputs)
    theirs = torch.autograd.grad((weight * loop(*inputs)).sum(), inputs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_a_backbone_knows_the_past_and_nothing_after() -> None:
    torch.manual_seed(0)
    backbone = Backbone(4).double()
    values = random(9, 2, 4)
    future = torch.cat([values[:5], random(4, 2, 4, seed=1)])
    past = torch.cat([random(1, 2, 4, seed=2), values[1:]])
    with torch.no_grad():
        assert torch.equal(backbone(values)[:5], backbone(future)[:5])
        assert not torch.allclose(backbone(values)[-1], backbone(past)[-1])
