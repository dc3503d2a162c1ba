"""New neurons are expected to fire, over all that the latents do, about as much as known ones."""

from __future__ import annotations

import torch

from ncyber_cli.model.mean_rate_prior import MeanRatePrior

MEAN, COVARIANCE = torch.tensor([0.3, -0.2]), torch.tensor([[1.0, 0.4], [0.4, 0.5]])


def learned(new_kinds: list[list[str]], log_linear: list[list[bool]], n_known: int = 2000) -> MeanRatePrior:
    """Spikes of mean rate e^-1 give or take a factor of e^.5, events of e^1."""
    generator = torch.Generator().manual_seed(0)
    readout = torch.randn(2 * n_known, 2, generator=generator)
    prior = MeanRatePrior(MEAN, COVARIANCE)
    level = torch.cat([-torch.ones(n_known), torch.ones(n_known)]) + 0.5 * torch.randn(2 * n_known, generator=generator)
    offset = level - prior.log_mean_rate(readout, torch.zeros(2 * n_known))
    kinds = ["spikes"] * n_known + ["events"] * n_known
    prior.learn(readout, offset, kinds, new_kinds, torch.tensor(log_linear))
    return prior


def test_the_mean_rate_is_that_over_the_latents() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = MEAN + torch.randn(400_000, 2, generator=generator) @ torch.linalg.cholesky(COVARIANCE).T
    readout, offset = torch.tensor([[0.8, -0.5]]), torch.tensor([-1.0])
    told = MeanRatePrior(MEAN, COVARIANCE).log_mean_rate(readout, offset)
    torch.testing.assert_close(told, (drawn @ readout.T + offset).exp().mean(0).log(), rtol=0.0, atol=0.01)


def test_each_kind_has_its_own_and_what_is_padded_or_linear_costs_nothing() -> None:
    prior = learned([["spikes", "events", "calcium"]], [[True, True, False, True]])
    torch.testing.assert_close(prior.mean[0, :2], torch.tensor([-1.0, 1.0]), rtol=0.0, atol=0.05)
    torch.testing.assert_close(prior.precision[0], torch.tensor([4.0, 4.0, 0.0, 0.0]), rtol=0.1, atol=0.0)
    readout, offset = torch.zeros(1, 4, 2), torch.tensor([[-1.0, 1.0, 50.0, -torch.inf]])
    assert prior(readout, offset).abs() < 0.01
    assert not prior.state_dict()


def test_its_curvature_is_that_of_its_density() -> None:
    prior = learned([["spikes"]], [[True]])
    readout = torch.tensor([0.8, -0.5])
    offset = prior.mean[0, 0] - prior.log_mean_rate(readout, torch.zeros(()))  # at its maximum, to first order exact

    def density(weights: torch.Tensor) -> torch.Tensor:
        return prior(weights[None, None, :2], weights[None, None, 2])

    hessian = torch.autograd.functional.hessian(density, torch.cat([readout, offset[None]]))
    torch.testing.assert_close(prior.curvature(readout[None, None])[0, 0], -hessian, rtol=1e-4, atol=1e-4)


def test_it_holds_back_a_readout_that_few_trials_let_explode() -> None:
    """Counts of bins in which a latent hardly moved: with the prior their mean rate stays one that neurons have."""
    prior = learned([["spikes"]], [[True]])
    generator = torch.Generator().manual_seed(1)
    latent = MEAN + 0.2 * torch.randn(30, 2, generator=generator)
    counts = torch.poisson(torch.full((30,), 0.4), generator=generator)

    def fitted(weight: float) -> torch.Tensor:
        readout, offset = torch.zeros(1, 1, 2, requires_grad=True), torch.zeros(1, 1, requires_grad=True)
        optimizer = torch.optim.LBFGS([readout, offset], max_iter=100, line_search_fn="strong_wolfe")

        def closure() -> float:
            optimizer.zero_grad()
            eta = latent @ readout[0, 0] + offset[0, 0]
            loss = (eta.exp() - counts * eta).sum() + 0.005 * readout.square().sum() - weight * prior(readout, offset)
            loss.backward()
            return float(loss.detach())

        optimizer.step(closure)
        return prior.log_mean_rate(readout, offset)[0, 0].detach()

    assert fitted(0.0) > fitted(1.0) + 0.5
    assert (fitted(1.0) + 1.0).abs() < 1.0
