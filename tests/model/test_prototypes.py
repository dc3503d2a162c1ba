"""A switching objective holds near one of K prototypes, leaves at its rate, and is told apart from its path alone."""

from __future__ import annotations

import math
from itertools import pairwise, product

import torch
from torch.distributions import Normal

from ncyber_cli.model.objective import Objective
from ncyber_cli.model.prototypes import PrototypeLaw, Prototypes

F64 = torch.float64
BIN_S = 0.02


def law(leave: float = 0.03, spread: float = 0.1, drift: float = 0.01) -> PrototypeLaw:
    position = torch.tensor([[1.0, 0.0], [-1.0, 0.2], [0.0, -1.0]], dtype=F64)
    both = torch.ones(2, dtype=F64)
    return PrototypeLaw(position, spread * both, drift**2 * both, torch.tensor(leave, dtype=F64))


def noise_of(bins: int, trials: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Standard noise (time, trial, 2) and uniform lots (time, trial)."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(bins, trials, 2, generator=generator, dtype=F64)
    return noise, torch.rand(bins, trials, generator=generator, dtype=F64)


def draw(made: PrototypeLaw, bins: int, trials: int) -> torch.Tensor:
    noise, uniform = noise_of(bins, trials)
    return made.sample(noise, uniform, torch.full_like(noise, torch.nan))


def drawn_anew(made: PrototypeLaw, state: int, bin_of_path: torch.Tensor) -> torch.Tensor:
    """log of 0.9 N(mu, spread^2) + 0.1 N(mu, 1)."""
    near, anywhere = (Normal(made.position[state], sd).log_prob(bin_of_path).sum().exp() for sd in (made.spread, 1.0))
    return (0.9 * near + 0.1 * anywhere).log()


def by_definition(made: PrototypeLaw, path: torch.Tensor) -> torch.Tensor:
    """log p(path) of one trial (time, n), summed over every discrete path."""
    number, moves = len(made.position), made.log_moves()
    total = []
    for states in product(range(number), repeat=len(path)):
        weight = drawn_anew(made, states[0], path[0]) - math.log(number)
        for t, (before, after) in enumerate(pairwise(states), start=1):
            density = drawn_anew(made, after, path[t]).exp()
            if before == after:
                centre = made.position[after] + made.keep * (path[t - 1] - made.position[after])
                held = Normal(centre, made.step_variance.sqrt()).log_prob(path[t]).sum().exp()
                density = (1 - made.leave) * held + made.leave * density
            weight = weight + moves[before, after] + density.log()
        total.append(weight)
    return torch.stack(total).logsumexp(0)


def test_the_density_of_a_path_is_the_sum_over_all_discrete_paths() -> None:
    made = law()
    path = torch.stack([draw(made, 5, 3), 0.3 * noise_of(5, 3)[0]], 1).flatten(1, 2)
    found = made.filtered(path).log_evidence.sum(0)
    expected = torch.stack([by_definition(made, path[:, trial]) for trial in range(path.shape[1])])
    torch.testing.assert_close(found, expected)


def test_rows_of_the_transition_sum_to_one() -> None:
    torch.testing.assert_close(law().log_moves().exp().sum(1), torch.ones(3, dtype=F64))


def test_paths_keep_the_prototypes_spread_and_leave_at_the_stated_rate() -> None:
    made = law(leave=0.05)
    path = draw(made, 80, 3000)
    nearest = made.nearest(path)
    for t in (0, 79):
        off = (path[t] - made.position[nearest[t]]).abs()
        if t == 0:  # nine in ten within a spread's normal: the median is hardly moved by the rest
            torch.testing.assert_close(off.median(0).values / 0.6745, made.spread, rtol=0.2, atol=0)
        share = torch.bincount(nearest[t], minlength=3) / 3000
        torch.testing.assert_close(share, torch.full((3,), 1 / 3), rtol=0, atol=0.03)
    assert 0.05 * 0.8 < (nearest[1:] != nearest[:-1]).double().mean().item() < 0.05 * 1.5  # some lie astray


def test_the_discrete_path_is_read_off_the_continuous_one() -> None:
    made = law()
    path = draw(made, 60, 200)
    found = made.smoothed(path, torch.ones(200, 60, dtype=torch.bool))
    torch.testing.assert_close(found.sum(-1), torch.ones(60, 200, dtype=F64))
    assert (found.argmax(-1) == made.nearest(path)).double().mean() > 0.95  # some lie astray


def test_bins_outside_the_mask_say_nothing() -> None:
    made = law(spread=0.8)
    path, mask = draw(made, 12, 4), torch.arange(12) < torch.tensor([12, 9, 5, 1])[:, None]
    whole = made.smoothed(path, mask)
    for trial, length in enumerate(mask.sum(1).tolist()):
        alone = made.smoothed(path[:length, trial : trial + 1], mask[trial : trial + 1, :length])
        torch.testing.assert_close(whole[:length, trial], alone[:, 0])


def test_held_bins_take_the_prototype_they_are_nearest_to() -> None:
    made = law(leave=1e-9)
    noise, uniform = torch.zeros(6, 1, 2, dtype=F64), torch.full((6, 1), 0.5, dtype=F64)
    held = torch.full_like(noise, torch.nan)
    held[2] = made.position[2] + 0.05
    path = made.sample(noise, uniform, held)
    assert torch.equal(path[2], held[2])
    assert torch.equal(made.nearest(path)[:, 0], torch.tensor([1, 1, 2, 2, 2, 2]))


def test_placing_gives_the_law_back_and_a_checkpoint_remembers_how_many_there_are() -> None:
    made, placed = law(), Prototypes(5, 2, 0.3, BIN_S).double()
    placed.place(made)
    again = Prototypes(5, 2, 0.3, BIN_S).double()
    again.load_state_dict(placed.state_dict())
    for module in (placed, again):
        found = module.law(made.step_variance)
        for name in ("position", "spread", "leave"):
            torch.testing.assert_close(getattr(found, name).detach(), getattr(made, name))


def test_frequent_changes_are_charged_by_the_prior() -> None:
    module = Prototypes(3, 2, 0.3, BIN_S)
    usual = module.log_prior().item()
    with torch.no_grad():
        module.log_rate.fill_(2.0)
    assert module.log_prior().item() < usual - 5


def objective() -> Objective:
    mean, sd = torch.tensor([0.5, -1.0], dtype=F64), torch.tensor([0.1, 2.0], dtype=F64)
    return Objective("switching", mean, sd, BIN_S, 1.0, most_prototypes=4).double()


def test_a_switching_objective_is_a_jumping_one_until_its_prototypes_are_placed() -> None:
    switching, jump = objective(), Objective("jump", objective().mean, objective().sd, BIN_S, 1.0)
    noise, uniform = noise_of(30, 5)
    torch.testing.assert_close(switching.sample(noise, uniform), jump.sample(noise, uniform))
    assert switching.prototype_law() is None
    assert (switching.awaits_prototypes(0.2), switching.awaits_prototypes(0.6)) == (False, True)
    assert not switching.settled(1.0)
    assert switching.prototypes is not None
    switching.prototypes.place(law())
    assert (switching.awaits_prototypes(0.6), switching.settled(0.6)) == (False, True)


def test_its_paths_are_in_the_objectives_units() -> None:
    switching = objective()
    assert switching.prototypes is not None
    switching.anneal(1.0)
    switching.prototypes.place(law())
    with torch.no_grad():
        path = switching.sample(*noise_of(40, 50))
    near = (switching.normalise(path)[..., None, :] - law().position).norm(dim=-1).amin(-1)
    assert near.median() < 0.2
