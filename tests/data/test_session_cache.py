"""Laws: what comes from the cache is what was kept; what is not exactly that, or damaged, is read anew."""

from __future__ import annotations

import dataclasses
import io
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from laws import few
from nwb_files import add_position, add_trials, add_units, data_spec, empty_file, save, spec_of
from tiny import make_session

from ncyber_cli.data import read_session as reading
from ncyber_cli.data.open_hdf5 import file_sha256
from ncyber_cli.data.pack_record import read_record, write_record
from ncyber_cli.data.prepare import prepare
from ncyber_cli.data.read import read_recording
from ncyber_cli.data.read_session import read_head, read_session
from ncyber_cli.data.recording import IntervalTable, Recording, Session
from ncyber_cli.data.session_cache import FOLDER, VARIABLE, SessionCache
from ncyber_cli.errors import DataError
from ncyber_cli.spec import Spec


def recording(path: Path, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    nwb = empty_file()
    add_units(nwb, [np.sort(rng.uniform(0, 20, 60)) for _ in range(4)], ["M1", "M1", "PMd", "PMd"])
    add_trials(nwb, np.arange(10) * 2.0, np.arange(10) * 2.0 + 1.5, outcome=["hit", "miss"] * 5)
    add_position(nwb, rng.normal(size=(1500, 2)))  # 15 s: the last trials have none
    return save(nwb, path)


def spec(**keys: Any) -> Spec:
    data = {"trials": {}, "behavior": {"position": {"source": "hand_pos", "unit": "m"}}, **keys}
    return spec_of(data_spec(**data))


def cached(path: Path, wanted: Spec | None = None) -> Session:
    wanted = wanted or spec()
    return read_session(read_head(path, wanted.data), wanted, {})


def assert_same(one: Any, other: Any) -> None:
    """Every field, to the bit and the type."""
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        elif isinstance(a, IntervalTable):
            assert a.id == b.id
            assert a.columns.keys() == b.columns.keys()
            for name in a.columns:
                np.testing.assert_array_equal(a.columns[name], b.columns[name])
        else:
            assert a == b


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """From here on nothing may come from the recording itself."""

    def refuse(*_: Any) -> None:
        raise AssertionError("read from the recording")

    with monkeypatch.context() as patch:
        yield patch.setattr(reading, "read_recording", refuse)


def test_what_is_read_again_is_what_was_read(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = recording(tmp_path / "a.nwb")
    before = path.stat()
    first = cached(path)
    assert_same(first, prepare(read_recording(path, spec().data), spec()))
    request.getfixturevalue("no_reading")
    assert_same(cached(path), first)
    after = path.stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)


@pytest.mark.usefixtures("no_reading")
def test_a_moved_recording_is_known_by_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "kept"))
    path = recording(tmp_path / "a.nwb")
    with monkeypatch.context() as patch:
        patch.setattr(reading, "read_recording", read_recording)
        cached(path)
    assert cached(path).path == path
    assert not (tmp_path / FOLDER).exists()


@pytest.mark.parametrize(
    "change",
    [
        {"bin_s": 0.03},
        {"units": {"min_rate_hz": 0.5}},
        {"split": {"seed": 1}},
        {"trials": {"where": "outcome == 'hit'"}},
    ],
    ids=str,
)
def test_another_spec_is_another_entry(tmp_path: Path, change: dict[str, Any]) -> None:
    path = recording(tmp_path / "a.nwb")
    cached(path)
    other = spec(**change)
    assert_same(cached(path, other), prepare(read_recording(path, other.data), other))


