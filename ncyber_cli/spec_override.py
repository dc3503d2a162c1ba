"""`--set a.b=value`: one value of a parsed spec replaced, with the override as its place."""

from __future__ import annotations

from typing import Any

from ncyber_cli.spec_yaml import Document, KeyPath, Problem, parse


def apply_override(document: Document, override: str) -> None:
    """Set one value of `document.value`, a mapping; what is wrong with the override goes to `document.problems`.

    Args:
        override: `key.path=value`; a number in the path is an index into a list, the value is YAML.
    """
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    if not equals or "" in keys:
        problem = Problem(f"--set {override}", (), "is not an assignment, write key.path=value")
        document.problems.append(problem)
        return
    place = f"--set {name.strip()}"
    written = parse(text)
    document.problems.extend(Problem(place, (), problem.text) for problem in written.problems)
    try:
        holder, path = _open_way(document, keys, place)
    except LookupError as error:
        document.problems.append(Problem(place, (), str(error.args[0])))
        return
    if written.problems:
        return
    _forget(document, path)
    for inner in {(), *written.values}:
        document.keys[(*path, *inner)] = document.values[(*path, *inner)] = place
    holder[path[-1]] = written.value


def _open_way(document: Document, keys: list[str], place: str) -> tuple[Any, KeyPath]:
    """Give the mapping or list that holds the last key, and the full path; missing mappings are made.

    Raises:
        LookupError: something on the way cannot hold the next key; its text says what.
    """
    holder, path = document.value, _step(document.value, keys[0], ())
    for key in keys[1:]:
        last = path[-1]
        if isinstance(holder, dict) and holder.get(last) is None:
            holder[last] = {}
            document.keys[path] = document.values[path] = place
        holder = holder[last]
        path = _step(holder, key, path)
    return holder, path


def _step(holder: Any, key: str, path: KeyPath) -> KeyPath:
    here = ".".join(str(known) for known in path)
    if isinstance(holder, dict):
        return (*path, key)
    if not isinstance(holder, list):
        raise LookupError(f"{here} is {holder!r} and holds no {key}, set {here} as a whole")
    if not key.isdecimal() or int(key) >= len(holder):
        raise LookupError(f"{here} is a list, write an index from 0 to {len(holder) - 1} in place of {key}")
    return (*path, int(key))


def _forget(document: Document, path: KeyPath) -> None:
    for places in (document.keys, document.values):
        for known in [known for known in places if known[: len(path)] == path]:
            del places[known]
