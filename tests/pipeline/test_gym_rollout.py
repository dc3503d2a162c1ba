"""`simulate --env`: the model in someone else's world, trial by trial, until the episode ends."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from finished_run import LORENZ_DATA, REACH_DATA, REACH_MODEL, finished_run, lorenz_file, reach_files

from ncyber_cli.errors import NcyberError, SpecError, UsageError
from ncyber_cli.inference.rollout import rollout
from ncyber_cli.inference.trial_noise import path_noise
from ncyber_cli.outputs.read_results import read_results
from ncyber_cli.outputs.results_layout import ROLLOUT_GROUPS
from ncyber_cli.pipeline.gym_rollout import GymWorld
from ncyber_cli.pipeline.interventions import Interventions, Plan
from ncyber_cli.pipeline.open_run import OpenRun, open_run
from ncyber_cli.pipeline.scenes import UsualTrials
from ncyber_cli.pipeline.simulate import SimulateOptions, simulate_run
from ncyber_cli.spec import Gym

gymnasium = pytest.importorskip("gymnasium")
spaces = gymnasium.spaces
REACH, STEPS = "ncyber/Reach-v0", 20
SMALL = {"observation": {"position": {"entries": [1, 0]}}, "action": {"entries": [0, 1]}}


class Drift(gymnasium.Env):
    """Drifts by 1 a step in its second entry, ends after `last` steps, and remembers what it was told."""

    told: ClassVar[list[np.ndarray]] = []

    def __init__(self, last: int = 7, kind: str = "vector", limit: float = 1e6) -> None:
        vector = spaces.Box(-1e6, 1e6, (2,), np.float64)
        self.kind, self.last = kind, last
        observed = {"dict": spaces.Dict({"b": vector, "a": vector}), "image": spaces.Box(0, 255, (4, 4), np.uint8)}
        self.observation_space = observed.get(kind, vector)
        self.action_space = spaces.Discrete(3) if kind == "choice" else spaces.Box(-limit, limit, (2,), np.float32)

    def seen(self) -> Any:
        vector = np.array([self.where, float(self.steps)])
        return {"b": vector + 100, "a": vector} if self.kind == "dict" else vector

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps, self.where = 0, self.np_random.uniform()
        return self.seen(), {"goal": np.array([0.25, -0.5])}

    def step(self, action: Any) -> Any:
        self.steps += 1
        self.told.append(np.array(action))
        return self.seen(), 1.0, self.steps == self.last, False, {}


gymnasium.register("test/Drift-v0", entry_point=Drift, disable_env_checker=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    return finished_run(folder / "run", reach_files(folder), REACH_DATA, REACH_MODEL)


def opened(run: Path, gym: dict[str, Any] | None = None) -> OpenRun:
    found = open_run(run, "best", "cpu")
    spec = found.spec.model_copy(update={"gym": None if gym is None else Gym.model_validate(gym)})
    return replace(found, spec=spec)


def played(found: OpenRun, env: str, *, noisy: bool = True, read_goal: bool = False, sample: int = 0) -> Any:
    """Groups of four rollouts of the first animal in an environment, and their scene."""
    world = GymWorld(found, env, read_goal=read_goal)
    source = UsualTrials(found, found.layout.animals[0], 4, None)
    some = next(source.pieces(4))
    noise = path_noise(found.model, some.keys, source.steps, 0, sample)
    scene = source.scene(some, seed=0, sample=sample)
    scene, episodes = world.begin(Plan("p", found.model), scene, some.keys, seed=0, sample=sample)
    groups = rollout(found.model, scene, noise, noisy=noisy, plant=episodes)
    return episodes.cut({name: values.numpy() for name, values in groups.items()}), scene, episodes


def written(path: Path) -> dict[str, dict[str, np.ndarray]]:
    with read_results(path) as results:
        return {
            name: {part: group[part]["sample"][:] for part in ROLLOUT_GROUPS if part in group}
            | {part: group[part][:] for part in ("mask", "terminated", "time_s")}
            for name, group in results["rollouts"].items()
        }


def simulated(run: Path, out: Path, **options: Any) -> dict[str, np.ndarray]:
    """The groups of the first animal's rollouts in an environment."""
    animals = ("reach-1",)
    simulate_run(run, [], out, SimulateOptions(animals=animals, trials=4, overwrite=True, **options))
    [groups] = written(out).values()
    return groups


