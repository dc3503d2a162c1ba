"""A recording on the model's bins, from the cache where it has been read before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ncyber_cli.data.prepare import prepare
from ncyber_cli.data.read import read_recording
from ncyber_cli.data.recording import Recording, Session
from ncyber_cli.data.session_cache import SessionCache
from ncyber_cli.spec import Data, Spec


def read_head(path: Path, data: Data) -> Recording:
    """Who was recorded, and in which trials: a recording without its signals.

    Raises DataError for an unreadable file and a missing interval table.
    """
    kept = SessionCache(path)
    digest = kept.sha256()
    bare = data.model_copy(update={"neural": [], "behavior": {}, "inputs": {}, "held_out": None})
    key = {"head": digest, "data": bare.model_dump(mode="json", exclude={"sessions"})}
    head = kept.find(key)
    if not isinstance(head, Recording):
        head = read_recording(path, bare, digest)
        kept.check_unchanged()
        kept.keep(key, head)
    return replace(head, path=Path(path))


def read_session(head: Recording, spec: Spec, labels: Mapping[str, Sequence[str]]) -> Session:
    """The session of `head`, under the name it has there, as `prepare` makes it with these context labels.

    Raises DataError for what cannot be read or does not fit the spec.
    """
    kept = SessionCache(head.path)
    key = {
        "session": [head.sha256, head.animal, head.session],
        "data": spec.data.model_dump(mode="json", exclude={"sessions"}),
        "model": spec.model.model_dump(mode="json"),
        "labels": {name: list(known) for name, known in labels.items()},
    }
    session = kept.find(key)
    if not isinstance(session, Session):
        recording = read_recording(head.path, spec.data, head.sha256)
        kept.check_unchanged()
        session = prepare(replace(recording, animal=head.animal, session=head.session), spec, labels)
        kept.keep(key, session)
    return replace(session, path=head.path)
