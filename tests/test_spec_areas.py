"""Areas in the spec: what is refused, and what to write instead."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ncyber_cli.spec import InputSource, ResidualMLP, Spec

TWO = {"latents": {"M1": 2, "PMd": 2}}
LASER = {"column": "laser_on_time", "until": "laser_off_time"}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"edges": ["M1:PMd"]}, "M1:PMd joins no two areas of this brain, name"),
        ({**TWO, "edges": ["M1:S1"]}, "M1:S1 joins no two areas of this brain, write some of M1:PMd, PMd:M1"),
        ({**TWO, "edges": ["M1:M1"]}, "M1:M1 joins no two areas"),
        ({**TWO, "delay_s": {"S1:M1": 0.02}}, "S1:M1 joins no two areas"),
        ({**TWO, "edges": ["M1"]}, "should match pattern"),
        ({**TWO, "delay_s": 2.0}, "less than or equal to 0.5"),
        ({**TWO, "price": {"kind": "kl", "weight": 0.0}}, "greater than 0"),
    ],
)
def test_edges_of_a_brain(written: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ResidualMLP.model_validate({"kind": "residual_mlp", **written})


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"kind": "silencing", "source": "s"}, "silencing needs the area that falls silent, write area"),
        ({"kind": "force", "source": "s", "area": "M1"}, "acts on the body, leave area out"),
        ({"kind": "context", "column": "c", "area": "M1"}, "holds for the whole brain, leave area out"),
        ({"kind": "silencing", "column": "laser_on_time", "area": "M1"}, "write until: the trial column with its end"),
        ({"kind": "cue", **LASER}, "leave until out"),
        ({"kind": "silencing", "source": "s", "until": "laser_off_time", "area": "M1"}, "leave until out"),
        ({"kind": "stimulus", "column": "c"}, "a trial column is a cue"),
    ],
)
def test_inputs_with_an_area(written: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        InputSource.model_validate(written)


@pytest.mark.parametrize(
    ("brain", "message"),
    [(TWO, "data.inputs.laser: the brain has no area S1, write M1 or PMd"), ({}, "the brain has no area S1")],
)
def test_an_input_acts_in_an_area_of_the_brain(brain: dict[str, Any], message: str) -> None:
    data = {"bin_s": 0.02, "trials": {}, "neural": [{"source": "units", "kind": "spikes"}]}
    laser = {"laser": {"kind": "silencing", "area": "S1", **LASER}}
    with pytest.raises(ValidationError, match=message):
        Spec.model_validate({"version": 1, "data": {**data, "inputs": laser}, "model": {"brain": brain}})
