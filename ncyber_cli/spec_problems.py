"""Turns what pydantic found wrong with a spec into lines that say where, what, and what to write."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from ncyber_cli.spec_schema import description_at, homes, kinds_at, kinds_of, legal_keys, parts_at, value_at
from ncyber_cli.spec_yaml import Document, KeyPath, Problem, scalar

_EXPECTED = {  # by pydantic's error type: what to write
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list, [first, second]",
    "tuple_type": "a list, [first, second]",
    "dict_type": "a mapping, {name: value}",
    "model_type": "a mapping, {key: value}",
    "model_attributes_type": "a mapping, {key: value}",
    "model_attributes_type_or_none": "a mapping, {key: value}",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("gt", "a number above"),
    "greater_than_equal": ("ge", "a number of at least"),
    "less_than": ("lt", "a number below"),
    "less_than_equal": ("le", "a number of at most"),
}
_WORDS_FOR_TRUTH = {"yes": "true", "on": "true", "True": "true", "no": "false", "off": "false", "False": "false"}


def problems(errors: Iterable[ErrorDetails], document: Document) -> list[Problem]:
    """Name the place, the fault and the remedy of each of pydantic's errors, one per place.

    Args:
        errors: `ValidationError.errors()` of the spec.
        document: the plain values that were validated, with the place of each.
    """
    at: dict[KeyPath, list[ErrorDetails]] = {}
    for error in errors:
        at.setdefault(_path(error, document.value), []).append(error)
    found = []
    for path, group in at.items():
        deeper = any(len(other) > len(path) and other[: len(path)] == path for other in at)
        if deeper and group[0]["type"] in _EXPECTED:
            continue  # the other branch of a union, e.g. `latents` is a count or a mapping: a mapping was written
        if group[0]["type"] == "missing" and path[-1] in _meant(path[:-1], at, document.value):
            continue  # a misspelt key is reported where it stands
        found.append(Problem(_place(path, group[0]["type"], document), path, _text(path, group, document)))
    return found


def _path(error: ErrorDetails, tree: Any) -> KeyPath:
    """Drop from pydantic's location what is not a key: the tag of a chosen kind, the branch of a union."""
    path: KeyPath = ()
    location = error["loc"]
    if error["type"] in ("missing", "extra_forbidden"):
        location, last = location[:-1], location[-1:]
    else:
        last = ("kind",) if error["type"].startswith("union_tag") else ()
    for key in location:
        holder = value_at(tree, path)
        if (isinstance(holder, dict) and key in holder) or (isinstance(holder, list) and isinstance(key, int)):
            path = (*path, key)
    return (*path, *last)


def _meant(parent: KeyPath, at: dict[KeyPath, list[ErrorDetails]], tree: Any) -> list[str]:
    """Give the legal keys that misspelt keys of `parent` come closest to."""
    legal = legal_keys(parent, tree)
    unknown = [path[-1] for path, group in at.items() if path[:-1] == parent and group[0]["type"] == "extra_forbidden"]
    return [key for name in unknown for key in close(str(name), legal)]


def _place(path: KeyPath, kind: str, document: Document) -> str:
    if kind == "extra_forbidden":
        return document.keys.get(path, "1:1")
    if path in document.values:
        return document.values[path]
    while path:  # missing: the nearest thing around it that is written
        path = path[:-1]
        if path in document.keys:
            return document.keys[path]
        if path in document.values:
            return document.values[path]
    return "1:1"


def _text(path: KeyPath, group: Sequence[ErrorDetails], document: Document) -> str:
    error, tree = group[0], document.value
    kind, context = error["type"], error.get("ctx", {})
    value = value_at(tree, path)
    if kind == "extra_forbidden":
        return _unknown_key(path, document)
    if kind == "missing":
        return _missing(path, tree)
    if kind == "union_tag_not_found":
        return f"is missing, write kind: {either(kinds_at(path[:-1], tree))}"
    if kind == "union_tag_invalid":
        return _not_one_of(value, kinds_at(path[:-1], tree))
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    if kind in ("too_short", "too_long"):
        least = context.get("min_length", context.get("max_length"))
        bound = "at least" if kind == "too_short" else "at most"
        return f"has {context.get('actual_length')} entries, write {bound} {least}"
    if kind == "string_too_short":
        return "is empty, write a name"
    if kind in _BOUNDS:
        key, phrase = _BOUNDS[kind]
        return f"is {_shown(value)}, write {phrase} {context[key]:g}"
    return _wrong_value(value, group)


