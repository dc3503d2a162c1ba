"""A spec and a layout make the same model every time, and a layout survives its checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from tiny import MODELS, make_spec, make_tiny

from ncyber_cli.data.batches import Cohort
from ncyber_cli.errors import DataError, SpecError
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.model.layout import Layout
from ncyber_cli.training.measure import measure

EVERY_MODEL = pytest.mark.parametrize("kind", MODELS)


@EVERY_MODEL
def test_the_same_generator_makes_the_same_model_and_leaves_the_global_one_alone(kind: str) -> None:
    tiny, before = make_tiny(kind), torch.get_rng_state()
    layout = measure(tiny.spec, tiny.cohort)
    first, again, other = (
        assemble(tiny.spec, layout, torch.Generator().manual_seed(seed)).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(values, again[name]) for name, values in first.items())
    assert not all(torch.equal(values, other[name]) for name, values in first.items())
    assert torch.equal(torch.get_rng_state(), before)


@EVERY_MODEL
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_number_of_a_model_has_the_asked_precision(kind: str, dtype: str) -> None:
    state = make_tiny(kind, dtype=dtype).model.state_dict()
    assert {values.dtype for values in state.values() if values.is_floating_point()} == {getattr(torch, dtype)}


@EVERY_MODEL
def test_a_layout_is_plain_numbers_and_names(kind: str) -> None:
    tiny = make_tiny(kind)
    layout = measure(tiny.spec, tiny.cohort)
    assert Layout.from_plain(json.loads(json.dumps(layout.to_plain()))) == layout


def test_units_read_the_latents_of_their_own_area() -> None:
    tiny = make_tiny("several_areas")
    latent_area = tiny.model.loop.brain.areas.latent_area()
    for session, layout in enumerate(measure(tiny.spec, tiny.cohort).sessions):
        for unit, area in enumerate(layout.unit_area):
            own = latent_area == ["M1", "PMd"].index(area)
            assert torch.equal(tiny.model.loop.emission.latent_mask[session, unit] > 0, own)


def test_with_one_area_every_unit_reads_every_latent() -> None:
    assert torch.all(make_tiny("brain_only").model.loop.emission.latent_mask == 1)


def test_a_setpoint_has_the_bodys_dimensions_and_an_abstract_goal_those_of_the_spec() -> None:
    tiny = make_tiny("reach")
    layout = measure(tiny.spec, tiny.cohort)
    for kind, expected in (("setpoint", 2), ("mlp", 5)):
        model = {**MODELS["reach"], "controller": {"kind": kind}, "objective": {"dimensions": 5}}
        built = assemble(make_spec(model), layout, torch.Generator())
        assert built.loop.objective is not None
        assert built.loop.objective.size == expected


@pytest.mark.parametrize("gate", [[], ["M1"], ["brain", "M1"]])
def test_areas_that_the_brain_does_not_have_cannot_open_the_gate(gate: list[str]) -> None:
    tiny = make_tiny("reach")
    layout = measure(tiny.spec, tiny.cohort)
    spec = make_spec({**MODELS["reach"], "controller": {"kind": "setpoint", "areas": gate}})
    with pytest.raises(SpecError, match="the brain's areas are brain"):
        assemble(spec, layout, torch.Generator())


def test_a_force_needs_a_column_for_each_axis_of_a_point_mass() -> None:
    tiny = make_tiny("reach")
    lame = [replace(session, force=session.force[:, :, :1]) for session in tiny.cohort.sessions]
    with pytest.raises(DataError, match="1 force columns for 2 position axes"):
        measure(tiny.spec, Cohort(lame, tiny.cohort.animals))
