"""What belongs to animals and sessions is known by name: it is exactly what changes its shape with their number."""

from __future__ import annotations

import pytest
import torch
from tiny import MODELS, make_session, make_spec, make_tiny, without_body

from ncyber_cli.data.batches import Cohort
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.training.measure import measure
from ncyber_cli.training.own_parts import own_names, train_own_parts_only


def larger(kind: str) -> NeuroModel:
    """The model of make_tiny with another number of animals, sessions and units."""
    spec = make_spec(MODELS[kind])
    signal = spec.data.neural[0].kind
    sessions = [make_session(name, f"s{name}", trials=4, units=9, signal=signal) for name in "abcde"]
    if "body" not in MODELS[kind]:
        sessions = [without_body(session) for session in sessions]
    cohort = Cohort(sessions, [session.animal for session in sessions], dtype=torch.float64)
    return assemble(spec, measure(spec, cohort), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", list(MODELS))
def test_all_that_depends_on_the_number_of_animals_and_sessions_is_their_own_and_nothing_else(kind: str) -> None:
    small, large = make_tiny(kind).model, larger(kind)
    shapes = {name: value.shape for name, value in large.state_dict().items()}
    other = {name for name, value in small.state_dict().items() if value.shape != shapes[name]}
    assert other
    assert own_names(small) == own_names(large) == other


def test_only_what_is_their_own_learns() -> None:
    model = make_tiny("reach").model
    own = own_names(model)
    train_own_parts_only(model)
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning <= own
    assert {"loop.emission.readout", "loop.controller.stiffness.deviation", "encoder.read_in.weight"} <= learning


def test_what_is_held_fixed_stays_fixed_and_a_single_animal_may_deviate() -> None:
    spec = make_spec({**MODELS["reach"], "body": {"kind": "point_mass", "muscle_lag_s": 0.05}})
    cohort = Cohort([make_session()], ["a"], dtype=torch.float64)
    model = assemble(spec, measure(spec, cohort), torch.Generator().manual_seed(0))
    train_own_parts_only(model)
    assert model.loop.body is not None
    assert model.loop.body.lag is not None
    assert not model.loop.body.lag.deviation.requires_grad
    assert model.get_parameter("loop.controller.stiffness.deviation").requires_grad
