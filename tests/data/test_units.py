"""Law: units are chosen on training data alone, and held-out units are drawn by seed and session."""

from __future__ import annotations

import numpy as np
import pytest

from ncyber_cli.data.grid import Grid
from ncyber_cli.data.recording import NeuralStream, Sampled, SpikeTrains
from ncyber_cli.data.units import check_areas, choose_units, held_out_units
from ncyber_cli.errors import DataError, SpecError
from ncyber_cli.spec import HeldOut, NeuralSource, UnitSelection

SPIKES = NeuralSource(source="units", kind="spikes")
CALCIUM = NeuralSource(source="dff", kind="calcium")
TRAINING = Grid(0.1, np.array([0.0, 4.0]), np.array([10, 10]), np.zeros(2), np.arange(2))  # 0-1 s and 4-5 s


def stream() -> NeuralStream:
    """Unit a: 6 Hz in training only; b: 3 Hz; c fires only between the training trials."""
    trains = [np.linspace(0.05, 0.9, 12), np.concatenate([np.linspace(0, 0.9, 3), np.linspace(4, 4.9, 3)]), [2.0] * 50]
    ends = np.cumsum([len(train) for train in trains])
    columns = {"quality": np.array(["good", "good", "bad"]), "heldout": np.array([0, 1, 0])}
    return NeuralStream(SpikeTrains(np.concatenate(trains), ends), ["a", "b", "c"], ["M1", "M1", "S1"], columns)


def kept(**rules: object) -> list[int]:
    (rows,) = choose_units([stream()], [SPIKES], UnitSelection.model_validate(rules), TRAINING, "file")
    return rows.tolist()


def test_where_and_rate_over_training_bins() -> None:
    assert kept() == [0, 1, 2]
    assert kept(where="quality == 'good'") == [0, 1]
    assert kept(where="area == 'S1' or unit_id == 'a'") == [0, 2]
    assert kept(min_rate_hz=0.1) == [0, 1]
    assert kept(min_rate_hz=3.5) == [0]
    assert kept(min_rate_hz=3.5, where="unit_id != 'b'") == [0]
    with pytest.raises(DataError, match="none of 3 units is left"):
        kept(min_rate_hz=100.0)
    with pytest.raises(DataError, match="did you mean quality"):
        kept(where="qualty == 'good'")


def test_rate_of_binned_counts() -> None:
    counts = np.zeros((60, 2), dtype=np.uint8)
    counts[:10, 0] = 1
    binned = NeuralStream(Sampled(counts, (np.arange(60) + 0.5) * 0.1), ["a", "b"], ["", ""])
    for least, rows in ((4.9, [0]), (5.1, [])):
        if rows:
            (found,) = choose_units([binned], [SPIKES], UnitSelection(min_rate_hz=least), TRAINING, "file")
            assert found.tolist() == rows
        else:
            with pytest.raises(DataError):
                choose_units([binned], [SPIKES], UnitSelection(min_rate_hz=least), TRAINING, "file")


def test_calcium_has_no_spike_rate() -> None:
    traces = NeuralStream(Sampled(np.zeros((5, 1)), np.arange(5.0)), ["a"], [""])
    with pytest.raises(SpecError, match="min_rate_hz is a spike rate"):
        choose_units([traces], [CALCIUM], UnitSelection(min_rate_hz=1.0), TRAINING, "file")


def held(rule: HeldOut | None, n_unit: int = 3, seed: int = 0, session: str = "s") -> list[bool]:
    names = [f"{i}" for i in range(n_unit)] if n_unit != 3 else ["a", "b", "c"]
    return held_out_units(rule, names, ["spikes"] * n_unit, [stream()], [np.arange(3)], seed, session, "file").tolist()


def test_held_out_rules() -> None:
    assert held(None) == [False] * 3
    assert held(HeldOut(units=["c", "of another session"])) == [False, False, True]
    assert held(HeldOut(column="heldout")) == [False, True, False]
    assert sum(held(HeldOut(fraction=0.01))) == 1
    with pytest.raises(DataError, match="did you mean heldout"):
        held(HeldOut(column="held_out"))
    with pytest.raises(DataError, match="not true or false"):
        held(HeldOut(column="quality"))
    with pytest.raises(DataError, match="none is left to encode"):
        held(HeldOut(units=["a", "b", "c"]))


def test_held_out_fraction_is_fixed_by_seed_and_session() -> None:
    rule = HeldOut(fraction=0.25)
    first = held(rule, n_unit=60)
    assert sum(first) == 15
    assert first == held(rule, n_unit=60)
    assert first != held(rule, n_unit=60, seed=1)
    assert first != held(rule, n_unit=60, session="t")


def test_every_area_has_latents() -> None:
    check_areas([stream()], ["M1", "S1"], ["M1", "S1", "PMd"], where="file")
    with pytest.raises(DataError, match=r"2 units are in area 'PM'.*did you mean PMd.*heldout, quality"):
        check_areas([stream()], ["PM", "M1", "PM"], ["M1", "PMd"], where="file")
