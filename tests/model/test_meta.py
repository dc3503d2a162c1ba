"""Animals share a value and differ around it; one animal is the shared value."""

from __future__ import annotations

import pytest
import torch

from ncyber_cli.model.meta import Embedding, Individuals, Pooled


@pytest.mark.parametrize("start", [2.0, torch.tensor([1.0, 3.0])])
def test_every_animal_starts_at_the_shared_value(start: float | torch.Tensor) -> None:
    value = Pooled(start, 3)(torch.tensor([2, 0]))
    torch.testing.assert_close(value, torch.as_tensor(start).expand(value.shape))


def test_one_animal_has_no_deviation() -> None:
    pooled = Pooled(2.0, 1)
    assert not pooled.deviation.requires_grad
    assert pooled.log_shared.requires_grad
    assert pooled.log_prior() == 0


def test_a_fixed_value_does_not_learn() -> None:
    assert not any(parameter.requires_grad for parameter in Pooled(2.0, 3, fixed=True).parameters())


def test_deviations_are_positive_factors_in_units_of_their_spread() -> None:
    pooled = Pooled(2.0, 3, sd=0.5)
    with torch.no_grad():
        pooled.deviation.copy_(torch.tensor([-2.0, 0.0, 2.0]))
    value = pooled(torch.arange(3))
    torch.testing.assert_close(value, 2.0 * torch.tensor([-1.0, 0.0, 1.0]).exp())
    assert pooled.log_prior().item() == pytest.approx(-4.0)


def test_the_price_of_an_embedding_is_its_divergence_from_the_prior() -> None:
    embedding = Embedding(3, 2)
    with torch.no_grad():
        embedding.mean.copy_(torch.randn(3, 2, generator=torch.Generator().manual_seed(0)))
        embedding.log_sd.copy_(torch.randn(3, 2, generator=torch.Generator().manual_seed(1)))
    posterior = torch.distributions.Normal(embedding.mean, embedding.log_sd.exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum()
    torch.testing.assert_close(-embedding.log_prior(), expected)


def test_a_trial_has_the_embedding_of_its_animal_and_of_its_session() -> None:
    individuals = Individuals(2, 3, 2, 1)
    with torch.no_grad():
        individuals.animals.mean.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        individuals.sessions.mean.copy_(torch.tensor([[5.0], [6.0], [7.0]]))
        individuals.sessions.log_sd.fill_(0.0)
    animal, session = torch.tensor([1, 0]), torch.tensor([2, 0])
    assert individuals(animal, session).tolist() == [[3.0, 4.0, 7.0], [1.0, 2.0, 5.0]]
    noise = torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    assert individuals(animal, session, noise).tolist() == [[3.0, 4.0, 9.0], [1.0, 2.0, 5.0]]
