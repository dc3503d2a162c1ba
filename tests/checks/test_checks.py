"""Each check speaks when its one thing is wrong, says where and what to do, and is silent on sound data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sessions import recording, session, spec

from ncyber_cli.checks import run as run  # registers every check
from ncyber_cli.checks.registry import Finding, Grade, check_cohort, check_recording, check_session
from ncyber_cli.data.recording import IntervalTable, NeuralStream, Sampled, SpikeTrains


def only(found: list[Finding]) -> Finding:
    """The one finding; a check that drags others along would bury its own message."""
    assert len(found) == 1, found
    assert found[0].what
    assert found[0].remedy
    return found[0]


def test_sound_data_raises_nothing() -> None:
    assert list(check_recording(recording(), spec())) == []
    assert list(check_session(session(), spec())) == []
    other = session(sha256="01", animal="b", path=Path("b1.nwb"))
    assert list(check_cohort([session(), other], spec())) == []


def spikes(*trains: np.ndarray[Any, Any]) -> NeuralStream:
    ends = np.cumsum([len(train) for train in trains])
    units = [str(i) for i in range(len(trains))]
    return NeuralStream(SpikeTrains(np.concatenate(trains), ends), units, ["M1"] * len(trains))


def sampled(values: np.ndarray[Any, Any]) -> NeuralStream:
    n_unit = values.shape[1]
    return NeuralStream(Sampled(values, np.arange(len(values)) / 50), [f"n{i}" for i in range(n_unit)], ["M1"] * n_unit)


EVENLY = np.linspace(0, 100, 300)
TRACES = np.random.default_rng(1).gamma(2.0, size=(500, 3))


@pytest.mark.parametrize(
    ("stream", "kind", "check", "grade", "words"),
    [
        (spikes(EVENLY, np.zeros(0), EVENLY + 0.1), "spikes", "silent_units", "warning", "1 units never fire (1)"),
        (spikes(1e-4 * EVENLY, 1e-4 * EVENLY + 1e-6), "spikes", "implausible_rates", "warning", "3e+04 Hz over 0.01"),
        (
            spikes(EVENLY, EVENLY + 0.1, EVENLY + 1e-4),
            "spikes",
            "units_that_share_spikes",
            "warning",
            "1 pairs of units share more than half of their spikes (0 = 2)",
        ),
        (
            spikes(EVENLY, EVENLY[EVENLY < 50] + 0.1),
            "spikes",
            "drifting_units",
            "warning",
            "in the last third than in the first (1)",
        ),
        (
            spikes(EVENLY[np.abs(EVENLY - 50) > 20]),
            "spikes",
            "gaps_of_all_units",
            "warning",
            "1 stretches, the longest 40.47 s from 29.7",
        ),
        (
            sampled(np.stack([TRACES[:, 0], TRACES[:, 1], TRACES[:, 0]], 1)),
            "calcium",
            "repeated_units",
            "warning",
            "copies of others (n2 = n0)",
        ),
        (sampled(np.where([1, 0, 1], TRACES, np.nan)), "calcium", "units_without_samples", "warning", "all NaN (n1)"),
        (sampled(np.where([1, 0, 1], TRACES, 3.0)), "calcium", "flat_units", "warning", "never change (n1)"),
    ],
)
def test_neural(stream: NeuralStream, kind: str, check: str, grade: str, words: str) -> None:
    checked = spec(**{"data.neural": [{"source": "units", "kind": kind}]})
    finding = only(list(check_recording(recording(neural=[stream]), checked)))
    assert (finding.check, finding.grade) == (check, Grade(grade))
    assert finding.where == "a1.nwb:units"
    assert words in finding.what


def test_refractory_violations_are_a_matter_of_quality() -> None:
    doubled = recording(neural=[spikes(np.sort([*EVENLY, *(EVENLY[:9] + 0.001)]), EVENLY + 0.1)])
    assert list(check_recording(doubled, spec())) == []
    finding = only(list(check_recording(doubled, spec(), quality=True)))
    assert "1 units have more than 1 % of their intervals under 1.5 ms (0)" in finding.what


def test_holes_in_a_signal_are_a_matter_of_quality() -> None:
    known = recording().behavior["position"]
    holes = np.where(np.arange(10_000) % 10 == 0, np.nan, known.values.T).T
    later = np.where(np.arange(10_000) < 5000, known.time_s, known.time_s + 3)
    behavior = {**recording().behavior, "gaze": Sampled(holes, known.time_s), "lick": Sampled(known.values, later)}
    found = list(check_recording(recording(behavior=behavior, neural=[spikes(EVENLY)]), spec(), quality=True))
    assert [(finding.where, finding.what) for finding in found] == [
        ("a1.nwb:data.behavior.gaze", "10% of the values are NaN"),
        ("a1.nwb:data.behavior.lick", "has 1 gaps of more than 5 samples, the longest 3.01 s"),
    ]


def test_trials_without_spikes_are_named() -> None:
    observation = np.ones((50, 5, 6), dtype=np.uint8)
    observation[[3, 8]] = 0
    finding = only(list(check_session(session(observation=observation), spec())))
    assert finding.what == "in 2 of 50 trials no unit fires (3, 8)"


def test_an_empty_source_is_an_error() -> None:
    empty = NeuralStream(SpikeTrains(np.zeros(0), np.zeros(0, dtype=np.int64)), [], [])
    assert only(list(check_recording(recording(neural=[empty]), spec()))).check == "no_units"


def test_a_source_that_a_file_lacks_is_named_where_it_has_others() -> None:
    lacking = session(absent={"dff": "a1.nwb: there is no series 'dff'"})
    found = only(list(check_cohort([lacking, session(sha256="01", animal="b", path=Path("b1.nwb"))], spec())))
    assert (found.check, found.grade) == ("sources_that_some_files_lack", Grade.warning)
    assert "a1.nwb: lacks dff" in f"{found.where}: {found.what}"
    found = only(list(check_cohort([lacking], spec())))
    assert (found.check, found.grade) == ("sources_that_no_file_has", Grade.error)


def test_an_animal_that_only_the_file_names_is_said_aloud() -> None:
    assert only(list(check_cohort([session(nameless=True)], spec()))).check == "animals_named_after_files"


def hand(name: str, change: Any) -> dict[str, Sampled]:
    known = recording().behavior
    values, time_s = change(known[name].values.copy(), known[name].time_s)
    return {**known, name: Sampled(values, time_s)}


@pytest.mark.parametrize(
    ("behavior", "check", "grade", "words"),
    [
        (
            hand("position", lambda p, t: (p * [1, np.nan], t)),
            "signal_without_samples",
            "error",
            "columns [1] of 2 are all NaN",
        ),
        (hand("position", lambda p, t: (p * [1, 0], t)), "flat_signal", "warning", "columns [1] of 2 never change"),
        (hand("velocity", lambda v, t: (v[::10], t[::10])), "slower_than_the_bins", "warning", "sampled every 0.1 s"),
        (
            hand("velocity", lambda v, t: (v[:, :1], t)),
            "point_mass_needs_equal_axes",
            "error",
            "has 1 columns, data.behavior.position has 2",
        ),
        (
            hand("velocity", lambda v, t: (100 * v, t)),
            "velocity_is_not_the_slope_of_position",
            "warning",
            "is 100 times the slope",
        ),
    ],
)
def test_behavior(behavior: dict[str, Sampled], check: str, grade: str, words: str) -> None:
    finding = only(list(check_recording(recording(behavior=behavior), spec())))
    assert (finding.check, finding.grade) == (check, Grade(grade))
    assert finding.where.startswith("a1.nwb:data.behavior.")
    assert words in finding.what


def test_trials_whose_event_is_missing_are_counted() -> None:
    go_s = np.arange(50) * 2.0
    go_s[:3] = np.nan
    trials = IntervalTable([str(i) for i in range(50)], {"go_time": go_s})
    checked = spec(**{"data.trials": {"align": "go_time", "window_s": [0.0, 1.0]}})
    finding = only(list(check_recording(recording(trials=trials), checked)))
    assert finding.what == "3 of 50 trials have no such event and are left out"


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        (
            {"time_s": 0.04 * np.arange(50)[:, None] + session().time_s[:1]},
            "overlapping_trials",
            "2 of 15 trials that do not train",
        ),
        ({"split": np.repeat(np.array([0, 1, 2], np.int8), [5, 5, 40])}, "few_trials", "only 5 training trials of 50"),
        ({"split": np.repeat(np.array([0, 2], np.int8), [40, 10])}, "few_trials", "no validation trials of 50"),
        ({"body": np.where([1, 0], 1, np.full((50, 5, 2), np.nan))}, "missing_behavior", "is missing in 100%"),
        (
            {"observation": np.where([1, 1, 1, 1, 1, 0], 1.0, np.full((50, 5, 6), np.nan))},
            "missing_activity",
            "1 of 6 units are missing",
        ),
    ],
)
def test_trials(changes: dict[str, Any], check: str, words: str) -> None:
    finding = only(list(check_session(session(**changes), spec())))
    assert (finding.check, finding.grade) == (check, Grade.warning)
    assert words in finding.what


def test_a_session_may_lack_an_area_but_not_all_sessions() -> None:
    checked = spec(**{"model.brain": {"kind": "linear", "latents": {"PMd": 2, "M1": 3}}})
    finding = only(list(check_session(session(), checked)))
    assert (finding.check, finding.grade) == ("named_areas_without_units", Grade.warning)
    other = session(sha256="01", animal="b", path=Path("b1.nwb"))
    finding = only(list(check_cohort([session(), other], checked)))
    assert (finding.check, finding.grade) == ("named_areas_in_no_session", Grade.error)
    there = session(sha256="01", animal="b", path=Path("b1.nwb"), unit_area=["PMd"] * 3 + ["M1"] * 3)
    assert list(check_cohort([session(), there], checked)) == []


def test_sessions_may_be_linked_by_others() -> None:
    areas = {"V1 alone": ["V1"] * 6, "both": ["V1"] * 3 + ["M1"] * 3, "M1 alone": ["M1"] * 6}
    chain = [
        session(animal=name, sha256=name, path=Path(name), unit_area=unit_area) for name, unit_area in areas.items()
    ]
    assert list(check_cohort(chain, spec())) == []
    assert only(list(check_cohort([chain[0], chain[2]], spec()))).check == "animals_share_no_area"


def test_an_area_of_the_controller_must_be_somewhere() -> None:
    checked = spec(**{"model.controller": {"kind": "setpoint", "areas": ["M2"]}})
    finding = only(list(check_cohort([session()], checked)))
    assert (finding.check, finding.where) == ("named_areas_in_no_session", "model.controller.areas")


def test_units_in_an_area_that_the_model_does_not_know() -> None:
    checked = spec(**{"model.brain": {"kind": "linear", "latents": {"M1": 3}}})
    finding = only(list(check_session(session(unit_area=["M1"] * 4 + ["PMd"] * 2), checked)))
    assert finding.check == "units_outside_the_named_areas"
    assert finding.what == "names no area PMd, which 2 units are in"


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"sha256": "00"}, "same_file_twice"),
        ({"animal": "a"}, "same_session_name_twice"),
        ({"body_names": ["position_0"]}, "bodies_differ"),
        ({"input_names": ["go"]}, "inputs_differ"),
        ({"unit_area": ["V1"] * 6}, "animals_share_no_area"),
    ],
)
def test_sessions_that_do_not_fit_together(changes: dict[str, Any], check: str) -> None:
    other = replace(session(animal="b", sha256="01", path=Path("b1.nwb")), **changes)
    assert only(list(check_cohort([session(), other], spec()))).check == check


def test_an_area_that_fires_on_while_it_is_silenced() -> None:
    inputs = {"off": {"source": "s", "kind": "silencing", "area": "M1"}}
    asked = spec(**{"data.inputs": inputs, "model.brain": {"latents": {"M1": 2, "PMd": 2}}})
    usual = session().observation.mean()
    for share, words in ((0.6, ["while it is silenced M1 emits 60% of what it does otherwise"]), (0.1, [])):
        found = check_session(session(floor=np.full(6, share * usual)), asked)
        assert [each.what for each in found if "silenced" in each.what] == words
