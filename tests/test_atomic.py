"""Files appear whole or not at all, and what killed processes leave is swept, never what living ones write."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ncyber_cli import atomic
from ncyber_cli.atomic import atomic_path, check_writable, refuse_existing, refuse_inputs, sweep_partials, write_text
from ncyber_cli.errors import ResourceError, UsageError


def partials(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*.ncyber-partial"))


def test_a_killed_writers_temporary_is_swept_by_the_next_writer_of_the_folder(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom ncyber_cli.atomic import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as partial:\n    partial.write_text('half')\n    os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "results.h5"], check=False)
    assert len(partials(tmp_path)) == 1
    assert not (tmp_path / "results.h5").exists()
    write_text(tmp_path / "other.json", "{}")
    assert partials(tmp_path) == []


def test_what_a_living_process_writes_stays(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "results.h5") as partial:
        partial.write_text("under way")
        sweep_partials(tmp_path)
        write_text(tmp_path / "other.json", "{}")
        assert partial.exists()
    assert (tmp_path / "results.h5").read_text() == "under way"


@pytest.mark.parametrize(("age_h", "stays"), [(1, True), (30, False)])
def test_another_machines_temporary_stays_for_a_day(age_h: float, stays: bool, tmp_path: Path) -> None:
    foreign = tmp_path / ".results.h5.00000000-1.abc.ncyber-partial"
    foreign.touch()
    then = time.time() - 3600 * age_h
    os.utime(foreign, (then, then))
    sweep_partials(tmp_path)
    assert foreign.exists() == stays


def test_the_longest_name_that_a_file_may_have_can_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / ("ü" * 127), "x")
    assert (tmp_path / ("ü" * 127)).read_text() == "x"


def test_a_share_without_rights_or_flushes_of_folders_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "not here")

    real = os.fsync
    monkeypatch.setattr(Path, "chmod", refuse)
    monkeypatch.setattr(atomic.os, "fsync", lambda fd: refuse() if os.path.isdir(f"/proc/self/fd/{fd}") else real(fd))
    write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named_and_leaves_what_was_there(number: int, tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")
    with pytest.raises(ResourceError, match="a: the disk is full; free space"), atomic_path(tmp_path / "a"):
        raise OSError(number, "no")
    assert (tmp_path / "a").read_text() == "old"
    assert partials(tmp_path) == []


def test_folders_and_inputs_are_no_outputs_whatever_may_be_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.nwb").touch()
    (tmp_path / "link.nwb").symlink_to(tmp_path / "a.nwb")
    with pytest.raises(UsageError, match="is a folder"):
        refuse_existing(tmp_path, overwrite=True)
    with pytest.raises(UsageError, match=r"link\.nwb: is an input"):
        refuse_inputs([tmp_path / "new.h5", tmp_path / "link.nwb"], [tmp_path / "a.nwb", tmp_path / "gone.nwb"])
    refuse_inputs([tmp_path / "new.h5"], [tmp_path / "a.nwb"])


def test_a_folder_that_cannot_be_made_is_found_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        check_writable(tmp_path / "file" / "report")
    check_writable(tmp_path / "deep" / "report")
    assert list((tmp_path / "deep" / "report").iterdir()) == []
