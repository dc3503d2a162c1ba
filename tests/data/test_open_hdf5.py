"""Law: nothing outside the input's own folder is ever read, and what is no HDF5 is refused with exit code 4."""

from __future__ import annotations

import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from ncyber_cli.data.open_hdf5 import file_sha256, open_hdf5
from ncyber_cli.errors import DataError


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    for folder in (inside, outside):
        with h5py.File(folder / "other.h5", "w") as file:
            file["x"] = np.arange(3.0)
    return inside, outside


def refused(path: Path) -> str:
    with pytest.raises(DataError) as error, open_hdf5(path):
        pass
    assert error.value.exit_code == 4
    assert str(path) in str(error.value)
    assert error.value.remedy
    return str(error.value)


def test_missing_foreign_and_folder(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "absent.h5")
    (tmp_path / "notes.txt").write_text("not HDF5")
    assert "not an HDF5 file" in refused(tmp_path / "notes.txt")
    assert "not a file" in refused(tmp_path)


def test_truncated(tmp_path: Path) -> None:
    path = tmp_path / "whole.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(10000.0)
    path.write_bytes(path.read_bytes()[:5000])
    assert "truncated" in refused(path)


def test_damaged_chunk_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    with h5py.File(path, "w") as file:
        offset = (
            file.create_dataset("x", data=np.zeros(1000), chunks=(1000,), fletcher32=True)
            .id.get_chunk_info(0)
            .byte_offset
        )
    content = bytearray(path.read_bytes())
    content[offset + 5] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"), open_hdf5(path) as file:
        file["x"][()]


def test_reads_only(tmp_path: Path) -> None:
    path = tmp_path / "whole.h5"
    with h5py.File(path, "w") as file:
        file["x"] = 1.0
    with open_hdf5(path) as file:
        assert file.mode == "r"


def test_external_link_inside_the_folder_is_followed(folders: tuple[Path, Path]) -> None:
    inside, _ = folders
    with h5py.File(inside / "main.h5", "w") as file:
        file["linked"] = h5py.ExternalLink("other.h5", "/x")
    with open_hdf5(inside / "main.h5") as file:
        np.testing.assert_array_equal(file["linked"][()], np.arange(3.0))


@pytest.mark.parametrize("form", ["absolute", "relative", "symlink", "second hand", "deep"])
def test_external_link_out_of_the_folder_is_refused(folders: tuple[Path, Path], form: str) -> None:
    inside, outside = folders
    target = {"absolute": str(outside / "other.h5"), "relative": "../outside/other.h5"}.get(form, "step.h5")
    if form == "symlink":
        (inside / "step.h5").symlink_to(outside / "other.h5")
    elif form == "second hand":
        with h5py.File(inside / "step.h5", "w") as file:
            file["x"] = h5py.ExternalLink("../outside/other.h5", "/x")
    elif form == "deep":
        target = "../outside/other.h5"
    with h5py.File(inside / "main.h5", "w") as file:
        file["a/b/linked" if form == "deep" else "linked"] = h5py.ExternalLink(target, "/x")
    with pytest.raises(DataError, match="out of the file's folder"), open_hdf5(inside / "main.h5"):
        pass


def test_external_link_found_only_from_the_working_directory_is_refused(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, outside = folders
    (outside / "other.h5").rename(outside / "elsewhere.h5")
    monkeypatch.chdir(outside)
    with h5py.File(inside / "main.h5", "w") as file:
        file["linked"] = h5py.ExternalLink("elsewhere.h5", "/x")
    assert "external link" in refused(inside / "main.h5")


def test_external_storage_out_of_the_folder_is_refused(folders: tuple[Path, Path]) -> None:
    inside, outside = folders
    (outside / "secret").write_bytes(b"0123456789abcdef")
    with h5py.File(inside / "main.h5", "w") as file:
        file.create_dataset("group/x", (2,), "f8", external=[(str(outside / "secret"), 0, 16)])
    assert "external storage" in refused(inside / "main.h5")


def test_virtual_source_out_of_the_folder_is_refused(folders: tuple[Path, Path]) -> None:
    inside, outside = folders
    for folder, allowed in ((inside, True), (outside, False)):
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", (3,))
        with h5py.File(inside / "main.h5", "w") as file:
            file.create_virtual_dataset("x", layout)
        if allowed:
            with open_hdf5(inside / "main.h5") as file:
                np.testing.assert_array_equal(file["x"][()], np.arange(3.0))
        else:
            assert "external link" in refused(inside / "main.h5")


@pytest.mark.parametrize("chunks", [None, (1 << 20, 1)], ids=["contiguous", "chunked"])
def test_absurd_sizes_are_refused_before_anything_is_read(tmp_path: Path, chunks: tuple[int, int] | None) -> None:
    with h5py.File(tmp_path / "main.h5", "w") as file:
        file.create_dataset("deep/x", (1 << 40, 1), "f8", chunks=chunks)
        file.create_dataset("modest", (1 << 20,), "f8")  # never filled, and harmless
    said = refused(tmp_path / "main.h5")
    assert f"{tmp_path / 'main.h5'}:deep/x" in said
    assert "declares 8796 GB and stores 0 bytes" in said


def test_soft_links_stay_within_the_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "main.h5", "w") as file:
        file["x"] = 2.0
        file["soft"] = h5py.SoftLink("/x")
        file["dangling"] = h5py.SoftLink("/absent")
    with open_hdf5(tmp_path / "main.h5") as file:
        assert file["soft"][()] == 2.0


def test_an_input_is_left_as_it_was(tmp_path: Path) -> None:
    """Not even the times that HDF5 could write into a file that it holds open."""
    path = tmp_path / "main.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(100.0)
    before, digest = path.stat(), file_sha256(path)
    with open_hdf5(path) as file:
        assert file["x"][()].sum() == 4950
        with pytest.raises(OSError, match="no write intent"):
            file["x"][0] = 1.0
    assert (path.stat().st_mtime_ns, path.stat().st_size, file_sha256(path)) == (
        before.st_mtime_ns,
        before.st_size,
        digest,
    )


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc" * 3_000_000)
    assert file_sha256(tmp_path / "x") == hashlib.sha256(b"abc" * 3_000_000).hexdigest()
    with pytest.raises(DataError):
        file_sha256(tmp_path / "absent")


@pytest.mark.parametrize("place", ["attribute", "dataset", "beside large samples"])
def test_text_that_hdf5_would_read_for_ever_is_refused(tmp_path: Path, place: str) -> None:
    """A block of zeros in a global heap: HDF5 2.0 follows its free space of size 0 without end, deaf to signals."""
    path = tmp_path / "main.h5"
    with h5py.File(path, "w") as file:
        if place == "beside large samples":
            file.create_dataset("chunked", data=np.arange(400_000.0), chunks=(1000,))
            file["whole"] = np.arange(400_000.0)
        holder = file.create_group("x").attrs if place == "attribute" else file
        holder["words"] = ["some", "words"]
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL\x01")
    content[heap + 40 : heap + 400] = bytes(360)
    path.write_bytes(content)
    assert f"has a storage of text that is damaged at byte {heap}" in refused(path)


def test_words_that_begin_like_a_heap_are_no_heap(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "main.h5", "w") as file:
        file["x"] = np.frombuffer(b"GCOL" * 1000, np.uint8)
        file["words"] = ["GCOL\x01", "GCOL"]
    with open_hdf5(tmp_path / "main.h5") as file:
        assert file["words"].asstr()[:].tolist() == ["GCOL\x01", "GCOL"]
