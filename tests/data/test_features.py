"""Law: position first, velocity second; cues step at their event's bin; contexts hold over the trial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nwb_files import data_spec, spec_of

from ncyber_cli.data.features import body_features, input_features
from ncyber_cli.data.grid import Grid
from ncyber_cli.data.recording import IntervalTable, Recording, Sampled
from ncyber_cli.errors import DataError
from ncyber_cli.spec import Spec

GRID = Grid(0.1, np.array([0.0, 2.0, 4.0]), np.array([5, 10, 10]), np.array([0.0, 2.0, 4.0]), np.array([0, 1, 3]))
CLOSED = {"body": {"kind": "point_mass"}, "controller": {"kind": "setpoint"}}
TIME = np.arange(700) * 0.01


def recording(**parts: Any) -> Recording:
    columns = {
        "go": np.array([0.25, 2.6, 0.0, np.nan]),
        "kind": np.array(["near", "far", "unused", "near"]),
        "load": np.array([1.0, 2.0, 9.0, np.nan]),
    }
    position = Sampled(np.stack([TIME, 2 * TIME], axis=1), TIME)
    behavior = {"gaze": Sampled(np.ones((700, 1)), TIME), "position": position, **parts.pop("behavior", {})}
    return Recording(
        "a", "s", Path("file.nwb"), "0", [], behavior, parts.pop("inputs", {}), IntervalTable(list("abcd"), columns)
    )


def spec(inputs: dict[str, Any] | None = None, extra: dict[str, Any] | None = None, **model: Any) -> Spec:
    behavior = {"gaze": {"source": "g", "unit": "deg"}, "position": {"source": "p", "unit": "m"}, **(extra or {})}
    return spec_of(data_spec(bin_s=0.1, behavior=behavior, inputs=inputs or {}, trials={"table": "trials"}), **model)


def test_body_order_names_and_units() -> None:
    velocity = {"velocity": Sampled(np.zeros((700, 2)), TIME)}
    body = body_features(recording(behavior=velocity), spec(extra={"velocity": {"source": "v", "unit": "m/s"}}), GRID)
    assert body.names == ["position_0", "position_1", "velocity_0", "velocity_1", "gaze_0"]
    assert body.units == ["m", "m", "m/s", "m/s", "deg"]
    assert body.values.shape == (3, 10, 5)


def test_a_linear_body_gets_the_velocity_of_a_named_position_too() -> None:
    linear = {"body": {"kind": "linear"}, "controller": {"kind": "setpoint"}}
    body = body_features(recording(), spec(**linear), GRID)
    assert body.names == ["position_0", "position_1", "velocity_0", "velocity_1", "gaze_0"]
    np.testing.assert_allclose(body.values[0, 1:4, 2:4], np.tile([1.0, 2.0], (3, 1)), rtol=1e-4)


def test_point_mass_gets_the_velocity_it_lacks() -> None:
    body = body_features(recording(), spec(**CLOSED), GRID)
    assert body.names == ["position_0", "position_1", "velocity_0", "velocity_1", "gaze_0"]
    assert body.units[2] == "m/s"
    np.testing.assert_allclose(body.values[GRID.mask()][1:, 2:4], np.tile([1.0, 2.0], (24, 1)), rtol=1e-4)
    assert body_features(recording(), spec(), GRID).names == ["position_0", "position_1", "gaze_0"]


def test_no_behavior_is_no_column() -> None:
    empty = spec_of(data_spec(bin_s=0.1, trials={"table": "trials"}))
    bare = Recording("a", "s", Path("f"), "0", [], {}, {}, None)
    assert body_features(bare, empty, GRID).values.shape == (3, 10, 0)


def test_cue_steps_in_its_events_bin_and_stays() -> None:
    given, forces = input_features(recording(), spec({"go": {"kind": "cue", "column": "go"}}), GRID, {})
    assert given.names == ["go"]
    assert given.values[0, :, 0].tolist() == [0, 0, 1, 1, 1] + [0] * 5  # zeros outside the mask
    assert given.values[1, :, 0].tolist() == [0] * 6 + [1] * 4
    assert not given.values[2].any()  # a cue that never came
    assert forces.values.shape == (3, 10, 0)


def test_context_as_number_and_as_labels() -> None:
    inputs = {"load": {"kind": "context", "column": "load"}, "task": {"kind": "context", "column": "kind"}}
    given, _ = input_features(recording(), spec(inputs), GRID, {"task": ["far", "mid", "near"]})
    assert given.names == ["load", "task=far", "task=mid", "task=near"]
    assert given.values[0, 0].tolist() == [1, 0, 0, 1]
    assert given.values[1, 9].tolist() == [2, 1, 0, 0]
    assert given.values[2, 0].tolist() == [0, 0, 0, 1]  # a missing number is no context
    assert not given.values[0, 5:].any()
    with pytest.raises(DataError, match="label 'near' is new"):
        input_features(recording(), spec(inputs), GRID, {"task": ["far"]})


def test_series_inputs_and_forces_are_apart_and_zero_where_missing() -> None:
    push = Sampled(np.where(TIME < 2.5, TIME, np.nan)[:, None], TIME)
    series = {"push": push, "light": Sampled(np.ones((700, 2)), TIME)}
    declared = {"light": {"kind": "stimulation", "source": "l"}, "push": {"kind": "force", "source": "f"}}
    given, forces = input_features(recording(inputs=series), spec(declared), GRID, {})
    assert given.names == ["light_0", "light_1"]
    assert forces.names == ["push_0"]
    assert forces.values[0, 2, 0] == pytest.approx(0.245)
    assert not forces.values[1, 5:].any()
    assert not np.isnan(forces.values).any()


def test_missing_or_unfit_columns() -> None:
    for column, kind, says in (("goo", "cue", "did you mean go"), ("kind", "cue", "event times")):
        with pytest.raises(DataError, match=says):
            input_features(recording(), spec({"x": {"kind": kind, "column": column}}), GRID, {})


def test_light_is_on_from_its_onset_to_its_end() -> None:
    on, off = np.array([0.15, 2.6, 0.0, np.nan]), np.array([0.31, 2.8, 0.0, np.nan])
    given = recording()
    table = IntervalTable(given.trials.id, {**given.trials.columns, "laser_on": on, "laser_off": off})
    declared = {"laser": {"kind": "stimulation", "column": "laser_on", "until": "laser_off"}}
    inputs, _ = input_features(replace(given, trials=table), spec(declared), GRID, {})
    assert inputs.names == ["laser"]
    assert [np.flatnonzero(row).tolist() for row in inputs.values[:, :, 0]] == [[1, 2], [6, 7], []]
