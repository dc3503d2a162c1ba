"""Pulses as they are written, and the impulse that they carry over bins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ncyber_cli.errors import UsageError
from ncyber_cli.model.layout import Layout
from ncyber_cli.pipeline.pulses import read_pulse, total
from ncyber_cli.spec import Data

BIN_S = 0.02
CENTRE_S = -0.2 + BIN_S * (np.arange(60) + 0.5)[None]


def data(**inputs: dict[str, Any]) -> Data:
    return Data.model_validate(
        {"bin_s": BIN_S, "trials": {}, "neural": [{"source": "units", "kind": "spikes"}], "inputs": inputs}
    )


def layout(n_force: int, *names: str) -> Layout:
    return Layout(BIN_S, ["a"], [], 0, ["brain"], [2], ["spikes"], list(names), n_force, [1.0] * n_force)


USUAL = data(
    push={"source": "f", "kind": "force"},
    laser={"source": "l", "kind": "stimulation"},
    go={"column": "go_time", "kind": "cue"},
)
OF_USUAL = layout(2, "laser_0", "go", "laser_1")


@pytest.mark.parametrize(("shape", "share"), [("", 1.0), (":square", 1.0), (":half-sine", 2 / np.pi)])
@pytest.mark.parametrize("onset", [0.1, 0.1037, -0.013])
@pytest.mark.parametrize("duration", [0.004, 0.08, 0.1234])
def test_bins_hold_means_and_together_the_whole_impulse(
    shape: str, share: float, onset: float, duration: float
) -> None:
    pulse = read_pulse(f"push:3,-1@{onset}+{duration}{shape}", USUAL, OF_USUAL)
    added = total([pulse, pulse], CENTRE_S, BIN_S, 2)[0]
    np.testing.assert_allclose(BIN_S * added.sum(0), 2 * share * duration * np.array([3.0, -1.0]), atol=1e-12)
    outside = (CENTRE_S[0] < onset - BIN_S) | (CENTRE_S[0] > onset + duration + BIN_S)
    assert not added[outside].any()


def test_a_half_sine_is_one_where_bins_are_narrow() -> None:
    pulse = read_pulse("push:2,0@0.1+0.08:half-sine", USUAL, OF_USUAL)
    time_s = np.array([[0.1, 0.12, 0.14, 0.16, 0.18, np.nan]])
    expected = [0, np.sqrt(0.5), 1, np.sqrt(0.5), 0, 0]
    np.testing.assert_allclose(pulse.over_bins(time_s, 1e-6)[0], expected, atol=1e-4)


def test_names_lead_to_columns() -> None:
    push, laser = (read_pulse(text, USUAL, OF_USUAL) for text in ("push:1,2@-1e-1+0.2", "laser:1,2@0+1"))
    assert (push.force, push.columns, push.onset_s) == (True, [0, 1], -0.1)
    assert (laser.force, laser.columns) == (False, [0, 2])
    by_events = data(off={"column": "on", "until": "off", "kind": "silencing", "area": "M1"})
    assert read_pulse("off:1@0.1+0.2", by_events, layout(0, "off")).columns == [0]


def test_of_several_forces_each_has_its_own_columns() -> None:
    two = {"f": {"source": "f", "kind": "force"}, "g": {"source": "g", "kind": "force", "columns": [0]}}
    assert read_pulse("g:1@0+1", data(**two), layout(3)).columns == [2]
    assert read_pulse("f:1,1@0+1", data(**two), layout(3)).columns == [0, 1]
    two["g"].pop("columns")
    with pytest.raises(UsageError, match="does not say which of its 3 force columns are f and g"):
        read_pulse("g:1@0+1", data(**two), layout(3))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("push", "is no pulse; write NAME:VALUE"),
        ("push:1,2@0.1", "is no pulse"),
        ("push:1,2@0.1+0.1:round", "there is no shape 'round'"),
        ("pusch:1,2@0+1", "this run has no input 'pusch'; did you mean push"),
        ("go:1@0+1", "go is a cue, and a pulse goes into a force, stimulation, silencing, stimulus"),
        ("push:1@0+1", "values for 1 of the 2 columns of push"),
        ("push:1,far@0+1", "'far' is not a number"),
        ("push:1,inf@0+1", "'inf' is not a number"),
        ("push:1,2@0+0", "lasts no time"),
    ],
)
def test_what_is_no_pulse_into_this_run_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_pulse(text, USUAL, OF_USUAL)
    assert f"--perturb {text}: {said}" in str(refused.value)
