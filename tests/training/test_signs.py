"""The sign of the cheap optimum, on bodies whose objective is known: changes of mind pass, chased noise does not."""

from __future__ import annotations

import pytest
import torch
from tiny import make_session, make_spec
from torch import Tensor

from ncyber_cli.data.batches import Cohort
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.posterior import Moments
from ncyber_cli.model.controller import Belief
from ncyber_cli.model.objective import Objective
from ncyber_cli.training import signs
from ncyber_cli.training.measure import measure

TRIALS, BINS, JUMP = 40, 60, 30
NOISE = 0.01  # m/s, the sd of the hand's one-step residual
SMEAR = 6  # bins over which a posterior mean spreads a change of mind


class World:
    """Hands that a model of its own kind moves: goals that jump in some trials, motor noise in every bin."""

    def __init__(self, jumping: int) -> None:
        spec = make_spec(
            {"controller": {"kind": "setpoint"}, "body": {"kind": "point_mass"}, "objective": {"prior": "jump"}}
        )
        session = make_session(trials=TRIALS, bins=BINS)
        session.force[:] = 0
        session.body[1] = 0  # it has gaps
        self.cohort = Cohort([session], ["a"], dtype=torch.float64)
        self.spec, generator = spec, torch.Generator().manual_seed(0)
        self.model: NeuroModel = assemble(spec, measure(spec, self.cohort), generator)
        self.objective = torch.randn(TRIALS, 1, 2, generator=generator, dtype=torch.float64).mul(0.1).repeat(1, BINS, 1)
        jump = 0.1 * torch.randn(jumping, 1, 2, generator=generator, dtype=torch.float64)
        self.objective[:jumping, JUMP:] += jump
        self.latent = torch.zeros(TRIALS, BINS, 3, dtype=torch.float64)
        self.residual = NOISE * torch.randn(TRIALS, BINS, 2, generator=generator, dtype=torch.float64)
        self.body = torch.zeros(TRIALS, BINS, 4, dtype=torch.float64)
        self.body, _ = self.moved(self.objective, self.residual)
        session.body[:] = self.body.numpy()

    def moved(self, objective: Tensor, residual: Tensor | None) -> tuple[Tensor, Tensor]:
        """Body and actuator (trial, time, feature) under an objective; without a residual the body is the recorded."""
        loop, animal = self.model.loop, torch.zeros(TRIALS, dtype=torch.long)
        assert loop.body is not None
        assert loop.controller is not None
        assert loop.body.lag is not None
        here, terms = loop.controller.at(animal), loop.body.at(animal)
        follow = 1 - torch.exp(-loop.bin_s / loop.body.lag(animal))[:, None]
        body, actuator = [self.body[:, 0]], [torch.zeros(TRIALS, 2, dtype=torch.float64)]
        for t in range(1, BINS):
            before = body[-1] if residual is not None else self.body[:, t - 1]
            belief = Belief(before, actuator[-1])
            command, _ = loop.controller.command(here, self.latent[:, t - 1], objective[:, t], belief)
            actuator.append(torch.lerp(actuator[-1], command, follow))
            body.append(loop.body.predict(terms, before, 0.5 * (actuator[-2] + actuator[-1])))
            if residual is not None:
                body[-1] = loop.body.add_residual(body[-1], residual[:, t])
        return torch.stack(body, 1).detach(), torch.stack(actuator, 1).detach()

    def share(self, inferred: Tensor, monkeypatch: pytest.MonkeyPatch) -> float:
        """The sign of a posterior whose mean objective is `inferred`."""
        _, actuator = self.moved(inferred, None)
        groups = {"objectives": inferred, "actuator": actuator, "latents": self.latent, "body": self.body}
        moments = {name: Moments(mean, torch.zeros_like(mean)) for name, mean in groups.items()}
        monkeypatch.setattr(signs, "posterior_moments", lambda *arguments, **options: moments)
        found = signs.signs_of(self.model, self.cohort, self.cohort.picks(), self.spec.inference).residual_share
        assert found is not None
        return found


def smeared(objective: Tensor) -> Tensor:
    """A running mean over time."""
    padded = torch.cat(
        [objective[:, :1].repeat(1, SMEAR // 2, 1), objective, objective[:, -1:].repeat(1, SMEAR // 2, 1)], 1
    )
    return padded.unfold(1, SMEAR + 1, 1).mean(-1)


@pytest.mark.parametrize("jumping", [0, TRIALS // 4])
def test_the_true_objective_chases_nothing(jumping: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(jumping)
    assert world.share(world.objective, monkeypatch) < 0.01
    assert world.share(smeared(world.objective), monkeypatch) < 0.02


@pytest.mark.parametrize("jumping", [0, TRIALS // 4])
def test_an_objective_that_explains_the_noise_is_seen(jumping: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(jumping)
    shares = [
        world.share(world.objective + metres * world.residual / NOISE, monkeypatch) for metres in (0.005, 0.01, 0.02)
    ]
    assert 0.05 < shares[0] < shares[1] < shares[2]


@pytest.mark.parametrize(("rate_hz", "share"), [(0.1, 0.1), (0.8, 0.24), (5.0, 0.3)])
def test_more_changes_are_left_out_where_the_prior_expects_more_but_never_most_bins(
    rate_hz: float, share: float
) -> None:
    objective = Objective("switching", torch.zeros(2), torch.ones(2), 0.02, rate_hz, most_prototypes=4)
    assert signs.changes_of_mind(objective) == pytest.approx(share, rel=0.02)


def test_chased_noise_is_seen_where_most_changes_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs, "changes_of_mind", lambda objective: 0.3)
    world = World(0)
    assert world.share(world.objective + 0.01 * world.residual / NOISE, monkeypatch) > 0.05
