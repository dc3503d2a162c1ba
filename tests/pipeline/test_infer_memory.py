"""infer on less memory than it takes for granted, and on a file that has changed since the fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from finished_run import REACH_DATA, REACH_MODEL, finished_run, reach_files

from ncyber_cli.errors import ResourceError
from ncyber_cli.outputs.read_results import read_results, session_groups, texts
from ncyber_cli.pipeline import infer
from ncyber_cli.pipeline.infer import InferOptions, infer_run


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    finished_run(folder / "run", reach_files(folder), REACH_DATA, REACH_MODEL)
    return folder


def limit_memory(monkeypatch: pytest.MonkeyPatch, trials: int) -> list[int]:
    """Memory holds so many trials; the sizes that were tried."""
    tried: list[int] = []
    real = infer._moments

    def moments(run: Any, session: Any, some: Any, *others: Any) -> Any:
        found = real(run, session, some, *others)
        tried.append(len(some.trials))
        if len(some.trials) > trials:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return found

    monkeypatch.setattr(infer, "_moments", moments)
    return tried


def values_of(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with read_results(path) as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]})
            if isinstance(item, h5py.Dataset) and item.dtype.kind == "f"
            else None
        )
    return found


def test_less_memory_takes_smaller_steps_to_the_same_results(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit those of the size that memory holds, samples too."""
    data = [str(lab / "reach-1.nwb")]
    infer_run(lab / "run", data, tmp_path / "asked.h5", InferOptions(batch=2, write_samples=True))
    tried = limit_memory(monkeypatch, 2)
    infer_run(lab / "run", data, tmp_path / "found.h5", InferOptions(batch=8, write_samples=True))
    assert tried == [8, 4, 2, 2, 2, 2, 2]
    one, other = (values_of(tmp_path / f"{name}.h5") for name in ("asked", "found"))
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


def test_too_little_for_one_trial_is_told_and_leaves_nothing(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_memory(monkeypatch, 0)
    with pytest.raises(ResourceError, match="too little memory for a single trial; shorten trials"):
        infer_run(lab / "run", [str(lab / "reach-1.nwb")], tmp_path / "r.h5", InferOptions())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_has_changed_since_the_fit_is_told(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tmp_path / "reach-1.nwb"
    changed.write_bytes((lab / "reach-1.nwb").read_bytes())
    with h5py.File(changed, "a") as file:
        file.attrs["remark"] = "sorted again"
    infer_run(lab / "run", [str(changed), str(lab / "reach-2.nwb")], tmp_path / "r.h5", InferOptions())
    said = f"{changed} is not the file that the run was fitted to: all its trials count as test trials"
    assert [line for line in capsys.readouterr().err.splitlines() if "is not the file" in line] == [said]
    with read_results(tmp_path / "r.h5") as file:
        parts = [set(texts(group["split"])) for group in session_groups(file)]
    assert parts[0] == {"test"} != parts[1]
