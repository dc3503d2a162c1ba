"""Law: what is recorded outside a trial changes nothing in it, and test trials change nothing that is fitted.

At any bin, window, gap between trials and rate of samples, for spikes, traces, behaviour, its differences, and inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from laws import few, fewer, seeds
from numpy.typing import NDArray

from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.grid import SLACK
from ncyber_cli.data.prepare import prepare
from ncyber_cli.data.recording import TEST, IntervalTable, NeuralStream, Recording, Sampled, Session, SpikeTrains
from ncyber_cli.spec import Spec
from ncyber_cli.training.measure import measure

N_TRIAL = 12
Change = Callable[[NDArray[np.float64]], NDArray[np.bool_]]  # times to which of them are changed


def spec_of(bin_s: float, window_s: float) -> Spec:
    return Spec.model_validate(
        {
            "version": 1,
            "data": {
                "bin_s": bin_s,
                "trials": {"window_s": [0.0, window_s]},
                "neural": [{"source": "units", "kind": "spikes"}, {"source": "traces", "kind": "calcium"}],
                "behavior": {"position": {"source": "p", "unit": "m"}},
                "inputs": {"push": {"source": "f", "kind": "force"}, "tone": {"source": "t", "kind": "stimulus"}},
                "held_out": {"fraction": 0.3},
            },
            "model": {"controller": {"kind": "setpoint"}, "body": {"kind": "point_mass"}},
        }
    )


def recording(seed: int, window_s: float, gap_s: float, period_s: float) -> Recording:
    """Trials one after the other, with or without a gap, and samples on clocks of their own with some dropped."""
    rng = np.random.default_rng(seed)
    start_s = 0.3 + np.arange(N_TRIAL) * (window_s + gap_s)
    end_s = start_s[-1] + window_s + 1

    def sampled(width: int) -> Sampled:
        time_s = np.arange(rng.uniform(0, period_s), end_s, period_s)
        time_s = time_s[rng.uniform(size=len(time_s)) > 0.2]
        return Sampled(rng.normal(size=(len(time_s), width)), time_s)

    trains = [np.sort(rng.uniform(0, end_s, rng.integers(20, 200))) for _ in range(4)]
    spikes = SpikeTrains(np.concatenate(trains), np.cumsum([len(train) for train in trains]))
    units = NeuralStream(spikes, list("abcd"), ["M1"] * 4)
    traces = NeuralStream(sampled(3), list("xyz"), ["M1"] * 3)
    inputs = {"push": sampled(2), "tone": sampled(1)}
    table = IntervalTable([str(i) for i in range(N_TRIAL)], {"start_time": start_s, "stop_time": start_s + window_s})
    return Recording("a", "s", Path("a.nwb"), "00", [units, traces], {"position": sampled(2)}, inputs, table)


def changed(known: Recording, chosen: Change) -> Recording:
    """The recording with other samples, and twice the spikes, where `chosen` says so."""

    def other(signal: Sampled) -> Sampled:
        assert signal.time_s is not None
        return Sampled(np.where(chosen(signal.time_s)[:, None], 1e6, signal.values), signal.time_s)

    spikes, traces = known.neural[0].activity, known.neural[1].activity
    assert isinstance(spikes, SpikeTrains)
    assert isinstance(traces, Sampled)
    trains = np.split(spikes.times_s, spikes.ends[:-1])
    more = [np.sort(np.concatenate([train, train[chosen(train)]])) for train in trains]
    again = SpikeTrains(np.concatenate(more), np.cumsum([len(train) for train in more]))
    return replace(
        known,
        neural=[replace(known.neural[0], activity=again), replace(known.neural[1], activity=other(traces))],
        behavior={name: other(signal) for name, signal in known.behavior.items()},
        inputs={name: other(signal) for name, signal in known.inputs.items()},
    )


def assert_same_trials(one: Session, other: Session, trials: Any) -> None:
    for name in ("observation", "body", "input", "force", "time_s", "mask"):
        np.testing.assert_array_equal(getattr(one, name)[trials], getattr(other, name)[trials], name)


SHAPES = {
    "seed": seeds,
    "bin_s": st.floats(0.02, 0.3),
    "n_bins": st.floats(1.0, 20.0),
    "gap_s": st.sampled_from([0.0, 0.01, 0.5]),
    "periods": st.floats(0.05, 4.0),  # of a sample, in bins
}


@few
@given(trial=st.integers(0, N_TRIAL - 1), **SHAPES)
def test_what_lies_outside_a_trial_changes_nothing_in_it(
    trial: int, seed: int, bin_s: float, n_bins: float, gap_s: float, periods: float
) -> None:
    window_s = n_bins * bin_s
    spec, known = spec_of(bin_s, window_s), recording(seed, window_s, gap_s, periods * bin_s)
    assert known.trials is not None
    begin_s = known.trials.columns["start_time"][trial] - SLACK * bin_s
    stop_s = begin_s + np.floor(window_s / bin_s + SLACK) * bin_s
    other = changed(known, lambda time_s: (time_s < begin_s) | (time_s >= stop_s))
    assert_same_trials(prepare(known, spec), prepare(other, spec), trial)


@fewer
@given(**SHAPES)
def test_test_trials_change_nothing_elsewhere_and_nothing_that_is_measured(
    seed: int, bin_s: float, n_bins: float, gap_s: float, periods: float
) -> None:
    window_s = (4 + n_bins) * bin_s
    spec, known = spec_of(bin_s, window_s), recording(seed, window_s, gap_s, 0.3 * min(periods, 1) * bin_s)
    session = prepare(known, spec)
    begin_s = session.event_s[session.split == TEST, None] - SLACK * bin_s

    def tested(time_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = ((time_s >= begin_s) & (time_s < begin_s + window_s)).any(axis=0)
        return inside

    other = prepare(changed(known, tested), spec)
    assert_same_trials(session, other, session.split != TEST)
    assert (session.unit_id, session.trial_id) == (other.unit_id, other.trial_id)
    np.testing.assert_array_equal(session.held_out, other.held_out)
    np.testing.assert_array_equal(session.split, other.split)
    one, two = (measure(spec, Cohort([each], ["a"])) for each in (session, other))
    assert one == two
    assert not np.array_equal(session.body, other.body, equal_nan=True)  # the test trials themselves did change
