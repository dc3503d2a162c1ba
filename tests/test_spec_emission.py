"""One emission for all units, or one for each kind of source; either must be able to score what it is given."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ncyber_cli.spec import Emission, EmissionByKind, Spec

SPIKES, CALCIUM = {"source": "units", "kind": "spikes"}, {"source": "dff", "kind": "calcium"}


def spec(emission: Any, *neural: dict[str, Any]) -> Spec:
    data = {"bin_s": 0.02, "trials": {}, "neural": list(neural or (SPIKES, CALCIUM))}
    return Spec.model_validate({"version": 1, "data": data, "model": {"emission": emission}})


def test_kinds_left_out_have_the_usual_emission() -> None:
    model = spec({"spikes": {"kind": "negative_binomial"}}).model
    assert isinstance(model.emission, EmissionByKind)
    assert model.emission_of("spikes") == Emission(kind="negative_binomial")
    assert model.emission_of("calcium") is None


def test_one_emission_holds_for_every_kind_and_is_read_back_as_it_was_written() -> None:
    written = spec({"kind": "gaussian", "private_noise": "white"})
    assert written.model.emission_of("spikes") == written.model.emission_of("calcium") == written.model.emission
    for each in (written, spec({"calcium": {"kind": "gaussian"}})):
        assert Spec.model_validate_json(each.model_dump_json()) == each


@pytest.mark.parametrize("emission", [{"kind": "poisson"}, {"calcium": {"kind": "negative_binomial"}}])
def test_counts_cannot_be_scored_where_there_are_none(emission: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"scores counts, and .* has a source of kind calcium"):
        spec(emission)
    assert spec({"kind": "poisson"}, SPIKES).model.emission_of("spikes") is not None


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({**CALCIUM, "band_hz": [4, 8]}, "band_hz is for field potentials, kind is calcium"),
        ({"source": "lfp", "kind": "lfp", "band_hz": [8, 4]}, "0 < low < high"),
    ],
)
def test_a_band_is_of_a_field_potential_and_goes_upwards(source: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        spec(None, source)
