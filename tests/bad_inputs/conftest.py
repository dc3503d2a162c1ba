"""The sound lab is made once; each test gets its own copy to spoil, as its working directory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from lab import HDF5_SPEC, NWB_SPEC, sound_run, write_hdf5, write_nwb


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mouse.nwb, worm.h5, and run, a finished run on mouse.nwb."""
    folder = tmp_path_factory.mktemp("sound")
    write_nwb(folder / "mouse.nwb")
    write_hdf5(folder / "worm.h5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NCYBER_CACHE", "off")
        sound_run(folder / "run", folder / "mouse.nwb")
    return folder


@pytest.fixture
def here(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the lab with mouse.yaml and worm.yaml beside the recordings, which is the working directory."""
    for path in sound.iterdir():
        (shutil.copytree if path.is_dir() else shutil.copy)(path, tmp_path / path.name)
    (tmp_path / "mouse.yaml").write_text(NWB_SPEC)
    (tmp_path / "worm.yaml").write_text(HDF5_SPEC)
    monkeypatch.setenv("NCYBER_CACHE", "off")
    monkeypatch.delenv("NCYBER_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path
