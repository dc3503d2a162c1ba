"""Bad files beside spec and recordings: teachers' rates, connectomes, objective schedules, maps of environments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from lab import NWB_SPEC, assert_refused, ncyber, swap

BRIEF = ("--quiet", "--set", "training.epochs=1")  # should one be taken after all
SESSION = "animals/mouse-1/day-1"


@pytest.fixture(scope="session")
def taught(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the run infers of its own recording, as a teacher."""
    path = tmp_path_factory.mktemp("taught") / "rates.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NCYBER_CACHE", "off")
        assert ncyber("infer", sound / "run", sound / "mouse.nwb", "--out", path).code == 0
    return path


def changed(name: str, change: Callable[[Any], Any]) -> Callable[[h5py.File], None]:
    return lambda file: swap(file, f"{SESSION}/{name}", change(file[f"{SESSION}/{name}"][()]))


def remove(name: str) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        del file[f"{SESSION}/{name}"]

    return spoil


def attribute(name: str, value: Any) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        file.attrs[name] = value

    return spoil


def a_group(file: h5py.File) -> None:
    del file[f"{SESSION}/rates/mean"]
    file.create_group(f"{SESSION}/rates/mean")


TEACHERS: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "not finished": (attribute("complete", False), "rates.h5: was not finished; write it again"),
    "of a later version": (attribute("format_version", 9), "rates.h5: has format version 9, this ncyber reads up to 1"),
    "of another animal": (
        lambda file: file.move("animals/mouse-1", "animals/mouse-2"),
        "rates.h5: holds no rates of mouse-1/day-1; did you mean mouse-2/day-1?",
    ),
    "without rates": (remove("rates/mean"), f"rates.h5:/{SESSION}: has no rates/mean; a file of rates holds"),
    "with a group for rates": (a_group, f"rates.h5:/{SESSION}: has no rates/mean"),
    "without unit ids": (remove("unit_id"), f"rates.h5:/{SESSION}: has no unit_id"),
    "on other bins": (changed("rates/mean", lambda v: v[:, :-1]), "rates/mean has shape (20, 15, 6), its ids and the"),
    "in Hz": (changed("rates/mean", lambda v: 20 * v), "give expected counts a bin; a rate in Hz times 0.05 s is one"),
    "below zero": (changed("rates/mean", lambda v: -v), "has rates below zero or infinite; give expected counts a bin"),
    "infinite": (changed("rates/mean", lambda v: v * np.inf), "has rates below zero or infinite"),
    "of fewer trials": (changed("trial_id", lambda ids: [f"x{i}" for i in range(len(ids))]), "has no trial '"),
    "of a trial twice": (
        changed("trial_id", lambda ids: ["0"] * len(ids)),
        "names trial 0 twice; give each trial one row",
    ),
    "of a unit twice": (
        changed("unit_id", lambda ids: ["100"] * len(ids)),
        "names unit 100 twice; give each unit one row",
    ),
    "that has seen test trials": (
        changed("split", lambda parts: ["train"] * len(parts)),
        "was fitted with train trial ",
    ),
    "of a split in other words": (
        changed("split", lambda parts: ["learn"] * len(parts)),
        "split says 'learn'; write train",
    ),
    "at other times": (
        changed("time_s", lambda time_s: time_s + 1),
        "its bins lie up to 1 s from the recording's; give",
    ),
}


@pytest.mark.parametrize("case", TEACHERS)
def test_a_bad_teacher_is_refused(case: str, here: Path, taught: Path) -> None:
    spoil, said = TEACHERS[case]
    (here / "rates.h5").write_bytes(taught.read_bytes())
    with h5py.File("rates.h5", "r+") as file:
        spoil(file)
    assert_refused(ncyber("fit", "mouse.yaml", "--out", "new", "--teacher", "rates.h5", *BRIEF), 4, said)


def test_what_is_no_teacher_is_refused(here: Path) -> None:
    for teacher, code, said in (
        ("nowhere", 2, "nowhere: there is no such teacher; name a folder that ncyber fit wrote, or an HDF5 file"),
        ("mouse.yaml", 4, "mouse.yaml: is not an HDF5 file"),
        ("mouse.nwb", 4, "mouse.nwb: holds no rates of mouse-1/day-1; a file of rates holds /animals/ANIMAL/SESSION/"),
    ):
        assert_refused(ncyber("fit", "mouse.yaml", "--out", "new", "--teacher", teacher, *BRIEF), code, said)


