"""A world's file, read as a lab's file is read, gives the model the bins that the world simulated."""

from pathlib import Path

import numpy as np
import pytest

from ncyber_cli.data.prepare import prepare
from ncyber_cli.data.read import read_recording
from ncyber_cli.data.recording import Session
from ncyber_cli.spec import Spec
from ncyber_cli.worlds import lorenz, reach
from ncyber_cli.worlds.simulated import SimulatedAnimal
from ncyber_cli.worlds.to_nwb import save_animal
from ncyber_cli.worlds.truth import read_truth

REACH_SPEC = {
    "version": 1,
    "data": {
        "bin_s": 0.02,
        "trials": {"align": "go_time", "window_s": [-0.4, 1.0]},
        "neural": [{"source": "units", "kind": "spikes", "area": "from_electrodes"}],
        "behavior": {
            "position": {"source": "hand_pos", "unit": "m"},
            "velocity": {"source": "hand_vel", "unit": "m/s"},
        },
        "inputs": {"force": {"source": "external_force", "kind": "force"}},
        "units": {"where": "quality == 'good'"},
    },
}
LORENZ_SPEC = {
    "version": 1,
    "data": {
        "bin_s": 0.01,
        "trials": {},
        "neural": [{"source": "units", "kind": "spikes"}],
        "held_out": {"column": "heldout"},
    },
}


def _session(animal: SimulatedAnimal, spec: dict[str, object], path: Path) -> Session:
    checked = Spec.model_validate(spec)
    return prepare(read_recording(save_animal(animal, path), checked.data), checked)


@pytest.fixture(scope="module")
def animal() -> SimulatedAnimal:
    return reach.simulate(trials=15, seed=6)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("world") / "reach-1.nwb"


@pytest.fixture(scope="module")
def session(animal: SimulatedAnimal, path: Path) -> Session:
    return _session(animal, REACH_SPEC, path)


def _first_bins(animal: SimulatedAnimal) -> np.ndarray:
    return np.round((animal.trial_columns["go_time"] - 0.4) / animal.bin_s).astype(int)


def test_bins_around_go_are_the_simulated_bins(session: Session, animal: SimulatedAnimal, path: Path) -> None:
    """Go falls on a bin's edge, so counts are equal and the true rate is that of the same bin."""
    assert session.observation.shape == (15, 70, animal.counts.shape[2])
    assert session.mask.all()
    rate = read_truth(path).series["rate"].at(session.time_s)
    for trial, first in enumerate(_first_bins(animal)):
        np.testing.assert_array_equal(session.observation[trial], animal.counts[trial, first : first + 70])
        simulated = animal.truth["rate"].values[trial, first : first + 70]
        np.testing.assert_allclose(rate[trial], simulated, rtol=2.0**-8)


def test_the_body_is_the_state_at_the_centre_of_its_bin(session: Session, animal: SimulatedAnimal) -> None:
    """Samples stand at 5, 15, ... ms, so their mean over a bin is unbiased for its centre."""
    assert np.all(np.isfinite(session.body))
    assert np.all(np.isfinite(session.force))
    assert session.body_names == ["position_0", "position_1", "velocity_0", "velocity_1"]
    position = animal.behavior["hand_pos"].values
    centre = (position[:, ::2] + position[:, 1::2]) / 2
    for trial, first in enumerate(_first_bins(animal)):
        np.testing.assert_allclose(session.body[trial, :, :2], centre[trial, first : first + 70], atol=2e-5)


def test_areas_come_from_the_electrodes(session: Session, animal: SimulatedAnimal) -> None:
    assert session.unit_area == animal.unit_area
    assert session.animal == "reach-1"


def test_lorenz_bins_and_held_out_units(tmp_path: Path) -> None:
    animal = lorenz.simulate(trials=6, seed=6)
    session = _session(animal, LORENZ_SPEC, tmp_path / "lorenz-1.nwb")
    np.testing.assert_array_equal(session.observation, animal.counts)
    np.testing.assert_array_equal(session.held_out, animal.unit_columns["heldout"])
