"""A checkpoint comes back as it went, or says why not; nothing in it is executed, and a failed write harms nothing."""

from __future__ import annotations

import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import fewer
from tiny import MODELS, Tiny, make_tiny

from ncyber_cli.errors import CheckpointError, ResourceError
from ncyber_cli.training import checkpoint
from ncyber_cli.training.checkpoint import Checkpoint, load, restore, save
from ncyber_cli.training.measure import measure


def saved(tiny: Tiny, path: Path, training: dict[str, Any] | None = None) -> Checkpoint:
    layout = measure(tiny.spec, tiny.cohort)
    save(path, spec=tiny.spec, layout=layout, model_state=tiny.model.state_dict(), training=training)
    return load(path)


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_comes_back_to_the_bit(kind: str, tmp_path: Path) -> None:
    tiny = make_tiny(kind)
    read = saved(tiny, tmp_path / "best.pt")
    assert (read.spec, read.layout, read.training) == (tiny.spec, measure(tiny.spec, tiny.cohort), None)
    restored = restore(read)
    assert not restored.training
    for name, values in tiny.model.state_dict().items():
        assert torch.equal(restored.state_dict()[name], values), name


leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=9)
states = st.dictionaries(
    st.text(max_size=9), st.recursive(leaves, lambda part: st.lists(part) | st.dictionaries(st.text(max_size=3), part))
)


@fewer
@given(states)
def test_the_state_of_a_fit_comes_back_as_plain_data(state: dict[str, Any]) -> None:
    noise = torch.Generator().manual_seed(len(state)).get_state()
    with tempfile.TemporaryDirectory() as folder:
        read = saved(make_tiny("brain_only"), Path(folder) / "last.pt", {**state, "noise": noise}).training
    assert read is not None
    assert torch.equal(read.pop("noise"), noise)
    state.pop("noise", None)
    assert read == state


def test_a_folder_stands_for_its_best_checkpoint(tmp_path: Path) -> None:
    saved(make_tiny(), tmp_path / "best.pt")
    assert load(tmp_path).path == tmp_path / "best.pt"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(share: float, tmp_path: Path) -> None:
    saved(make_tiny(), tmp_path / "best.pt")
    os.truncate(tmp_path / "best.pt", int(share * (tmp_path / "best.pt").stat().st_size))
    with pytest.raises(CheckpointError, match="the file is damaged"):
        load(tmp_path / "best.pt")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such checkpoint"):
        load(tmp_path / "best.pt")


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], {"format": "another"}])
def test_another_programs_file_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match="is not a checkpoint of ncyber"):
        load(tmp_path / "foreign.pt")


class Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("harm",))


@pytest.mark.parametrize("write", [torch.save, lambda harm, path: Path(path).write_bytes(pickle.dumps(harm))])
def test_code_in_a_file_is_not_run(write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Harm(), tmp_path / "harm.pt")
    with pytest.raises(CheckpointError):
        load(tmp_path / "harm.pt")
    assert not (tmp_path / "harm").exists()


def test_a_later_format_asks_for_an_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "VERSION", 7)
    saved(make_tiny(), tmp_path / "best.pt")
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"version 7.*upgrade ncyber"):
        load(tmp_path / "best.pt")


def test_a_spec_of_another_version_is_named(tmp_path: Path) -> None:
    saved(make_tiny(), tmp_path / "best.pt")
    content = torch.load(tmp_path / "best.pt", weights_only=True)
    content["spec"] = content["spec"].replace('"epochs"', '"rounds"')
    torch.save(content, tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match=r"another version of ncyber \(training\.rounds: Extra inputs"):
        load(tmp_path / "best.pt")


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    tiny = make_tiny()
    state = {name: values for name, values in tiny.model.state_dict().items() if "read_in" not in name}
    save(tmp_path / "best.pt", spec=tiny.spec, layout=measure(tiny.spec, tiny.cohort), model_state=state)
    with pytest.raises(CheckpointError, match="does not fit this version of the model"):
        restore(load(tmp_path / "best.pt"))


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = make_tiny()
    saved(tiny, tmp_path / "best.pt")
    before = (tmp_path / "best.pt").read_bytes()

    def full(content: object, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(ResourceError, match="the disk is full"):
        saved(tiny, tmp_path / "best.pt")
    assert (tmp_path / "best.pt").read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "best.pt"]