CONNECTOMES = {
    "": "edges.csv: has no column source; begin with a line of names: source, target",
    "source,target\n": "edges.csv: holds no edge; leave model.brain.connectome out",
    "from,to\nM1,PMd\n": "edges.csv: has a column 'from'",
    "source,target,wieght\nM1,PMd,1\n": "edges.csv: has a column 'wieght'; did you mean weight?",
    "source,target,weight,synapses\nM1,PMd,1,1\n": "edges.csv: has weight and synapses; keep one of them",
    "source,target\nM1,PMC\n": "edges.csv:2: no area of the brain is called 'PMC'; did you mean PMd?",
    "source,target\nM1\n": "edges.csv:2: has not as many cells",
    "source,target\nM1,M1\n": "edges.csv:2: is an edge from M1 to itself; leave it out",
    "source,target\nM1,PMd\nM1,PMd\n": "edges.csv:3: names the edge M1 to PMd again, after line 2",
    "source,target,weight\nM1,PMd,many\n": "edges.csv:2: weight 'many' is no number; write a number above 0",
    "source,target,weight\nM1,PMd,-1\n": "edges.csv:2: weight is -1; write a number above 0",
    "source,target,weight\nM1,PMd,inf\n": "edges.csv:2: weight is inf; write a number above 0",
    "source,target,sign\nM1,PMd,maybe\n": "edges.csv:2: sign 'maybe' is none; write excitatory or inhibitory",
    "\udcff": "edges.csv: is not UTF-8 text; check model.brain.connectome",
}


@pytest.mark.parametrize("text", CONNECTOMES, ids=ascii)
def test_a_bad_connectome_is_refused(text: str, here: Path) -> None:
    said = CONNECTOMES[text]
    (here / "edges.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    (here / "mouse.yaml").write_text(NWB_SPEC.replace("latents: 3", "latents: {M1: 2, PMd: 2}, connectome: edges.csv"))
    assert_refused(ncyber("validate", "mouse.yaml"), 4, said)
    assert_refused(ncyber("fit", "mouse.yaml", "--out", "new", "--dry-run"), 4, said)


SCHEDULES = {
    "": "goal.csv: holds no line of numbers; write one line a bin",
    "x,y\n": "goal.csv: holds no line of numbers",
    "1,2,3\n": "goal.csv:1: has 3 numbers; this run's objective has 2 dimensions, write as many",
    "0,0\n0,far\n": "goal.csv:2: 'far' is not a number; this run's objective has 2 dimensions",
    "0,inf\n": "goal.csv:1: 'inf' is not a number",
    "time_s,x,y\n0,0,0\n0,1,1\n": "goal.csv:3: time_s does not ascend; sort the lines by time",
    "time_s,x,y\nsoon,0,0\n": "goal.csv:2: time_s 'soon' is not a number; write seconds",
    "\udcff": "goal.csv: cannot be read as a CSV file",
}


@pytest.mark.parametrize("text", SCHEDULES, ids=ascii)
def test_a_bad_schedule_is_refused(text: str, here: Path) -> None:
    (here / "goal.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    ended = ncyber("simulate", "run", "--out", "new.h5", "--objective", "goal.csv")
    assert_refused(ended, 2, SCHEDULES[text])
    assert not (here / "new.h5").exists()


ACTION = "action: {entries: [0, 1]}"
MAPS = {
    "": "map.yaml:1:1: holds no gym, write gym: {observation: ..., action: ...}",
    "version: 1\ngym: {}\n": "map.yaml:1:1 version: is not read here, keep gym alone",
    "gym: {action: {entries: []}}\n": "gym.observation: is missing",
    f"gym: {{observation: {{speed: {{entries: [0]}}}}, {ACTION}}}\n": "gym.observation.speed is no signal of the body",
    f"gym: {{observation: {{velocity: {{entries: [0, 1]}}}}, {ACTION}}}\n": "gym.observation: lacks position; the",
    f"gym: {{observation: {{position: {{entries: [0]}}}}, {ACTION}}}\n": "gym.observation.position: has 1 entries, the",
    f"gym: {{observation: {{position: {{entries: [0, 99]}}}}, {ACTION}}}\n": "names entry 99 of an observation of",
    f"gym: {{observation: {{position: {{entries: [0, -1]}}}}, {ACTION}}}\n": "is -1, write a number of at least 0",
}


@pytest.mark.parametrize("text", MAPS, ids=ascii)
def test_a_bad_map_of_an_environment_is_refused(text: str, here: Path) -> None:
    (here / "map.yaml").write_text(text)
    ended = ncyber("simulate", "run", "--out", "new.h5", "--env", "ncyber/Reach-v0", "--env-map", "map.yaml")
    assert_refused(ended, 3, MAPS[text])
    assert not (here / "new.h5").exists()
