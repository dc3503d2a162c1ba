from pathlib import Path

import numpy as np
import pytest
from reach_animal import AFTER_GO, Floats, Inferred, ReachAnimal, with_truth
from reach_scores import Runs, chased_noise, reach_bins, score

from ncyber_cli.data.prepare import prepare
from ncyber_cli.data.read import read_recording
from ncyber_cli.spec_file import load_spec
from ncyber_cli.worlds import reach
from ncyber_cli.worlds.to_nwb import save_animal

SPEC = load_spec(Path(__file__).parents[2] / "example_configs" / "quickstart.yaml")


@pytest.fixture(scope="module")
def animal(tmp_path_factory: pytest.TempPathFactory) -> ReachAnimal:
    path = tmp_path_factory.mktemp("reach") / "reach-1.nwb"
    save_animal(reach.simulate(trials=60, seed=4, jump_probability=0.5, pulse_probability=0.5), path)
    return with_truth(prepare(read_recording(path, SPEC.data), SPEC))


def knows(animal: ReachAnimal, error: Floats | float = 0.0) -> Inferred:
    """What a perfect model would infer, but for `error` in its objective."""
    true = animal.true
    means = {"objectives": true["objective"] + error, "controls": true["control"], "actuator": true["actuator"]}
    means["rates"] = true["rate"]
    return Inferred(means, {name: np.full_like(values, 0.01) for name, values in means.items()})


def test_the_truth_scores_one_and_nulls_less(animal: ReachAnimal) -> None:
    known = knows(animal)
    found = score(animal, Runs(known, known, known, None, None), {})
    assert {scores["model"] for scores in found["objective"].values()} == {1.0}
    assert found["objective"]["before the jump"]["end point"] < 0.9 < found["objective"]["plain trials"]["end point"]
    assert found["control"]["control"]["model"] == found["control"]["actuator"]["model"] == 1.0
    shares = found["rates"]["share_of_expected_bits"]
    assert shares["model"] == {"all": 1.0, "seen": 1.0, "held out": 1.0}
    assert 0.8 < shares["true latents, log-linear"]["all"] < shares["true latents"]["all"] < 1.0
    assert found["objective_causal"]["go"]["hand position"][0] < 0.2 < found["objective_causal"]["go"]["model"][0]
    assert found["calibration"]["causal, all bins"] == {"50%": 1.0, "90%": 1.0}


def test_bins_are_counted_from_events(animal: ReachAnimal) -> None:
    bins, go = reach_bins(animal), animal.events_s["go_time"]
    since_go = np.where(bins["all"], animal.session.time_s - go[:, None], np.inf).min(1)
    np.testing.assert_allclose(since_go, (AFTER_GO + 0.5) * animal.session.bin_s)
    neither = bins["jump trials"] & ~bins["before the jump"] & ~bins["after the jump"]
    assert neither.sum(1).max() == 1  # the bin in which it arrives
    assert not (bins["before the jump"] & bins["after the jump"]).any()
    jumped = np.abs(animal.true["objective"] - animal.true["objective"][:, -1:]).max(-1) > 1e-4
    assert jumped[bins["before the jump"]].all()


def test_an_objective_that_chases_the_motor_noise_is_seen(animal: ReachAnimal) -> None:
    session = animal.session
    push = animal.true["actuator"] + session.force / animal.truth.constants["mass_kg"]
    noise = np.diff(session.body[..., 2:], axis=1, prepend=np.nan) / session.bin_s
    noise -= 0.5 * (push + np.roll(push, 1, axis=1))
    sound = chased_noise(animal, knows(animal, 0.01 * np.random.default_rng(0).standard_normal(push.shape)))
    chasing = chased_noise(animal, knows(animal, 0.02 * np.nan_to_num(noise)))
    assert abs(sound["motor_noise"]) < 0.2
    assert chasing["motor_noise"] > 0.9
