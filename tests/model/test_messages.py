"""Messages arrive when they should, are priced by what they do, and cost nothing where the spec says nothing."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from ncyber_cli.model.brain import Areas, Brain
from ncyber_cli.model.messages import Axons, Price, all_edges, wiring
from ncyber_cli.model.meta import Individuals

AREAS = Areas(("M1", "PMd", "S1"), (3, 2, 1))
BIN_S = 0.02


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def brain_with(kind: str = "residual_mlp", **how: object) -> Brain:
    torch.manual_seed(0)
    wires = wiring(AREAS.names, 2, BIN_S, **how)  # type: ignore[arg-type]
    brain = Brain(kind, AREAS, 12, wires, 0, 0, 0, 0, Individuals(1, 1, 0, 0), rank=1).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for seed, parameter in enumerate(brain.parameters()):
            parameter.copy_(random(*parameter.shape, seed=seed) if parameter.ndim > 1 else parameter)
    return brain


def path_of(brain: Brain, kicked_at: int | None = None, n_time: int = 12) -> torch.Tensor:
    """Latents (time, n_latent) from zero on without noise, M1 kicked in one bin."""
    latent, axons = torch.zeros(1, AREAS.size).double(), None
    weights, drive = brain.at(None, torch.zeros(1, 0).double()), torch.zeros(1, brain.hidden).double()
    path = []
    for t in range(n_time):
        latent = latent + (AREAS.latent_area() == 0).double() * (t == kicked_at)
        axons = brain.axons(latent, None) if axons is None else axons
        path.append(latent[0])
        latent = brain.step(weights, latent, None, None, drive, None if axons is None else axons.carry(latent))
    return torch.stack(path)


@pytest.mark.parametrize(("delay_s", "late"), [(0.0, 0), (0.02, 1), (0.06, 3), (0.03, 1)])
def test_a_message_arrives_a_step_and_its_delay_later(delay_s: float, late: int) -> None:
    brain = brain_with(edges=["M1:PMd"], delay_s=delay_s)
    kicked = (path_of(brain, 2) != path_of(brain))[:, AREAS.latent_area() == 1].any(1)
    assert int(kicked.nonzero()[0]) == 2 + 1 + late


def test_edges_have_delays_of_their_own() -> None:
    brain = brain_with(delay_s={"M1:PMd": 0.04, "PMd:S1": 0.1})
    assert dict(zip(brain.edges, brain.messages.delay_bins().tolist(), strict=True)) == {
        edge: {("M1", "PMd"): 2.0, ("PMd", "S1"): 5.0}.get(edge, 0.0) for edge in all_edges(AREAS.names)
    }


@pytest.mark.parametrize("delay_s", [0.02, 0.037, 0.1, "learned"])
def test_the_recursion_hears_what_the_whole_path_says(delay_s: float | str) -> None:
    messages, latent = brain_with(delay_s=delay_s).messages, random(9, 4, 6)
    axons = Axons(messages.sent(), messages.arriving(), latent[0], None)
    torch.testing.assert_close(torch.stack([axons.carry(each) for each in latent]), messages.heard(latent))


def test_axons_that_are_cut_go_on_as_if_they_had_not_been() -> None:
    messages, latent = brain_with(delay_s=0.07).messages, random(9, 4, 6)
    before = latent[:5].flip(0).transpose(0, 1)
    axons = Axons(messages.sent(), messages.arriving(), latent[5], before)
    torch.testing.assert_close(torch.stack([axons.carry(each) for each in latent[5:]]), messages.heard(latent)[5:])


def test_no_delay_is_the_limit_of_short_ones() -> None:
    at_once, soon = brain_with(), brain_with(delay_s=1e-9)
    soon.load_state_dict(at_once.state_dict())
    torch.testing.assert_close(path_of(soon, 1), path_of(at_once, 1), rtol=1e-6, atol=1e-6)


def test_a_learned_delay_is_learned() -> None:
    messages = brain_with(delay_s="learned").messages
    messages.heard(random(9, 4, 6)).square().sum().backward()
    assert (messages.log_delay.grad != 0).all()


def test_nats_are_the_divergence_of_a_step_from_one_without_the_message() -> None:
    """Exactly so where the brain is linear."""
    brain, latent, variance = brain_with("linear"), random(5, 4, 6), random(6, seed=1).exp()
    weights, drive = brain.at(None, torch.zeros(4, 0).double()), torch.zeros(4, brain.hidden).double()
    found = brain.messages.nats(latent, brain.response(), variance)
    for edge in brain.edges:
        other = brain_with("linear")
        other.messages.cut([edge])
        means = [b.step(w, latent[2], None, None, drive) for b, w in ((brain, weights), (other, other.at(None, drive)))]
        steps = [Independent(Normal(mean, variance.sqrt()), 1) for mean in means]
        torch.testing.assert_close(found[2, :, brain.edges.index(edge)], kl_divergence(*steps))


def test_a_message_that_never_changes_says_nothing() -> None:
    brain = brain_with()
    still = random(1, 1, 6).expand(5, 4, 6)
    nats = brain.messages.nats(still, brain.response(), torch.ones(6).double(), around_mean=True)
    torch.testing.assert_close(nats, torch.zeros_like(nats))


@pytest.mark.parametrize(("kind", "power"), [("kl", 2), ("l1", 1)])
def test_what_a_louder_message_costs(kind: str, power: int) -> None:
    brain = brain_with(price=Price(kind, 0.5))  # type: ignore[arg-type]
    latent, inside = random(5, 4, 6), torch.ones(5, 4, dtype=torch.bool)

    def cost() -> float:
        nats = brain.messages.nats(latent, brain.response(), torch.ones(6).double())
        return float(brain.messages.cost(nats, inside).detach())

    before = cost()
    with torch.no_grad():
        brain.messages.send *= 3
    assert cost() == pytest.approx(before * 3**power, rel=1e-3)
    assert math.isfinite(before)


def test_bins_after_a_trial_cost_nothing() -> None:
    messages = brain_with(price=Price("kl", 1.0)).messages
    nats, inside = random(5, 4, 6).square(), torch.arange(5)[:, None] < torch.tensor([5, 3, 1, 0])
    wild = torch.where(inside[:, :, None], nats, 1e6)
    torch.testing.assert_close(messages.cost(wild, inside), nats[inside].sum())


def test_edges_that_are_not_named_are_not_there() -> None:
    brain = brain_with(edges=["PMd:M1"])
    assert brain.edges == [("PMd", "M1")]
    assert brain_with(edges=[]).messages is None
