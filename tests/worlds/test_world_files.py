from pathlib import Path

import h5py
import numpy as np
import pynwb
import pytest

from ncyber_cli.data.write_nwb import write_nwb
from ncyber_cli.errors import DataError, ResourceError
from ncyber_cli.worlds import lorenz, reach
from ncyber_cli.worlds.simulated import SimulatedAnimal
from ncyber_cli.worlds.to_nwb import GAP_S, save_animal, significant, to_contents
from ncyber_cli.worlds.truth import Truth, read_truth


@pytest.fixture(scope="module")
def animal() -> SimulatedAnimal:
    return reach.simulate(trials=12, seed=5, jump_probability=0.5)


@pytest.fixture(scope="module")
def path(animal: SimulatedAnimal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_animal(animal, tmp_path_factory.mktemp("world") / "reach-1.nwb")


@pytest.fixture(scope="module")
def truth(path: Path) -> Truth:
    return read_truth(path)


def _centres(truth: Truth, animal: SimulatedAnimal) -> np.ndarray:
    """Session time (trial, time) of the centre of each simulated bin."""
    bins = np.arange(animal.counts.shape[1]) + 0.5
    return truth.trials["start_time"][:, None] + animal.bin_s * bins


def test_the_validator_finds_nothing(path: Path) -> None:
    assert pynwb.validate(path=str(path)) == []


def test_the_validator_finds_nothing_in_a_lorenz_file(tmp_path: Path) -> None:
    target = save_animal(lorenz.simulate(trials=3, seed=5), tmp_path / "lorenz-1.nwb")
    assert pynwb.validate(path=str(target)) == []
    truth = read_truth(target)
    assert truth.units["weights"].shape == (64, 3)
    assert set(truth.series) == {"latent", "rate"}


def test_the_same_world_is_the_same_bytes(animal: SimulatedAnimal, path: Path, tmp_path: Path) -> None:
    again = save_animal(reach.simulate(trials=12, seed=5, jump_probability=0.5), tmp_path / "again.nwb")
    assert again.read_bytes() == path.read_bytes()


def test_an_existing_file_is_kept(animal: SimulatedAnimal, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(DataError, match="--overwrite"):
        save_animal(animal, path)
    assert path.read_bytes() == before


def test_a_failed_write_leaves_nothing(
    animal: SimulatedAnimal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ncyber_cli.data.write_nwb._fix_object_ids", fail)
    with pytest.raises(ResourceError, match="the disk is full"):
        write_nwb(to_contents(animal), tmp_path / "reach-1.nwb")
    assert list(tmp_path.iterdir()) == []


def test_pynwb_reads_what_a_lab_would_look_for(path: Path, animal: SimulatedAnimal) -> None:
    with pynwb.NWBHDF5IO(path, "r") as io:
        nwb = io.read()
        assert nwb.subject.subject_id == "reach-1"
        assert list(nwb.units["quality"][:]) == ["good"] * animal.counts.shape[2]
        assert [nwb.units["electrodes"][unit]["location"].item() for unit in (0, -1 % len(nwb.units))] == ["PMd", "M1"]
        behavior = nwb.processing["behavior"]
        position = behavior["Position"]["hand_pos"]
        assert (position.unit, behavior["hand_vel"].unit, behavior["external_force"].unit) == ("m", "m/s", "N")
        assert position.rate == 100
        assert {"go_time", "jump_time", "target_on_time", "target_x"} <= set(nwb.trials.colnames)
        trials = np.stack([nwb.trials["start_time"][:], nwb.trials["stop_time"][:]], axis=1)
        np.testing.assert_array_equal(nwb.units["obs_intervals"][0], trials)


def test_spikes_in_their_bins_are_the_simulated_counts(path: Path, truth: Truth, animal: SimulatedAnimal) -> None:
    edges = truth.trials["start_time"][:, None] + animal.bin_s * np.arange(animal.counts.shape[1] + 1)
    with h5py.File(path) as file:
        trains = np.split(file["units/spike_times"][()], file["units/spike_times_index"][()][:-1])
    counts = np.stack([np.diff(np.searchsorted(train, edges), axis=1) for train in trains], axis=-1)
    np.testing.assert_array_equal(counts, animal.counts)
    assert sum(len(train) for train in trains) == animal.counts.sum()  # none between trials
    assert all(np.all(np.diff(train) >= 0) for train in trains)


@pytest.mark.parametrize("name", ["objective", "control", "actuator", "latent", "rate"])
def test_truth_read_back_is_the_truth_on_its_bins(name: str, truth: Truth, animal: SimulatedAnimal) -> None:
    read = truth.series[name].at(_centres(truth, animal))
    np.testing.assert_allclose(read, animal.truth[name].values, rtol=2.0**-8, atol=1e-30)


def test_truth_of_trials_and_animal(truth: Truth, animal: SimulatedAnimal) -> None:
    assert truth.animal == "reach-1"
    assert truth.constants == animal.constants
    start = truth.trials["start_time"]
    np.testing.assert_allclose(start, (2.0 + GAP_S) * np.arange(12))
    arrival = truth.trials["jump_arrival_time"]
    np.testing.assert_allclose(arrival - start, animal.trial_truth["jump_arrival_time"], atol=1e-9)
    assert np.isnan(arrival).any()
    np.testing.assert_array_equal(np.isnan(arrival), np.isnan(truth.trials["jump_time"]))


def test_truth_is_linear_between_bins_and_missing_outside_trials(truth: Truth, animal: SimulatedAnimal) -> None:
    series = truth.series["actuator"]
    centre = _centres(truth, animal)
    between = series.at(centre[:, :-1] + animal.bin_s / 2)
    expected = (series.at(centre[:, :-1]) + series.at(centre[:, 1:])) / 2
    np.testing.assert_allclose(between, expected, atol=1e-9)
    outside = np.array([-1.0, centre[0, -1] + 0.1, centre[-1, -1] + 1.0, np.nan])
    assert np.all(np.isnan(series.at(outside)))


def test_behaviour_is_recorded_in_trials_only(path: Path, truth: Truth) -> None:
    with h5py.File(path) as file:
        behavior = file["processing/behavior"]
        position, force = behavior["Position/hand_pos/data"][()], behavior["external_force/data"][()]
        first = behavior["Position/hand_pos/starting_time"][()]
    time = first + np.arange(len(position)) / 100
    inside = ((time >= truth.trials["start_time"][:, None]) & (time < truth.trials["stop_time"][:, None])).any(axis=0)
    np.testing.assert_array_equal(np.isfinite(position).all(axis=1), inside)
    assert np.all(force[~inside] == 0)


def test_a_file_without_truth_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["spikes"] = np.zeros((3, 2))
    with pytest.raises(DataError, match="ncyber synth"):
        read_truth(tmp_path / "plain.h5")


def test_significant_bits_bound_the_relative_error() -> None:
    values = np.concatenate([np.random.default_rng(0).lognormal(0, 5, 1000), [0.0, 1.0, -0.3]])
    rounded = significant(values, 8)
    np.testing.assert_allclose(rounded, values, rtol=2.0**-8)
    assert rounded[1000] == 0
    np.testing.assert_array_equal(significant(rounded.astype(np.float64), 8), rounded)