def _wrong_value(value: Any, group: Sequence[ErrorDetails]) -> str:
    """Word a value of the wrong type, or a word that is not on the list; the branches of a union are joined by `or`."""
    words = [word for error in group if error["type"] == "literal_error" for word in _quoted(error["ctx"]["expected"])]
    types = [_EXPECTED[error["type"]] for error in group if error["type"] in _EXPECTED]
    if not words and not types:
        return f"is {_shown(value)}, {group[0]['msg'][:1].lower()}{group[0]['msg'][1:]}"
    if words and not types:
        return _not_one_of(value, words)
    wanted = either([*words, *dict.fromkeys(types)])
    if value is None:
        return f"is empty, write {wanted}, or leave the key out"
    if types == ["true or false"] and value in _WORDS_FOR_TRUTH:
        return f"is the word {value}, write {_WORDS_FOR_TRUTH[value]}"
    if types == ["a whole number"] and isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"is {value:g} with a decimal point or exponent, write {int(value)}"
    if types == ["text"] and isinstance(value, (bool, int, float)):
        return f'is {_shown(value)}, write text, "{_shown(value)}" in quotes'
    return f"is {_shown(value)}, write {wanted}"


def _unknown_key(path: KeyPath, document: Document) -> str:
    name, parent, tree = str(path[-1]), path[:-1], document.value
    legal = legal_keys(parent, tree)
    if meant := close(name, legal):
        return f"unknown key, did you mean {meant[0]}?"
    others = [kind for part in parts_at(parent, tree) if name in part.model_fields for kind in kinds_of(part)]
    if not others:
        others = [k for part in parts_at(parent, None) if name in part.model_fields for k in kinds_of(part)]
    if others:
        return _key_of_another_kind(parent, others, document)
    if elsewhere := homes(name):
        return f"unknown key here, it belongs under {either([home or 'the top level' for home in elsewhere])}"
    if not legal:
        return "unknown key, remove it"
    return f"unknown key, write {either(legal)}"


def _key_of_another_kind(parent: KeyPath, others: list[str], document: Document) -> str:
    kind = value_at(document.value, (*parent, "kind"))
    text = f"not a key of kind {kind} but of {either(others)}, remove it or change kind"
    place = document.values.get((*parent, "kind"), "")
    if place.startswith("--set"):
        text += f" (set by {place}; --set '{dotted(parent)}={{kind: {kind}}}' replaces the whole part)"
    return text


def _missing(path: KeyPath, tree: Any) -> str:
    if isinstance(path[-1], int):
        return "is missing, write a list of two, [first, second]"
    explained = description_at(path, tree)
    return f"is missing, write {path[-1]}: ..." + (f" ({explained})" if explained else "")


def _not_one_of(value: Any, allowed: list[str]) -> str:
    text = f"is {_shown(value)}, write {either(allowed)}"
    meant = close(str(value), allowed)
    return f"{text}; did you mean {meant[0]}?" if meant else text


def _quoted(expected: str) -> list[str]:
    """Split pydantic's "'a', 'b' or 'c'" into words."""
    return [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(", ")]


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if isinstance(value, str) and scalar(value) != value:
        return f'the text "{text}"'
    return text if len(text) <= 40 else f"{text[:37]}..."


def close(word: str, allowed: Iterable[str]) -> list[str]:
    """Give the one allowed word that `word` is most likely a misspelling of, or none."""
    by_folded = {known.lower().replace("-", "_"): known for known in allowed}
    nearest = difflib.get_close_matches(word.lower().replace("-", "_"), by_folded, n=1, cutoff=0.6)
    return [by_folded[match] for match in nearest]


def either(words: Sequence[str]) -> str:
    """Write a choice: "a", "a or b", "a, b or c"."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else "nothing"


def dotted(path: KeyPath) -> str:
    """Write a path of keys as the user would: data.neural.0.kind."""
    return ".".join(str(key) for key in path)
