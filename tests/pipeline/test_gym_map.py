"""The spec's `gym`: entries to signals and back, and what does not fit a body is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import MODELS, make_session, make_spec

from ncyber_cli.data.batches import Cohort
from ncyber_cli.errors import SpecError
from ncyber_cli.model.layout import Layout
from ncyber_cli.pipeline.gym_map import check_width, gym_map, gym_of
from ncyber_cli.spec import Gym, Spec
from ncyber_cli.spec_file import spec_text, with_gym
from ncyber_cli.training.measure import measure

WHOLE: dict[str, Any] = {
    "observation": {
        "velocity": {"entries": [5, 1], "scale": 2.0},
        "position": {"entries": [0, 3], "offset": [1.0, -1.0]},
    },
    "action": {"entries": [2, 0], "scale": [10.0, 5.0], "offset": 0.5},
    "objective": {"entries": [4, 2]},
}


def situation(kind: str = "reach", unit: str = "m") -> tuple[Spec, Layout]:
    spec = make_spec(MODELS[kind])
    layout = measure(spec, Cohort([make_session()], ["a"]))
    return spec, replace(layout, body_units=[unit, unit, f"{unit}/s", f"{unit}/s"])


def mapped(changes: dict[str, Any], kind: str = "reach") -> Any:
    spec, layout = situation(kind)
    return gym_map(Gym.model_validate({**WHOLE, **changes}), spec, layout, 2, len(layout.objective_mean))


def test_signals_are_read_in_the_bodys_order_whatever_the_specs() -> None:
    vectors = np.arange(12.0).reshape(2, 6)
    body = mapped({}).body.read(vectors)
    expected = [vectors[:, 0] + 1, vectors[:, 3] - 1, 2 * vectors[:, 5], 2 * vectors[:, 1]]
    np.testing.assert_array_equal(body, np.stack(expected, 1))


def test_the_command_is_written_into_its_entries_and_zero_elsewhere() -> None:
    action = mapped({}).action.write(np.array([[1.0, 2.0]]), 4)
    np.testing.assert_array_equal(action, [[10.5, 0.0, 10.5, 0.0]])


def test_a_point_mass_without_velocity_takes_differences() -> None:
    found = mapped({"observation": {"position": {"entries": [0, 1]}}})
    assert found.differenced
    assert len(found.body.entries) == 2


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"observation": {"velocity": {"entries": [0, 1]}}}, "gym.observation: lacks position; the run's body is"),
        ({"observation": {"position": {"entries": [0, 1, 2]}}}, "has 3 entries, the body's position has 2"),
        ({"observation": {"position": {"entries": [1, 1]}}}, r"names an entry twice: \[1, 1\]"),
        ({"action": {"entries": [0]}}, "gym.action: has 1 entries, the command has 2"),
        ({"objective": {"entries": [0]}}, "gym.objective: has 1 entries, the objective has 2"),
        ({"objective": {"info": "goal", "scale": [1.0]}}, "gym.objective: has 1 numbers for 2 axes"),
    ],
)
def test_what_does_not_fit_the_body_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(SpecError, match=text):
        mapped(changes)


def test_a_linear_body_needs_all_its_signals() -> None:
    with pytest.raises(SpecError, match=r"gym\.observation: lacks velocity"):
        mapped({"observation": {"position": {"entries": [0, 1]}}, "objective": None}, "linear_body")


@pytest.mark.parametrize(
    ("observation", "action", "text"),
    [(5, 3, "gym.observation.velocity: names entry 5 of an observation of 5"), (6, 2, "gym.action: names entry 2 of")],
)
def test_entries_that_the_environment_lacks_are_named(observation: int, action: int, text: str) -> None:
    with pytest.raises(SpecError, match=text):
        check_width(Gym.model_validate(WHOLE), observation, action)


def test_the_reaching_environment_is_known_in_metric_units() -> None:
    spec, layout = situation(unit="cm")
    gym = gym_of(spec, layout, "ncyber/Reach-v0")
    assert gym is not None
    found = gym_map(gym, spec, layout, 2, 2)
    np.testing.assert_allclose(found.body.read(np.full((1, 6), 0.1)), np.full((1, 4), 10.0))
    np.testing.assert_allclose(found.action.write(np.full((1, 2), 50.0), 2), np.full((1, 2), 0.5))
    assert gym_of(*situation(unit="px"), "ncyber/Reach-v0") is None
    assert gym_of(spec, layout, "Pendulum-v1") is None


def test_a_map_of_its_own_file_takes_the_place_of_the_specs_and_survives_its_text(tmp_path: Path) -> None:
    spec, _ = situation()
    (tmp_path / "map.yaml").write_text(
        "gym:\n  observation: {position: {entries: [0, 1]}}\n  action: {entries: [2, 3]}\n"
    )
    found = with_gym(spec, tmp_path / "map.yaml")
    assert found.gym is not None
    assert found.gym.action.entries == [2, 3]
    assert found.model_copy(update={"gym": None}) == spec
    (tmp_path / "again.yaml").write_text(spec_text(found)[spec_text(found).index("gym:") :])
    assert with_gym(spec, tmp_path / "again.yaml") == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "map.yaml:1:1: holds no gym, write gym:"),
        ("model: {}\n", "map.yaml:1:1 model: is not read here, keep gym alone"),
        ("gym:\n  observation: {wheel: {entries: [0]}}\n  action: {entries: [0]}\n", "wheel is no signal of the body"),
        (
            "gym:\n  observation: {position: {entries: [0]}}\n  acton: {entries: [0]}\n",
            "map.yaml:3:3 gym.acton: unknown",
        ),
    ],
)
def test_problems_of_a_map_are_named_by_line(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(SpecError, match=problem):
        with_gym(situation()[0], tmp_path / "map.yaml")