def mapped(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "map.yaml"
    path.write_text(f"gym: {text}\n")
    return path


def test_where_the_environment_is_the_models_own_body_nothing_changes(run: Path) -> None:
    """The reaching environment without noise moves as a point mass does: the slow, obvious twin."""
    found = opened(run)
    outside, scene, _ = played(found, REACH, noisy=False)
    source = UsualTrials(found, found.layout.animals[0], 4, None)
    noise = path_noise(found.model, next(source.pieces(4)).keys, source.steps, 0, 0)
    inside = rollout(found.model, scene, noise, noisy=False)
    ran = ~np.isnan(outside["body"][:, :, 0])
    assert ran.sum() > 40
    for name, values in inside.items():
        np.testing.assert_allclose(outside[name][ran], values.numpy()[ran], rtol=1e-3, atol=2e-5, err_msg=name)


def test_the_goal_is_the_environments_where_that_is_asked_for(run: Path) -> None:
    _, scene, episodes = played(opened(run), REACH, read_goal=True)
    np.testing.assert_allclose(scene.objective[:, 0].numpy(), episodes.observation[:, 4:], rtol=1e-6)
    assert len(np.unique(scene.objective[:, 0].numpy(), axis=0)) == 4
    by_info = {**SMALL, "objective": {"info": "goal", "scale": 2.0}}
    _, scene, _ = played(opened(run, by_info), "test/Drift-v0", read_goal=True)
    assert (scene.objective.numpy() == np.array([0.5, -1.0])).all()


def test_seeds_belong_to_trials_and_samples_whatever_the_batch(run: Path, tmp_path: Path) -> None:
    options = {"env": REACH, "interventions": Interventions(objective="env"), "samples": 2}
    many, few = (simulated(run, tmp_path / "e.h5", batch=batch, **options) for batch in (64, 3))
    starts = many["body"][:, :, 0, :2].reshape(8, 2)
    assert len(np.unique(starts, axis=0)) == 8
    for name in ("body", "objectives", "rewards", "mask"):
        np.testing.assert_allclose(many[name], few[name], rtol=1e-4, atol=1e-5, err_msg=name)
    other = simulated(run, tmp_path / "e.h5", seed=1, **options)
    assert not np.isin(other["body"][:, :, 0, 0], many["body"][:, :, 0, 0]).any()


def test_after_an_episodes_end_there_is_nothing(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = simulated(run, tmp_path / "e.h5", env="test/Drift-v0", env_map=mapped(tmp_path, json.dumps(SMALL)))
    assert found["terminated"].all()
    assert (found["mask"] == (np.arange(STEPS) <= 7)).all()
    assert (np.isnan(found["time_s"]) == ~found["mask"]).all()
    for name in ("body", "latents", "rates", "rewards", "controls"):
        assert (np.isnan(found[name]).all((0, 3)) == ~found["mask"]).all(), name
    np.testing.assert_array_equal(found["rewards"][0, :, :8, 0], np.tile([0.0] + [1.0] * 7, (4, 1)))
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[6:8] == ["return", "terminated"]
    assert table[1].split()[6:8] == ["7", "1"]


def test_several_steps_make_a_bin_and_differences_a_velocity(run: Path) -> None:
    gym = {**SMALL, "steps_per_bin": 3, "make": {"last": 10}}
    groups, *_ = played(opened(run, gym), "test/Drift-v0")
    body = groups["body"]
    np.testing.assert_array_equal(body[0, :4, 0], [0, 3, 6, 9])  # the entry that drifts is the first axis
    np.testing.assert_allclose(body[0, 1:4, 2], 3 / 0.04, rtol=1e-5)
    np.testing.assert_array_equal(groups["rewards"][0, :5, 0], [0, 3, 3, 3, 1])
    assert np.isnan(groups["rewards"][0, 5:]).all()


def test_the_command_is_sent_in_the_environments_units_and_clipped(run: Path) -> None:
    for send in ("control", "actuator"):
        Drift.told.clear()
        action = {"entries": [1, 0], "scale": 3.0, "send": send}
        groups, _, _ = played(opened(run, {**SMALL, "action": action}), "test/Drift-v0")
        told = np.stack(Drift.told).reshape(-1, 4, 2)[:7].transpose(1, 0, 2)
        actuator = groups["actuator"]
        push = groups["controls"][:, 1:8] if send == "control" else 0.5 * (actuator[:, :7] + actuator[:, 1:8])
        np.testing.assert_allclose(told, 3 * push[:, :, ::-1], rtol=1e-4)
    gym = {**SMALL, "make": {"limit": 0.01}}
    Drift.told.clear()
    _, _, episodes = played(opened(run, gym), "test/Drift-v0")
    assert np.abs(Drift.told).max() <= np.float32(0.01)
    assert episodes.clipped > 0


def test_observations_of_several_parts_can_be_flattened(run: Path) -> None:
    gym = {**SMALL, "make": {"kind": "dict"}, "observation": {"position": {"entries": [3, 2]}}}
    with pytest.raises(UsageError, match=r"its observation is no vector but Dict.*; write gym\.flatten: true"):
        played(opened(run, gym), "test/Drift-v0")
    groups, *_ = played(opened(run, {**gym, "flatten": True}), "test/Drift-v0")
    np.testing.assert_array_equal(groups["body"][0, :3, 0], [100, 101, 102])  # b comes after a


def test_a_linear_body_gives_way_too(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", reach_files(tmp_path), REACH_DATA, {**REACH_MODEL, "body": {"kind": "linear"}})
    gym = {
        "observation": {"velocity": {"entries": [2, 3]}, "position": {"entries": [0, 1]}},
        "action": {"entries": [0, 1], "send": "control"},
        "make": {"step_s": 0.04, "trial_s": 0.6},
    }
    found = simulated(run, tmp_path / "e.h5", env=REACH, env_map=mapped(tmp_path, json.dumps(gym)))
    assert found["mask"].sum(1).max() == 16  # the time limit of 0.6 s, which is no end of its own
    body, mask = found["body"][0], found["mask"]
    assert np.isfinite(body[mask]).all()
    moved, speed = np.diff(body[:, :16, :2], axis=1), body[:, :16, 2:]
    both = mask[:, 1:16]
    np.testing.assert_allclose(moved[both], 0.02 * (speed[:, 1:] + speed[:, :-1])[both], atol=1e-5)


def test_interventions_are_paired_within_the_environment(run: Path, tmp_path: Path) -> None:
    wanted = Interventions(objective="env", body=("lag=0.2",))
    options = SimulateOptions(animals=("reach-1",), trials=4, env=REACH, interventions=wanted)
    simulate_run(run, [], tmp_path / "e.h5", options)
    baseline, slow = written(tmp_path / "e.h5").values()
    np.testing.assert_array_equal(baseline["body"][:, :, 0], slow["body"][:, :, 0])
    np.testing.assert_array_equal(baseline["objectives"][:, :, 0], slow["objectives"][:, :, 0])
    assert not np.allclose(baseline["body"][:, :, 6], slow["body"][:, :, 6])
    with read_results(tmp_path / "e.h5") as results:
        told = [dict(group.attrs) for group in results["rollouts"].values()]
    assert [(one["env"], one["objective"]) for one in told] == [(REACH, "env")] * 2


@pytest.mark.parametrize(
    ("gym", "env", "error", "text"),
    [
        (None, "test/Drift-v0", UsageError, "does not say which entries .*; write --env-map FILE"),
        (None, "test/Drft-v0", UsageError, "there is no such environment; did you mean test/Drift-v0"),
        (None, "no_such_module:X-v0", UsageError, "cannot be imported"),
        ({"make": {"kind": "choice"}}, "test/Drift-v0", UsageError, r"its action is no vector but Discrete\(3\)"),
        ({"make": {"kind": "image"}}, "test/Drift-v0", UsageError, "its observation is no vector but Box"),
        ({"make": {"gravity": 9.8}}, "test/Drift-v0", SpecError, "gym.make: does not suit test/Drift-v0"),
        ({"action": {"entries": [0, 2]}}, "test/Drift-v0", SpecError, "names entry 2 of an action of 2"),
        ({"objective": None}, "test/Drift-v0", SpecError, "does not say where the goal is"),
        ({"objective": {"info": "gaol"}}, "test/Drift-v0", SpecError, "info has no 'gaol'; did you mean goal"),
    ],
)
def test_what_is_no_world_for_the_body_is_refused(
    run: Path, gym: dict[str, Any] | None, env: str, error: type[NcyberError], text: str
) -> None:
    whole = {"objective": {"info": "goal"}}
    with pytest.raises(error, match=text):
        played(opened(run, None if gym is None else {**SMALL, **whole, **gym}), env, read_goal=True)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (SimulateOptions(interventions=Interventions(objective="env")), "there is no environment; write --env ID"),
        (SimulateOptions(env_map=Path("map.yaml")), "there is no environment|cannot be read|No such file"),
        (SimulateOptions(env=REACH, from_s=0.1), "cannot be taken over part way"),
        (
            SimulateOptions(env=REACH, interventions=Interventions(body=("mass=x2",))),
            "the body is that of ncyber/Reach",
        ),
    ],
)
def test_options_that_have_no_meaning_together_are_refused(
    run: Path, tmp_path: Path, options: SimulateOptions, text: str
) -> None:
    with pytest.raises(NcyberError, match=text):
        simulate_run(run, [], tmp_path / "e.h5", options)
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_is_no_bin_is_remarked_on(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gym = {**SMALL, "steps_per_bin": 2}
    GymWorld(opened(run, gym), REACH, read_goal=False)
    assert capsys.readouterr().err == ""  # 0.02 s, two of them in a bin of 0.04 s
    GymWorld(opened(run, SMALL), REACH, read_goal=False)
    assert "its step is 0.02 s, and a bin of 0.04 s has 1 of them" in capsys.readouterr().err


def test_a_brain_without_body_has_no_use_for_an_environment(tmp_path: Path) -> None:
    run = finished_run(
        tmp_path / "run", lorenz_file(tmp_path), LORENZ_DATA, {"brain": {"kind": "linear", "latents": 3}}
    )
    with pytest.raises(UsageError, match="has no body that an environment could replace"):
        GymWorld(open_run(run, "best", "cpu"), REACH, read_goal=False)


def test_without_gymnasium_the_extra_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(UsageError, match="which is not installed; install it with the extra `gym`"):
        GymWorld(opened(run), REACH, read_goal=False)
