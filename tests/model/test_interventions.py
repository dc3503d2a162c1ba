"""Interventions do what they say, to a copy, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from tiny import MODELS, make_tiny
from torch import Tensor

from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.rollout import Scene, rollout
from ncyber_cli.inference.trial_noise import TrialKey, path_noise
from ncyber_cli.model.brain import Brain
from ncyber_cli.model.closed_loop import ClosedLoop
from ncyber_cli.model.interventions import (
    cut_edges,
    latents_of,
    load_body,
    scale_lag,
    scale_noise,
    set_delay,
    set_lag,
    silence_units,
    with_embedding_of,
)
from ncyber_cli.model.silencing import kept_share

STEPS = 30
KEYS = [TrialKey("a", "s0", "0"), TrialKey("b", "s1", "0")]
AREAS = {"kind": "residual_mlp", "latents": {"M1": 2, "PMd": 2}, "hidden": 8}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> NeuroModel:
    """The reaching model with an M1 and a PMd."""
    return with_areas("reach", monkeypatch)


def with_areas(kind: str, monkeypatch: pytest.MonkeyPatch) -> NeuroModel:
    monkeypatch.setitem(MODELS, "areas", {**MODELS[kind], "brain": AREAS})
    return make_tiny("areas").model


def changed(model: NeuroModel, change: Callable[[ClosedLoop], ClosedLoop]) -> NeuroModel:
    other = deepcopy(model)
    other.loop = change(model.loop)
    return other


def scene(model: NeuroModel, **known: Tensor) -> Scene:
    """Both animals at rest at the origin, a goal 10 cm to the right."""
    like = model.loop.initial_mean
    return Scene(
        animal=torch.tensor([0, 1]),
        session=torch.tensor([0, 1]),
        input=like.new_zeros(2, STEPS, 1),
        force=like.new_zeros(2, STEPS, 2),
        objective=like.new_tensor([0.1, 0.0]).expand(2, STEPS, 2),
        body=like.new_zeros(2, 4),
        **known,
    )


def run(model: NeuroModel, at: Scene, *, noisy: bool = True, closed: bool = True) -> dict[str, Tensor]:
    return rollout(model, at, path_noise(model, KEYS, STEPS, 0, 0), noisy=noisy, closed=closed)


def units_of(model: NeuroModel, area: str) -> Tensor:
    """In tiny's sessions units alternate between M1 and PMd."""
    even = torch.arange(model.loop.emission.n_unit) % 2 == 0
    return (even if area == "M1" else ~even).expand(2, -1)


def silenced(model: NeuroModel, *areas: str) -> tuple[NeuroModel, Tensor]:
    units = torch.stack([units_of(model, area) for area in areas]).any(0)
    return changed(model, lambda loop: silence_units(loop, units)), latents_of(model.loop, areas)


CHANGES: dict[str, Callable[[ClosedLoop], ClosedLoop]] = {
    "silence": lambda loop: silence_units(loop, torch.ones(2, loop.emission.n_unit, dtype=torch.bool)),
    "cut": lambda loop: cut_edges(loop, [("M1", "PMd"), ("PMd", "M1")]),
    "load": lambda loop: load_body(loop, torch.tensor([2.0, 3.0])),
    "lag": lambda loop: set_lag(loop, 0.2),
    "longer lag": lambda loop: scale_lag(loop, 3.0),
    "noise": lambda loop: scale_noise(loop, 3.0),
    "delay": lambda loop: set_delay(loop, 0.3),
    "embedding": lambda loop: with_embedding_of(loop, 1),
}


