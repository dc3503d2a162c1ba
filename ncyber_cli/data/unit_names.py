"""Unit ids: text, unique within a session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ncyber_cli.data.recording import NeuralStream
from ncyber_cli.errors import DataError

_LONGEST = 80  # of two such names a file name is made, and file systems take 255 bytes; letters may have three


def named_by(labels: Sequence[str], ids: Sequence[str]) -> list[str]:
    """Labels as unit ids: an empty label falls back to the id, a repeated one gets #2, #3, ..."""
    seen: Counter[str] = Counter()
    names = []
    for label, unit_id in zip(labels, ids, strict=True):
        name = label or unit_id
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return names


def unique_over_sources(streams: list[NeuralStream], sources: Sequence[str], *, where: str) -> list[NeuralStream]:
    """Streams whose ids are unique within the session: ids that clash get their source as prefix.

    Raises DataError where ids repeat within one source.
    """
    for stream, source in zip(streams, sources, strict=True):
        if repeated := [name for name, count in Counter(stream.unit_id).items() if count > 1]:
            raise DataError(
                f"unit id {repeated[0]!r} stands {stream.unit_id.count(repeated[0])} times in {source}",
                where=where,
                remedy="unit ids must be unique; name other ones with `labels`",
            )
    if len(set(sources)) != len(sources):
        raise DataError("one neural source is named twice", where=where, remedy="name each source once")
    if len({name for stream in streams for name in stream.unit_id}) == sum(len(stream.unit_id) for stream in streams):
        return streams
    return [
        replace(stream, unit_id=[f"{source}:{name}" for name in stream.unit_id])
        for stream, source in zip(streams, sources, strict=True)
    ]


def group_name(name: str) -> str:
    """An animal's or session's name that can name an HDF5 group and a file: short, no slash, never empty or a dot."""
    return name.replace("/", "_").strip().strip(".")[:_LONGEST] or "unnamed"
