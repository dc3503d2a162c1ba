"""Areas speak only through their messages; animals differ only through their embedding."""

from __future__ import annotations

import pytest
import torch

from ncyber_cli.model.brain import Areas, Brain, BrainWeights
from ncyber_cli.model.messages import wiring
from ncyber_cli.model.meta import Individuals

KINDS = pytest.mark.parametrize("kind", ["residual_mlp", "linear", "low_rank_rnn"])
AREAS = Areas(("M1", "PMd", "S1"), (3, 2, 1))
ANIMAL = torch.tensor([0, 1, 1, 0])


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make_brain(kind: str, areas: Areas = AREAS, size: int = 2) -> Brain:
    """Every weight random, every drive present."""
    torch.manual_seed(0)
    brain = Brain(
        kind, areas, 12, wiring(areas.names, 2, 0.02), 2, 4, 1, 2, Individuals(2, 2, size, 0), rank=3, leak=0.2
    ).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for seed, parameter in enumerate(brain.parameters()):
            parameter.copy_(random(*parameter.shape, seed=seed))
    return brain


def weights_of(brain: Brain) -> BrainWeights:
    return brain.at(brain.individuals(ANIMAL, ANIMAL), random(4, 1, seed=12))


def step(brain: Brain, latent: torch.Tensor, control: torch.Tensor | None = None) -> torch.Tensor:
    control = random(4, 2, seed=11) if control is None else control
    weights, given = weights_of(brain), random(1, 4, 1, seed=12)
    drive = brain.drive(weights, given, random(1, 4, 2, seed=13))[0]
    return brain.step(weights, latent, control, random(4, 4, seed=14), drive)


def influence(brain: Brain) -> torch.Tensor:
    """Which latent of now moves which latent of next, (n_latent, n_latent), over all trials."""
    latent, n = random(4, brain.areas.size, seed=10), brain.areas.size
    base = step(brain, latent)
    moved = [step(brain, latent + torch.eye(n, dtype=torch.float64)[i]) - base for i in range(n)]
    return torch.stack(moved).abs().amax(1) > 0


@KINDS
def test_an_area_without_messages_is_an_island(kind: str) -> None:
    brain = make_brain(kind)
    brain.messages.cut(brain.edges)
    area = AREAS.latent_area()
    assert torch.equal(influence(brain), area[:, None] == area[None])


@KINDS
def test_cutting_one_directed_edge_silences_that_edge_alone(kind: str) -> None:
    brain = make_brain(kind)
    area = AREAS.latent_area()
    brain.messages.cut([("PMd", "M1")])
    silent = (area[:, None] == 1) & (area[None] == 0)
    assert torch.equal(influence(brain), ~silent)


def test_one_area_has_no_messages() -> None:
    brain = make_brain("residual_mlp", Areas(("brain",), (4,)))
    assert brain.edges == []
    assert influence(brain).all()


@pytest.mark.parametrize("hidden", [3, 12, 50, 600])
def test_every_area_has_hidden_units_in_proportion_to_its_latents(hidden: int) -> None:
    count = torch.bincount(AREAS.hidden_area(hidden), minlength=3)
    assert count.sum() == hidden
    assert count.min() >= 1
    torch.testing.assert_close(
        count.double(), 1 + (hidden - 3) * torch.tensor([3.0, 2.0, 1.0]).double() / 6, rtol=0, atol=1.0
    )


@KINDS
def test_animals_at_zero_are_the_shared_brain_whatever_the_deltas(kind: str) -> None:
    brain, latent = make_brain(kind), random(4, 6, seed=10)
    alone = make_brain(kind, size=0)
    shared = {name for name in alone.state_dict() if not name.startswith("individuals")}
    alone.load_state_dict({name: brain.state_dict()[name] for name in shared}, strict=False)
    assert not torch.allclose(step(brain, latent), step(alone, latent))
    with torch.no_grad():
        brain.individuals.animals.mean.zero_()
    torch.testing.assert_close(step(brain, latent), step(alone, latent))


def test_animals_differ_by_a_low_rank_change_of_weights() -> None:
    brain, latent = make_brain("linear"), random(4, 6, seed=10)
    weights = weights_of(brain)
    shift = weights.shift
    delta = torch.einsum("nr,tr,rh->tnh", shift.read, shift.gain, shift.write)
    drive = brain.drive(weights, random(1, 4, 1, seed=12), random(1, 4, 2, seed=13))[0]
    expected = latent + drive + torch.einsum("tn,tnh->th", latent, weights.recurrent + delta)
    torch.testing.assert_close(brain.step(weights, latent, None, None, drive), expected)


def test_command_and_feedback_are_felt_in_units_of_their_spread() -> None:
    brain, latent = make_brain("linear"), random(4, 6, seed=10)
    control, feedback = random(4, 2, seed=1), random(4, 4, seed=2)
    given, goal = torch.zeros(1, 4, 1, dtype=torch.float64), torch.zeros(1, 4, 2, dtype=torch.float64)
    weights = weights_of(brain)
    plain = brain.step(weights, latent, control, feedback, brain.drive(weights, given, goal)[0])
    mean, sd = random(4, seed=3), random(4, seed=4).exp()
    brain.standardise(torch.tensor(7.0), mean, sd)
    weights = weights_of(brain)
    scaled = brain.step(weights, latent, 7 * control, mean + sd * feedback, brain.drive(weights, given, goal)[0])
    torch.testing.assert_close(scaled, plain)


def test_a_leaky_network_without_input_forgets() -> None:
    brain, latent = make_brain("low_rank_rnn"), random(4, 6, seed=10)
    with torch.no_grad():
        brain.out.zero_()
    torch.testing.assert_close(step(brain, latent), 0.8 * latent)


def test_a_context_shifts_the_weights_smoothly_and_not_at_its_mean() -> None:
    """At the mean context the brain is the shared one; the shift is in units of the context's spread."""
    torch.manual_seed(0)
    brain = Brain("linear", AREAS, 12, None, 0, 0, 2, 0, Individuals(1, 1, 0, 0), rank=3, context_columns=[1]).double()
    brain.standardise_inputs(torch.tensor([0.0, 50.0]), torch.tensor([1.0, 20.0]))

    def gain(context: float) -> torch.Tensor:
        return brain.at(None, torch.tensor([[9.0, context]], dtype=torch.float64)).shift.gain[0]

    assert not gain(50.0).any()
    assert gain(70.0).abs().max() > 0.1
    low, between, high = gain(60.0), gain(60.5), gain(61.0)
    torch.testing.assert_close(between, 0.5 * (low + high), rtol=1e-2, atol=1e-3)


def test_embeddings_of_linear_dynamics_begin_without_growth_to_speak_of() -> None:
    """Nothing bounds a linear brain: an embedding from its prior may not multiply latents within a trial."""
    torch.manual_seed(0)
    brain = Brain("linear", AREAS, 6, None, 0, 0, 0, 0, Individuals(20, 1, 3, 0), rank=4).double()
    shift = brain.at(random(20, 3), torch.zeros(20, 0).double()).shift
    delta = torch.einsum("nr,tr,rh->tnh", shift.read, shift.gain, shift.write)
    assert torch.linalg.eigvals(torch.eye(6) + delta).abs().max() < 1.1
