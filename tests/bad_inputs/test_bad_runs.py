"""Bad runs: `infer` refuses each with exit code 5, the checkpoint, the fault and the remedy; nothing is executed."""

from __future__ import annotations

import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lab import assert_refused, explain, ncyber
from numbers_of import numbers, same_numbers

Content = dict[str, Any]


class Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("harm",))


def held(change: Callable[[Content], Any]) -> Callable[[Path], None]:
    """The checkpoint with other content, written as torch writes it."""

    def spoil(path: Path) -> None:
        content = torch.load(path, weights_only=True)
        changed = change(content)
        torch.save(content if changed is None else changed, path)

    return spoil


def first_weights(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    def set_weights(content: Content) -> None:
        name = "loop.emission.readout"
        content["model"][name] = change(content["model"][name])

    return held(set_weights)


def flipped(path: Path) -> None:
    """One bit of one weight, which torch itself would not notice."""
    content = bytearray(path.read_bytes())
    weights = torch.load(path, weights_only=True)["model"]["loop.emission.readout"].numpy().tobytes()
    content[content.index(weights) + 2] ^= 1
    path.write_bytes(content)


def another_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "nothing of ours")


DAMAGED = "cannot be read as a checkpoint; the file is damaged; use the run's other checkpoint (best.pt, last.pt)"
ANOTHER = "run/best.pt: was written by another version of ncyber ("
MISFIT = "run/best.pt: does not fit this version of the model ("
RUNS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), f"run/best.pt: {DAMAGED}"),
    "text": (lambda path: path.write_text("hello"), f"run/best.pt: {DAMAGED}"),
    "half of it": (lambda path: os.truncate(path, path.stat().st_size // 2), f"run/best.pt: {DAMAGED}"),
    "a bit flipped": (flipped, f"run/best.pt: {DAMAGED}"),
    "another archive": (another_archive, f"run/best.pt: {DAMAGED}"),
    "a pickle with code": (lambda path: path.write_bytes(pickle.dumps(Harm())), f"run/best.pt: {DAMAGED}"),
    "code as torch writes it": (lambda path: torch.save(Harm(), path), f"run/best.pt: {DAMAGED}"),
    "a whole module": (lambda path: torch.save(torch.nn.Linear(2, 2), path), f"run/best.pt: {DAMAGED}"),
    "a list": (held(lambda content: [1, 2]), "run/best.pt: is not a checkpoint of ncyber; `ncyber fit SPEC DATA"),
    "another program's": (held(lambda content: {"state_dict": {}}), "run/best.pt: is not a checkpoint of ncyber"),
    "a later version": (
        held(lambda content: content.update(version=9)),
        "(checkpoint version 9, this one reads up to 1)",
    ),
    "a version in words": (
        held(lambda content: content.update(version="new")),
        "run/best.pt: has no version, but 'new'",
    ),
    "no version": (held(lambda content: content.pop("version") and None), "run/best.pt: has no version, but None"),
    "no weights": (held(lambda content: content.pop("model") and None), f"{ANOTHER}'model')"),
    "no layout": (held(lambda content: content.pop("layout") and None), f"{ANOTHER}'layout')"),
    "no spec": (held(lambda content: content.pop("spec") and None), f"{ANOTHER}'spec')"),
    "weights in a list": (held(lambda content: content.update(model=[1.0])), f"{ANOTHER}model: not a mapping of names"),
    "a spec in other words": (
        held(lambda content: content.update(spec=content["spec"].replace('"epochs"', '"rounds"'))),
        f"{ANOTHER}training.rounds: Extra inputs",
    ),
    "a spec that is none": (held(lambda content: content.update(spec="bin_s: 3")), f"{ANOTHER}: Invalid JSON"),
    "a spec of another model": (
        held(lambda content: content.update(spec=content["spec"].replace('"hidden":8', '"hidden":9'))),
        MISFIT,
    ),
    "a layout in other words": (
        held(lambda content: content["layout"].update(colour="red")),
        f"{ANOTHER}got an unexpected keyword argument 'colour')",
    ),
    "a layout without animals": (held(lambda content: content["layout"].update(animals=[])), MISFIT),
    "weights of another shape": (
        first_weights(lambda values: values[..., :-1]),
        f"{MISFIT}size mismatch for loop.emission",
    ),
    "weights that are NaN": (
        first_weights(lambda values: values * torch.nan),
        "run/best.pt: holds weights that are not numbers (loop.emission.readout); use an earlier checkpoint",
    ),
}


@pytest.mark.parametrize("case", RUNS)
def test_a_bad_checkpoint_is_refused(case: str, here: Path) -> None:
    spoil, said = RUNS[case]
    spoil(here / "run" / "best.pt")
    assert_refused(ncyber("infer", "run", "mouse.nwb", "--out", "new.h5"), 5, said)
    assert not (here / "new.h5").exists()
    assert not (here / "harm").exists()


def test_a_run_that_is_none_is_refused(here: Path) -> None:
    (here / "bare").mkdir()
    for run, said in (
        ("nowhere", "nowhere: there is no such "),
        ("bare", "bare"),
        ("mouse.yaml", f"mouse.yaml: {DAMAGED}"),
    ):
        for command in (
            ["infer", run, "mouse.nwb", "--out", "new.h5"],
            ["simulate", run, "--out", "new.h5"],
            ["evaluate", run, "mouse.nwb", "--out", "new"],
            ["adapt", run, "mouse.nwb", "--out", "new"],
        ):
            assert_refused(ncyber(*command), 5, said)


def test_a_recording_that_the_run_does_not_know_is_refused(here: Path) -> None:
    """Neither another kind of file nor another animal is taken for the run's."""
    assert_refused(ncyber("infer", "run", "worm.h5", "--out", "new.h5"), 4, "worm.h5: there is no group 'trials'")
    shutil.copy(here / "worm.h5", here / "other.nwb")
    assert_refused(ncyber("infer", "run", "other.nwb", "--out", "new.h5"), 4, "other.nwb: there is no group 'trials'")


def test_a_run_made_on_a_gpu_opens_without_one(here: Path) -> None:
    """Its storages say cuda:0; what is inferred from it is what the same weights say on a CPU."""
    assert ncyber("infer", "run", "mouse.nwb", "--out", "cpu.h5").code == 0
    path = here / "run" / "best.pt"
    content = torch.load(path, weights_only=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        torch.save(content, path)
    with zipfile.ZipFile(path) as archive:
        assert b"cuda:0" in archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    ended = ncyber("infer", "run", "mouse.nwb", "--out", "gpu.h5", "--device", "cpu")
    assert ended.code == 0, explain(ended)
    assert same_numbers(numbers(here / "cpu.h5"), numbers(here / "gpu.h5"))


@pytest.mark.parametrize(
    ("training", "code", "said"),
    [
        (None, 2, "run/last.pt: is no checkpoint of an unfinished fit; begin again with --overwrite"),
        ({}, 5, "run/last.pt: holds no seed, as the state of a fit has; use the version that its summary.json names"),
        ({"seed": 0, "finished": []}, 5, "run/last.pt: holds no kept, as the state of a fit has"),
    ],
)
def test_a_fit_does_not_go_on_from_another_state(
    training: dict[str, Any] | None, code: int, said: str, here: Path
) -> None:
    content = torch.load(here / "run" / "best.pt", weights_only=True)
    torch.save({**content, "training": training}, here / "run" / "last.pt")
    assert_refused(ncyber("fit", "mouse.yaml", "--out", "run", "--resume", "--quiet"), code, said)
