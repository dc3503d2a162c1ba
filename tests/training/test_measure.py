"""What a model knows of the data besides the spec is measured on training trials alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import make_session, make_spec, without_body

from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.recording import TRAIN
from ncyber_cli.spec import Spec
from ncyber_cli.training.measure import measure


def with_contexts() -> tuple[Spec, Cohort]:
    """A load and a task of every trial, beside a stimulus; huge in trials that are not for training."""
    spec = make_spec({})
    inputs = {
        "tone": {"kind": "stimulus", "source": "tone"},
        "load": {"kind": "context", "column": "load"},
        "task": {"kind": "context", "column": "task"},
    }
    spec = Spec.model_validate({**spec.model_dump(), "data": {**spec.data.model_dump(), "inputs": inputs}})
    session = without_body(make_session(inputs=4))
    session = replace(session, input_names=["tone_0", "load", "task=near", "task=far"])
    session.input[:, :, 1] = np.where(session.split == TRAIN, 20.0 + np.arange(len(session.split)), 1e6)[:, None]
    return spec, Cohort([session], ["a"], dtype=torch.float64)


def test_contexts_are_known_by_their_spread_over_training_trials_and_stimuli_as_they_are() -> None:
    spec, cohort = with_contexts()
    layout, training = measure(spec, cohort), cohort.sessions[0].split == TRAIN
    assert layout.context_columns == [1, 2, 3]
    assert layout.input_mean[1] == pytest.approx(20 + np.arange(training.sum()).mean())
    assert layout.input_sd[1] == pytest.approx(np.arange(training.sum()).std())
    assert (layout.input_mean[0], layout.input_sd[0]) == (0, 1)


def test_who_has_nobody_to_differ_from_has_no_embedding() -> None:
    spec = make_spec({"animals": {"embedding": 2, "session_embedding": 1}})

    def sizes(*names: str) -> tuple[int, int]:
        sessions = [without_body(make_session(name, f"s{index}", seed=index)) for index, name in enumerate(names)]
        layout = measure(spec, Cohort(sessions, list(dict.fromkeys(names))))
        return layout.animal_embedding, layout.session_embedding

    assert sizes("a") == (0, 0)
    assert sizes("a", "b") == (2, 0)
    assert sizes("a", "a") == (0, 1)
    assert sizes("a", "a", "b") == (2, 1)


def test_an_animal_whose_behavior_was_never_recorded_is_taken_for_the_others() -> None:
    known, unknown = make_session("a", "s0"), make_session("b", "s1", seed=1)
    unknown = replace(unknown, body=np.where(unknown.mask[..., None], np.nan, unknown.body))
    spec = make_spec({"controller": {"kind": "setpoint"}, "body": {"kind": "point_mass"}})
    layout = measure(spec, Cohort([known, unknown], ["a", "b"]))
    assert np.isfinite(layout.residual_scale).all()
    assert layout.residual_scale[1] == layout.residual_scale[0]
    assert layout.body_start[1] == layout.body_start[0]
