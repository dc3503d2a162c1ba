"""The `switching` prior's price: the true KL where one component explains a bin, never below it anywhere."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise, product

import torch
from torch.distributions import Independent, Normal

from ncyber_cli.inference.encoder import Messages
from ncyber_cli.inference.objective_posterior import objective_posterior, switching_kl
from ncyber_cli.model.objective import Objective
from ncyber_cli.model.prototypes import PrototypeLaw

F64 = torch.float64


def law() -> PrototypeLaw:
    position = torch.tensor([[1.0, 0.0], [-1.0, 0.2], [0.0, -1.0]], dtype=F64)
    both = torch.ones(2, dtype=F64)
    return PrototypeLaw(position, 0.1 * both, 0.03**2 * both, torch.tensor(0.05, dtype=F64))


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def next_bin(made: PrototypeLaw, path: torch.Tensor) -> torch.distributions.MixtureSameFamily:
    """p(o_t | o_1 ... o_{t-1}) after the path (time, n), from a sum over every discrete path and kind of step."""
    number, moves, ones = len(made.position), made.log_moves(), torch.ones_like(made.spread)

    def parts(before: int | None, after: int, t: int) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Weight, mean and sd of all that bin t may be."""
        centre = made.position[after]
        anew = [(torch.tensor(0.9), centre, made.spread), (torch.tensor(0.1), centre, ones)]
        if before != after:
            return anew
        held = centre + made.keep * (path[t - 1] - centre)
        return [(made.leave * w, m, sd) for w, m, sd in anew] + [(1 - made.leave, held, made.step_variance.sqrt())]

    found = []
    for states in product(range(number), repeat=len(path) + 1):
        weight = torch.zeros((), dtype=F64)
        for t, (before, after) in enumerate(pairwise((None, *states))):
            weight = weight + (0.0 if before is None else moves[before, after])
            if t < len(path):
                kinds = [w.log() + Normal(m, sd).log_prob(path[t]).sum() for w, m, sd in parts(before, after, t)]
                weight = weight + torch.stack(kinds).logsumexp(0)
            else:
                found += [(weight + w.log(), m, sd) for w, m, sd in parts(before, after, t)]
    weights, centres, sds = (torch.stack(list(part)) for part in zip(*found, strict=True))
    components = Independent(Normal(centres, sds), 1)
    return torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=weights), components)


def monte_carlo(made: PrototypeLaw, path: torch.Tensor, mean: torch.Tensor, sd: torch.Tensor) -> float:
    posterior = Independent(Normal(mean, sd), 1)
    sample = mean + sd * random(20_000, 2, seed=5)
    return float((posterior.log_prob(sample) - next_bin(made, path).log_prob(sample)).mean())


def prices(made: PrototypeLaw, path: torch.Tensor, sd: torch.Tensor) -> torch.Tensor:
    return switching_kl(made, path[:, None], path[:, None], sd.square()[:, None])[:, 0]


def test_the_price_is_the_true_kl_in_dwells_and_at_changes() -> None:
    made = law()
    path = made.position[torch.tensor([0, 0, 2, 2])] + 0.01 * random(4, 2)
    sd = torch.where(torch.tensor([True, False, True, False])[:, None], 0.05, 0.02).to(F64).expand(4, 2)
    found = prices(made, path, sd)
    for t in range(4):
        assert abs(found[t].item() - monte_carlo(made, path[:t], path[t], sd[t])) < 0.03, t
    assert found[2] - found[1] > -math.log(0.05)  # a change pays at least the odds of leaving


def test_the_price_is_never_below_the_true_kl() -> None:
    made = law()
    for seed in range(6):
        path, sd = 0.8 * random(4, 2, seed=seed), (random(4, 2, seed=seed + 50) - 1).exp()
        found = prices(made, path, sd)
        for t in range(4):
            true = monte_carlo(made, path[:t], path[t], sd[t])
            assert found[t].item() >= true - 0.02 * (1 + abs(true))


def test_chasing_noise_pays_in_every_bin() -> None:
    """Off its prototype an objective has to be redrawn twice, and lands far from where any prototype is."""
    made = law()
    still = made.position[0].expand(20, 2)
    chasing = still + 0.3 * random(20, 2)
    sd = torch.full((20, 2), 0.03, dtype=F64)
    assert (prices(made, chasing, sd)[1:].mean() - prices(made, still, sd)[1:].mean()) > 2


def test_its_gradient_is_that_of_finite_differences() -> None:
    made = law()
    parts = (random(5, 2, 2), random(5, 2, 2, seed=1), (random(5, 2, 2, seed=2) - 1).exp())

    def price(path: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
        return switching_kl(made, path, mean, variance)

    assert torch.autograd.gradcheck(price, tuple(part.requires_grad_() for part in parts))


def switching() -> Objective:
    objective = Objective("switching", torch.zeros(2), torch.ones(2), 0.02, 0.5, most_prototypes=4).double()
    objective.anneal(1.0)
    return objective


def messages(n_time: int, n_trial: int) -> Messages:
    both = random(n_time, n_trial, 2)
    nothing = torch.zeros(n_time, n_trial, 0, dtype=F64)
    none = torch.zeros(n_trial, 0, dtype=F64)
    return Messages(nothing, nothing, both, both - 1, both - 2, none, none, nothing, nothing)


def test_the_posterior_moves_every_number_of_the_prior() -> None:
    objective = switching()
    assert objective.prototypes is not None
    objective.prototypes.place(law())
    seen = torch.ones(6, 3, dtype=torch.bool)
    found = objective_posterior(objective, messages(6, 3), random(6, 3, 2), seen)
    found.kl.sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in objective.prototypes.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().sum() > 0, name


def test_bins_that_are_not_seen_cost_no_more_than_staying() -> None:
    objective = switching()
    assert objective.prototypes is not None
    objective.prototypes.place(law())
    seen = torch.arange(30)[:, None].expand(30, 2) < 3
    told = replace(
        messages(30, 2),
        objective=law().position[0].expand(30, 2, 2),
        objective_log_ratio=torch.full((30, 2, 2), 10.0, dtype=F64),
        objective_log_redraw=torch.full((30, 2, 2), -3.0, dtype=F64),
    )
    found = objective_posterior(objective, told, random(30, 2, 2), seen)
    staying = -2 * math.log1p(-0.05)  # neither leaving nor drawn anew
    assert found.kl[10:].detach().mean() < staying + 0.05


def test_before_its_prototypes_are_placed_it_is_charged_as_jump() -> None:
    objective, jump = switching(), Objective("jump", torch.zeros(2), torch.ones(2), 0.02, 0.5).double()
    jump.anneal(1.0)
    arguments = messages(6, 3), random(6, 3, 2), torch.ones(6, 3, dtype=torch.bool)
    ours, theirs = (objective_posterior(one, *arguments) for one in (objective, jump))
    torch.testing.assert_close(ours.path, theirs.path)
    torch.testing.assert_close(ours.kl, theirs.kl)
