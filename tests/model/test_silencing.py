"""A silenced area is the same whether it was recorded so or is simulated, and inputs reach no area but their own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny import Tiny, make_session, make_spec

from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.silencing import silence
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.inference.elbo import draw_noise, sample_posterior
from ncyber_cli.inference.rollout import Scene, rollout
from ncyber_cli.inference.trial_noise import TrialKey, path_noise
from ncyber_cli.model.interventions import latents_of
from ncyber_cli.spec import Spec
from ncyber_cli.training.measure import measure

MODEL = {
    "brain": {"latents": {"M1": 3, "PMd": 2}, "hidden": 8, "delay_s": 0.03},
    "controller": {"kind": "setpoint"},
    "body": {"kind": "point_mass"},
}
OFF = slice(5, 9)


def spec_with(*inputs: dict[str, str]) -> Spec:
    """Inputs input_0, input_1, ... of these kinds and areas."""
    plain = make_spec(MODEL).model_dump(mode="json", exclude_none=True)
    plain["data"]["inputs"] = {f"input_{i}": {"source": "s", **each} for i, each in enumerate(inputs)}
    return Spec.model_validate(plain)


@pytest.fixture(scope="module")
def tiny() -> Tiny:
    """Two inputs: one that silences M1 in some bins of the even trials, and light that shines on PMd."""
    spec = spec_with({"kind": "silencing", "area": "M1"}, {"kind": "stimulation", "area": "PMd"})
    session = make_session(trials=8, bins=16, inputs=2, seed=1)
    given = session.input.copy()
    given[:, :, 0] = 0
    given[::2, OFF, 0] = 1
    session = silence(replace(session, input=given), spec)
    cohort = Cohort([session], ["a"], dtype=torch.float64)
    model = assemble(spec, measure(spec, cohort), torch.Generator().manual_seed(0))
    return Tiny(spec, cohort, model, cohort.batch(cohort.picks()))


def m1(tiny: Tiny) -> torch.Tensor:
    return latents_of(tiny.model.loop, ["M1"])


def test_what_silenced_units_emit_is_missing_and_their_floor_is_known(tiny: Tiny) -> None:
    session, before = tiny.cohort.sessions[0], make_session(trials=8, bins=16, inputs=2, seed=1)
    silent = torch.isnan(torch.from_numpy(session.observation)).numpy()
    units = [unit for unit, area in enumerate(session.unit_area) if area == "M1"]
    assert silent[::2, OFF][:, :, units].all()
    assert silent.sum() == 4 * 4 * len(units)
    assert (session.observation[~silent] == before.observation[~silent]).all()
    training = (session.split == 0) & (session.input[:, 6, 0] > 0)
    assert session.floor[units] == pytest.approx(before.observation[training][:, OFF][:, :, units].mean((0, 1)))


def test_a_recording_without_silenced_bins_stays_as_it_was() -> None:
    session = make_session(inputs=1)
    session = replace(session, input=0 * session.input)
    assert silence(session, spec_with({"kind": "silencing", "area": "M1"})) is session
    assert silence(session, spec_with({"kind": "stimulation", "area": "M1"})) is session


def test_the_posterior_holds_silenced_latents_at_zero_for_nothing(tiny: Tiny) -> None:
    noise = draw_noise(tiny.model, 16, 8, torch.Generator().manual_seed(0))
    found = sample_posterior(tiny.model, tiny.batch, tiny.view(), noise)
    latent = found.trajectory.latent.transpose(0, 1)
    silent = torch.zeros_like(latent, dtype=torch.bool)
    silent[::2, OFF] = m1(tiny)
    assert (latent[silent] == 0).all()
    assert (latent[~silent] != 0).all()
    blind = sample_posterior(tiny.model, tiny.batch, tiny.view(visible=torch.zeros_like(tiny.batch.mask)), noise)
    assert (found.kl_latent > 0).all()
    assert (blind.kl_latent == 0).all()


def scene(tiny: Tiny, given: torch.Tensor, **how: torch.Tensor) -> Scene:
    like = tiny.model.loop.initial_mean
    body, objective = like.new_zeros(2, 4), like.new_tensor([0.1, 0.0]).expand(2, 16, 2)
    index = torch.zeros(2, dtype=torch.long)
    return Scene(index, index, given, like.new_zeros(2, 16, 2), objective, body, **how)


def rolled(tiny: Tiny, at: Scene) -> dict[str, torch.Tensor]:
    return rollout(tiny.model, at, path_noise(tiny.model, [TrialKey("a", "s", "0")] * 2, 16, 0, 0))


def test_a_recorded_silencing_is_a_simulated_one(tiny: Tiny) -> None:
    given = torch.zeros(2, 16, 2).double()
    on = given.clone()
    on[:, :, 0] = 1
    by_input, by_hand = rolled(tiny, scene(tiny, on)), rolled(tiny, scene(tiny, given, silent=m1(tiny)))
    for name in ("latents", "controls", "body"):
        assert torch.equal(by_input[name], by_hand[name])
        assert not torch.equal(by_input[name], rolled(tiny, scene(tiny, given))[name])
    units = [unit for unit, area in enumerate(tiny.cohort.sessions[0].unit_area) if area == "M1"]
    floor = torch.from_numpy(tiny.cohort.sessions[0].floor)[units]
    torch.testing.assert_close(by_input["rates"][:, :, units], floor.expand(2, 16, -1), check_dtype=False)


def test_an_area_is_silent_while_it_is_silenced(tiny: Tiny) -> None:
    given = torch.zeros(2, 16, 2).double()
    on = given.clone()
    on[:, OFF, 0] = 1
    usual, silenced = rolled(tiny, scene(tiny, given)), rolled(tiny, scene(tiny, on))
    assert torch.equal(usual["latents"][:, :5], silenced["latents"][:, :5])
    assert (silenced["latents"][:, OFF][:, :, m1(tiny)] == 0).all()
    assert (silenced["latents"][:, 10:][:, :, m1(tiny)] != 0).all()
    other = (usual["latents"] != silenced["latents"])[:, :, ~m1(tiny)].any(2)
    assert not other[:, :6].any()  # the first that the others hear of it is the command that M1 no longer shares
    assert other[:, -1].all()


def test_an_input_reaches_its_own_area_alone(tiny: Tiny) -> None:
    brain, given = tiny.model.loop.brain, torch.zeros(2, 16, 2).double()
    weights = brain.at(None, given[:, 0])
    lit = given.clone()
    lit[:, :, 1] = 1
    changed = (brain.drive(weights, lit, None) != brain.drive(weights, given, None)).any((0, 1))
    assert torch.equal(changed, (brain.out_mask != 0)[:, ~m1(tiny)].any(1))
    off = given.clone()
    off[:, :, 0] = 1
    assert torch.equal(brain.drive(weights, off, None), brain.drive(weights, given, None))


def test_without_areas_of_inputs_the_state_has_no_new_entry(tiny: Tiny) -> None:
    assert not [name for name in tiny.model.state_dict() if "silenc" in name or "input_mask" in name]
