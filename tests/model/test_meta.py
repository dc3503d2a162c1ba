"""Animals share a value and differ around it; one animal is the shared value."""

from __future__ import annotations

import pytest
import torch

from ncyber_cli.model.meta import Embedding, Pooled


@pytest.mark.parametrize("start", [2.0, torch.tensor([1.0, 3.0])])
def test_every_animal_starts_at_the_shared_value(start: float | torch.Tensor) -> None:
    value = Pooled(start, 3)(torch.tensor([2, 0]))
    torch.testing.assert_close(value, torch.as_tensor(start).expand(value.shape))


def test_one_animal_has_no_deviation() -> None:
    pooled, embedding = Pooled(2.0, 1), Embedding(1, 4)
    assert not pooled.deviation.requires_grad
    assert pooled.log_shared.requires_grad
    assert pooled.log_prior() == 0
    assert embedding.size == 0
    assert embedding(torch.zeros(3, dtype=torch.long)).shape == (3, 0)


def test_a_fixed_value_does_not_learn() -> None:
    assert not any(parameter.requires_grad for parameter in Pooled(2.0, 3, fixed=True).parameters())


def test_deviations_are_positive_factors_in_units_of_their_spread() -> None:
    pooled = Pooled(2.0, 3, sd=0.5)
    with torch.no_grad():
        pooled.deviation.copy_(torch.tensor([-2.0, 0.0, 2.0]))
    value = pooled(torch.arange(3))
    torch.testing.assert_close(value, 2.0 * torch.tensor([-1.0, 0.0, 1.0]).exp())
    assert pooled.log_prior().item() == pytest.approx(-4.0)
