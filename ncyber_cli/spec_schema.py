"""What the spec's records allow at each place: legal keys, kinds, and where a stray key belongs."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from ncyber_cli.spec import Spec
from ncyber_cli.spec_yaml import KeyPath

Part = type[BaseModel]


def parts_at(path: KeyPath, tree: Any) -> list[Part]:
    """Give the records that may stand at `path` of the plain values `tree`: several where `kind` would choose."""
    options: list[Any] = [Spec]
    for depth, key in enumerate(path):
        chosen = _of_kind(options, value_at(tree, path[:depth]))
        options = [inner for option in chosen for inner in _step(option, key)]
    return [option for option in options if _is_part(option)]


def legal_keys(path: KeyPath, tree: Any) -> list[str]:
    """Give the keys that are legal at `path`, in the spec's own order, for the kind written there."""
    chosen = _of_kind(parts_at(path, tree), value_at(tree, path))
    return list(dict.fromkeys(name for part in chosen for name in part.model_fields))


def kinds_at(path: KeyPath, tree: Any) -> list[str]:
    """Give every `kind` that may be written at `path`."""
    return [kind for part in parts_at(path, tree) for kind in kinds_of(part)]


def kinds_of(part: Part) -> tuple[str, ...]:
    """Give the kinds that a record answers to; none for a record without `kind`."""
    return get_args(part.model_fields["kind"].annotation) if "kind" in part.model_fields else ()


def description_at(path: KeyPath, tree: Any) -> str:
    """Give what the spec says of the key at `path`, or nothing."""
    for part in _of_kind(parts_at(path[:-1], tree), value_at(tree, path[:-1])):
        if path[-1] in part.model_fields:
            return part.model_fields[str(path[-1])].description or ""
    return ""


def homes(name: str) -> list[str]:
    """Give the dotted places of the spec where a key called `name` is legal."""
    return list(dict.fromkeys(place for place, key in _every_key(Spec, "") if key == name))


def _every_key(part: Part, place: str) -> Iterator[tuple[str, str]]:
    for name, info in part.model_fields.items():
        yield place, name
        inner = f"{place}.{name}" if place else name
        for option in _options(info.annotation):
            if _is_part(option):
                yield from _every_key(option, inner)


def _step(option: Any, key: str | int) -> list[Any]:
    """Go from a type to the types of what it holds under `key`."""
    if _is_part(option):
        return _options(option.model_fields[str(key)].annotation) if key in option.model_fields else []
    if get_origin(option) is dict:
        return _options(get_args(option)[1])
    if get_origin(option) in (list, tuple):
        return _options(get_args(option)[0])
    return []


def _options(annotation: Any) -> list[Any]:
    if hasattr(annotation, "__metadata__"):  # Annotated
        return _options(annotation.__origin__)
    if get_origin(annotation) in (Union, UnionType):
        return [option for inner in get_args(annotation) for option in _options(inner)]
    return [annotation]


def _of_kind(options: list[Any], value: Any) -> list[Any]:
    kind = value.get("kind") if isinstance(value, dict) else None
    fitting = [option for option in options if _is_part(option) and kind in kinds_of(option)]
    return fitting or options


def _is_part(option: Any) -> bool:
    return isinstance(option, type) and issubclass(option, BaseModel)


def value_at(tree: Any, path: KeyPath) -> Any:
    """Give what stands at `path` of plain values, None where nothing does."""
    for key in path:
        held = tree if isinstance(tree, dict) else dict(enumerate(tree)) if isinstance(tree, list) else {}
        tree = held.get(key)
    return tree
