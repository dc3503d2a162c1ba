"""Forward-backward equals the sum over every discrete path, its gradient equals finite differences."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch

from ncyber_cli.model.hidden_markov import forward, smoothed, stays

SIZES = pytest.mark.parametrize(("n_time", "n_state"), [(1, 2), (2, 3), (5, 3), (6, 2)])


def chain(n_time: int, n_state: int, n_trial: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Potentials of no particular scale: evidence need not be normalised."""
    generator = torch.Generator().manual_seed(n_time)
    first = 3 * torch.randn(n_trial, n_state, generator=generator, dtype=torch.float64)
    steps = 3 * torch.randn(n_time - 1, n_trial, n_state, n_state, generator=generator, dtype=torch.float64)
    return first, steps


def weights_of_paths(first: torch.Tensor, steps: torch.Tensor) -> dict[tuple[int, ...], torch.Tensor]:
    """The log weight (trial,) of every discrete path, by definition."""
    found = {}
    for path in product(range(first.shape[1]), repeat=len(steps) + 1):
        weight = first[:, path[0]].clone()
        for t, (before, after) in enumerate(pairwise(path)):
            weight = weight + steps[t, :, before, after]
        found[path] = weight
    return found


@SIZES
def test_the_evidence_is_the_sum_over_all_paths(n_time: int, n_state: int) -> None:
    first, steps = chain(n_time, n_state)
    weights = torch.stack(list(weights_of_paths(first, steps).values()))
    torch.testing.assert_close(forward(first, steps).log_evidence.sum(0), weights.logsumexp(0))


@SIZES
def test_filter_and_smoother_are_shares_of_the_paths(n_time: int, n_state: int) -> None:
    first, steps = chain(n_time, n_state)
    filtered = forward(first, steps)
    for t, state in product(range(n_time), range(n_state)):
        for upto, found in ((t + 1, filtered.log_state.exp()), (n_time, smoothed(filtered, steps))):
            weights = weights_of_paths(first, steps[: upto - 1])
            through = torch.stack([weight for path, weight in weights.items() if path[t] == state]).logsumexp(0)
            share = (through - torch.stack(list(weights.values())).logsumexp(0)).exp()
            torch.testing.assert_close(found[t, :, state], share)


@SIZES
def test_expected_stays_are_counted_over_all_paths(n_time: int, n_state: int) -> None:
    first, steps = chain(n_time, n_state)
    weights = weights_of_paths(first, steps)
    share = torch.stack(list(weights.values())).softmax(0).sum(1)
    counts = torch.tensor([sum(a == b for a, b in pairwise(p)) for p in weights], dtype=torch.float64)
    torch.testing.assert_close(stays(forward(first, steps), steps).sum(), (share * counts).sum())


def test_gradients_are_finite_differences() -> None:
    first, steps = (part.requires_grad_() for part in chain(4, 3))

    def outcome(first: torch.Tensor, steps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        filtered = forward(first, steps)
        return filtered.log_evidence, smoothed(filtered, steps)

    assert torch.autograd.gradcheck(outcome, (first, steps))


def test_the_gradient_of_the_evidence_is_the_posterior_of_the_steps() -> None:
    """Fisher's identity: an independent check of the backward pass."""
    first, steps = (part.requires_grad_() for part in chain(5, 3))
    filtered = forward(first, steps)
    filtered.log_evidence.sum().backward()  # type: ignore[no-untyped-call]
    assert steps.grad is not None
    torch.testing.assert_close(steps.grad.sum(2), smoothed(filtered, steps)[1:])


def test_evidence_of_any_size_stays_finite() -> None:
    first, steps = chain(50, 4)
    filtered = forward(1e6 * first, 1e6 * steps)
    assert torch.isfinite(smoothed(filtered, 1e6 * steps)).all()
    assert torch.isfinite(filtered.log_evidence).all()