def test_other_bytes_under_the_same_name_and_time_are_read(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.nwb")
    long_ago = 1_000_000_000
    os.utime(path, (long_ago, long_ago))
    first = cached(path)
    path.write_bytes(recording(tmp_path / "b.nwb", seed=1).read_bytes())
    os.utime(path, (long_ago, long_ago))
    second = cached(path)
    assert second.sha256 == file_sha256(path) != first.sha256
    assert not np.array_equal(first.observation, second.observation)


@pytest.mark.parametrize(("change", "what"), [("rewritten", "was changed"), ("removed", "was removed")])
def test_a_file_that_changes_while_it_is_read_is_refused_and_not_kept(
    change: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recording(tmp_path / "a.nwb")
    head = read_head(path, spec().data)
    kept = sorted(tmp_path.glob(f"{FOLDER}/*.npz"))
    other = recording(tmp_path / "b.nwb", seed=1)

    def read_late(*arguments: Any) -> Recording:
        os.replace(other, path)
        found = read_recording(*arguments)
        if change == "removed":
            path.unlink()
        return found

    monkeypatch.setattr(reading, "read_recording", read_late)
    with pytest.raises(DataError, match=f"a.nwb: {what} while it was read; begin again once it is written"):
        read_session(head, spec(), {})
    assert sorted(tmp_path.glob(f"{FOLDER}/*.npz")) == kept


def test_a_hash_is_remembered_only_once_the_file_has_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recording(tmp_path / "a.nwb")
    SessionCache(path).sha256()
    assert not list(tmp_path.glob(f"{FOLDER}/*.sha256"))
    changed_ns = path.stat().st_ctime_ns
    monkeypatch.setattr("time.time_ns", lambda: changed_ns + 10**10)
    digest = SessionCache(path).sha256()
    monkeypatch.setattr("ncyber_cli.data.session_cache.file_sha256", lambda _: "hashed anew")
    assert SessionCache(path).sha256() == digest
    path.touch()
    assert SessionCache(path).sha256() == "hashed anew"


arrays_of = st.sampled_from(["f4", "f8", ">f8", "i8", "u1", "?", "U5"]).flatmap(
    lambda kind: arrays.arrays(np.dtype(kind), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
some_text = st.text(max_size=5)


@few
@given(
    columns=st.dictionaries(some_text, arrays_of, max_size=3),
    ids=st.lists(some_text, max_size=4),
    about=st.dictionaries(some_text, some_text, max_size=2),
    observation=arrays_of,
    floor=st.none() | arrays_of,
)
def test_a_record_comes_back_as_it_went(
    columns: dict[str, Any], ids: list[str], about: dict[str, str], observation: Any, floor: Any
) -> None:
    table = IntervalTable(ids, columns)
    session = replace(make_session(), observation=observation, floor=floor, trials=table, trial_id=ids, absent=about)
    head = Recording("a/b", "s", Path("x y"), "00", [], {}, {}, table, about, True)
    for known in (session, head):
        file = io.BytesIO()
        write_record(file, {"one": 1}, known)
        with tempfile.NamedTemporaryFile() as entry:
            entry.write(file.getvalue())
            entry.flush()
            assert_same(read_record(Path(entry.name), {"one": 1}), known)
            with pytest.raises(KeyError):
                read_record(Path(entry.name), {"one": 2})


def test_a_damaged_entry_is_read_anew_and_mended(tmp_path: Path) -> None:
    """Bytes flipped, cut off, or replaced by other things, at fifty places."""
    path = recording(tmp_path / "a.nwb")
    sound = cached(path)
    rng = np.random.default_rng(0)
    entry = max(tmp_path.glob(f"{FOLDER}/*.npz"), key=lambda found: found.stat().st_size)
    content = entry.read_bytes()
    places = [int(place) for place in rng.integers(0, len(content), 50)]
    spoilt = [content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :] for place in places]
    for damaged in [b"", b"hello", content[: len(content) // 2], *spoilt]:
        entry.write_bytes(damaged)
        assert_same(cached(path), sound)
    entry.write_bytes(b"hello")
    cached(path)
    assert entry.read_bytes()[:2] == b"PK"


def test_off_read_only_and_unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recording(tmp_path / "a.nwb")
    monkeypatch.setenv(VARIABLE, "off")
    sound = cached(path)
    monkeypatch.delenv(VARIABLE)
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert_same(cached(path), sound)
    tmp_path.chmod(stat.S_IRWXU)
    assert not (tmp_path / FOLDER).exists()
    monkeypatch.setenv(VARIABLE, str(path / "below a file"))
    assert_same(cached(path), sound)


def test_few_entries_are_kept_and_the_folder_may_go(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.nwb")
    for number in range(9):
        cached(path, spec(split={"seed": number}))
    assert len(list(tmp_path.glob(f"{FOLDER}/*.npz"))) == 6
    assert (tmp_path / FOLDER / ".gitignore").read_text() == "*\n"
    for left in (tmp_path / FOLDER).iterdir():
        left.unlink()
    (tmp_path / FOLDER).rmdir()
    assert cached(path).trial_id == [str(i) for i in range(10)]
