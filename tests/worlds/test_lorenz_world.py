import numpy as np
import pytest

from ncyber_cli.worlds import lorenz
from ncyber_cli.worlds.simulated import SimulatedAnimal


@pytest.fixture(scope="module")
def animal() -> SimulatedAnimal:
    return lorenz.simulate(trials=60, seed=4)


def test_runge_kutta_is_of_fourth_order() -> None:
    """Halving the step divides the error by about 2^4."""
    state = np.array([[1.0, 2.0, 20.0], [-5.0, -6.0, 25.0]])

    def end(steps: int) -> np.ndarray:
        path = state
        for _ in range(steps):
            path = lorenz.lorenz_step(path, 0.2 / steps)
        return path

    exact = end(2048)
    errors = [np.abs(end(steps) - exact).max() for steps in (16, 32)]
    assert 12 < errors[0] / errors[1] < 22


def test_latent_is_on_the_normalised_attractor(animal: SimulatedAnimal) -> None:
    latent = lorenz.normalise(lorenz.attractor_states(4000, np.random.default_rng(0)))
    np.testing.assert_allclose(latent.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(latent.std(axis=0), 1, atol=0.1)
    assert np.abs(animal.truth["latent"].values).max() < 4


def test_latent_follows_the_lorenz_equations(animal: SimulatedAnimal) -> None:
    """The written path, advanced by the equations, is the written path one bin later."""
    latent = animal.truth["latent"].values
    state = latent[:, :-1] * lorenz.SD + lorenz.MEAN
    np.testing.assert_allclose(lorenz.normalise(lorenz.next_bin(state)), latent[:, 1:], atol=1e-9)


def test_neurons_fire_at_ten_hertz_and_the_last_are_held_out(animal: SimulatedAnimal) -> None:
    assert animal.counts.shape == (60, 100, 64)
    assert 8 < animal.counts.mean() / animal.bin_s < 12
    np.testing.assert_array_equal(np.flatnonzero(animal.unit_columns["heldout"]), np.arange(48, 64))


def test_same_seed_same_data_other_animal_other_neurons(animal: SimulatedAnimal) -> None:
    np.testing.assert_array_equal(lorenz.simulate(trials=60, seed=4).counts, animal.counts)
    other = lorenz.simulate(trials=60, seed=4, animal=1)
    assert np.abs(other.unit_truth["weights"] - animal.unit_truth["weights"]).max() > 0.1


def test_process_noise_leaves_the_equations() -> None:
    latent = lorenz.simulate(trials=5, seed=4, process_noise_sd=0.05).truth["latent"].values
    predicted = lorenz.normalise(lorenz.next_bin(latent[:, :-1] * lorenz.SD + lorenz.MEAN))
    assert (latent[:, 1:] - predicted).std() == pytest.approx(0.05, rel=0.1)