@pytest.mark.parametrize("kind", ["reach", "lqr", "mlp_controller"])
@pytest.mark.parametrize("name", CHANGES)
def test_the_model_that_is_given_stays_as_it_was(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_areas(kind, monkeypatch)
    with torch.no_grad():
        model.loop.brain.individuals.animals.mean[1] = 1.0
    before, state = run(model, scene(model)), deepcopy(model.state_dict())
    after = run(changed(model, CHANGES[name]), scene(model))
    assert any(not torch.equal(before[group], after[group]) for group in before)
    assert all(torch.equal(values, state[key]) for key, values in model.state_dict().items())
    assert all(torch.equal(before[group], values) for group, values in run(model, scene(model)).items())


@pytest.mark.parametrize("kind", ["brain_only", "reach_static", "linear_body", "goal_in_the_brain"])
def test_silent_units_emit_nothing_whatever_they_emit(kind: str) -> None:
    emission = make_tiny(kind).model.loop.emission
    units = torch.zeros(2, emission.n_unit, dtype=torch.bool)
    units[0, 1] = units[1, 0] = True
    before = deepcopy(emission)
    emission.silence(units)
    latent, session = torch.randn(2, 5, 3).double(), torch.tensor([0, 1])
    rates, usual = (each.rate(each.predictor(latent, session), session) for each in (emission, before))
    silent = units[:, None].expand_as(rates)
    assert (rates[silent] == 0).all()
    assert torch.equal(rates[~silent], usual[~silent])


def test_a_silent_area_is_held_at_zero_and_heard_by_no_one(model: NeuroModel) -> None:
    deaf, silent = silenced(model, "M1")
    first = torch.randn(2, 4).double()
    loud = torch.where(silent, 100 * first, first)
    groups, same = (run(deaf, scene(model, latent=latent, silent=silent)) for latent in (first, loud))
    assert (groups["latents"][:, :, silent] == 0).all()
    assert (groups["rates"][units_of(model, "M1")[:, None].expand_as(groups["rates"])] == 0).all()
    assert all(torch.equal(values, same[name]) for name, values in groups.items())
    usual = run(model, scene(model, latent=first))
    assert not torch.allclose(groups["latents"][:, -1, ~silent], usual["latents"][:, -1, ~silent])


@pytest.mark.parametrize("kind", ["reach", "lqr"])
def test_areas_share_the_command_and_all_of_them_have_all_of_it(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_areas(kind, monkeypatch)
    controller = model.loop.controller
    kept = [float(kept_share(controller, latents_of(model.loop, [area])).detach()) for area in ("M1", "PMd")]
    assert sum(kept) == pytest.approx(1)
    assert all(0 < share < 1 for share in kept)
    # In the first step the same body, goal and latents: only the share differs.
    first = torch.zeros(2, 4).double()
    whole = run(model, scene(model, latent=first))["controls"][:, 1]
    for area, share in zip(("M1", "PMd"), kept, strict=True):
        other, silent = silenced(model, area)
        torch.testing.assert_close(
            run(other, scene(model, latent=first, silent=silent))["controls"][:, 1], share * whole
        )
    mute, silent = silenced(model, "M1", "PMd")
    assert (run(mute, scene(model, silent=silent))["controls"] == 0).all()


def test_an_area_without_a_part_in_the_command_takes_nothing_away(model: NeuroModel) -> None:
    with torch.no_grad():
        model.loop.controller.gate.areas.copy_(latents_of(model.loop, ["M1"]).double())
    assert kept_share(model.loop.controller, latents_of(model.loop, ["PMd"])) == 1
    assert kept_share(model.loop.controller, latents_of(model.loop, ["M1"])) == 0


def test_a_cut_edge_carries_nothing_and_the_other_way_still_does(model: NeuroModel) -> None:
    m1 = latents_of(model.loop, ["M1"])
    apart = changed(model, lambda loop: cut_edges(loop, [("M1", "PMd")]))

    def hears(of: NeuroModel, sender: Tensor) -> bool:
        """Whether the other area's next state depends on the sender's (through no body: its edge alone)."""
        weights = of.loop.brain.at(None, torch.zeros(1, len(of.loop.brain.input_mean)).double())
        index = torch.zeros(1, 4).double()
        drive = torch.zeros(1, of.loop.brain.hidden).double()
        quiet, loud = (of.loop.brain.step(weights, x, None, None, drive) for x in (index, index + sender.double()))
        return not torch.equal(quiet[:, ~sender], loud[:, ~sender])

    assert hears(model, m1)
    assert not hears(apart, m1)
    assert hears(apart, ~m1)


def test_an_edge_that_is_not_there_cannot_be_cut(model: NeuroModel) -> None:
    with pytest.raises(ValueError, match="not in list"):
        cut_edges(model.loop, [("M1", "S1")])


def test_the_same_command_and_force_move_a_heavier_body_less(model: NeuroModel) -> None:
    heavy = changed(model, lambda loop: load_body(loop, torch.tensor([2.0, 4.0])))
    pushed = replace(scene(model, latent=torch.zeros(2, 4).double()), force=torch.ones(2, STEPS, 2).double())
    light, slow = (run(each, pushed, noisy=False) for each in (model, heavy))
    assert torch.equal(light["controls"][:, 1], slow["controls"][:, 1])  # decided before anything is felt
    speed = light["body"][:, 1, 2:] / slow["body"][:, 1, 2:]
    torch.testing.assert_close(speed, torch.tensor([[2.0, 2.0], [4.0, 4.0]]).double())


def test_the_brain_does_not_know_of_a_load_until_it_feels_it(model: NeuroModel) -> None:
    heavy = changed(model, lambda loop: load_body(loop, torch.tensor([3.0, 3.0])))
    at = scene(model, latent=torch.zeros(2, 4).double())
    with torch.no_grad():  # latents that do not move: the command depends on what is believed alone
        model.loop.brain.out.zero_()
        heavy.loop.brain.out.zero_()
    blind = [run(each, at, noisy=False, closed=False)["controls"] for each in (model, heavy)]
    assert torch.equal(*blind)
    seeing = [run(each, at, noisy=False)["controls"] for each in (model, heavy)]
    known = int((2 * model.loop.environment.delay_bins(torch.tensor([0]))).floor()) // 2
    assert torch.allclose(seeing[0][0, : known + 1], seeing[1][0, : known + 1])
    assert not torch.allclose(seeing[0][0, -1], seeing[1][0, -1])


def test_an_optimal_controller_does_not_plan_with_a_load_that_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_areas("lqr", monkeypatch)
    controllers = [model.loop.controller, load_body(model.loop, torch.tensor([3.0, 3.0])).controller]
    gains = [controller.optimal_gain(controller.plant()) for controller in controllers]
    assert torch.equal(*gains)
    slow = set_lag(model.loop, 0.3).controller  # its own muscle it does know
    assert not torch.allclose(gains[0], slow.optimal_gain(slow.plant()))


def test_a_load_of_one_changes_nothing(model: NeuroModel) -> None:
    same = changed(model, lambda loop: load_body(loop, torch.ones(2)))
    for name, values in run(model, scene(model)).items():
        torch.testing.assert_close(run(same, scene(model))[name], values, msg=name)


def test_muscles_lag_as_they_are_told(model: NeuroModel) -> None:
    with torch.no_grad():
        model.loop.body.lag.deviation[1] = 1.0
    fitted = model.loop.body.lag(torch.tensor([0, 1]))
    torch.testing.assert_close(scale_lag(model.loop, 3.0).body.lag(torch.tensor([0, 1])), 3 * fitted)
    same = set_lag(model.loop, 0.2).body.lag(torch.tensor([0, 1]))
    torch.testing.assert_close(same, torch.full((2,), 0.2).double())
    quick = run(changed(model, lambda loop: set_lag(loop, 0.0)), scene(model))
    assert torch.equal(quick["actuator"][:, 1:], quick["controls"][:, 1:])


@pytest.mark.parametrize("bins", [0, 2, 8])
def test_a_push_is_felt_after_the_delay(model: NeuroModel, bins: int) -> None:
    late = changed(model, lambda loop: set_delay(loop, bins * loop.bin_s))
    with torch.no_grad():
        late.loop.brain.out.zero_()
    force = torch.zeros(2, STEPS, 2).double()
    force[:, 10] = 1.0  # acts on the steps that end in bins 10 and 11
    at = scene(model, latent=torch.zeros(2, 4).double())
    calm, pushed = (run(late, replace(at, force=push), noisy=False)["controls"] for push in (at.force, force))
    changed_bins = (pushed - calm).abs().amax((0, 2)) > 1e-12
    assert int(changed_bins.nonzero()[0]) == 11 + bins


def test_an_embedding_is_the_whole_difference_between_brains(model: NeuroModel) -> None:
    with torch.no_grad():
        model.loop.brain.individuals.animals.mean.copy_(torch.tensor([[0.5, -1.0], [-0.3, 0.7]]))
    both = torch.tensor([0, 1])

    def gain(brain: Brain) -> torch.Tensor:
        return brain.at(brain.individuals(both, both), torch.zeros(2, len(brain.input_mean)).double()).shift.gain

    swapped, own = gain(with_embedding_of(model.loop, 1).brain), gain(model.loop.brain)
    assert torch.equal(swapped, own[[1, 1]])
    assert not torch.equal(own[0], own[1])
