"""YAML without its traps, read into plain values that remember where each of them stood.

`1e-3` is a number; only `true` and `false` are booleans (`no`, `yes`, `on`, `off` are words); `012` and `12:30` are
words; a key may stand once; anchors, aliases and tags are refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

KeyPath = tuple[str | int, ...]

_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,19})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*|(?=\.[0-9]))(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_DEEPEST = 32  # a spec is four levels deep; deeper nesting is a wrong file, and would exhaust the stack


@dataclass(frozen=True)
class Problem:
    """One thing to mend: `place` is LINE:COL or an override, `path` the keys that lead to it."""

    place: str
    path: KeyPath
    text: str


@dataclass
class Document:
    """Plain values (dict, list, str, int, float, bool, None) and the place of each key and value."""

    value: Any = None
    keys: dict[KeyPath, str] = field(default_factory=dict)
    values: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def parse(text: str) -> Document:
    """Read one YAML document; what is wrong with it is listed in `problems`, never raised."""
    document = Document()
    try:
        node = _Loader(text, document).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"not valid YAML: {error.problem or error.context}"
        document.problems.append(Problem(_place(mark) if mark else "1:1", (), what))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        what = f"character #x{ord(text[error.position]):02x} is not allowed in YAML, write plain UTF-8 text"
        document.problems.append(Problem(f"{line}:{column}", (), what))
    else:
        if node is not None:
            document.value = _value(node, (), document)
    return document


def scalar(text: str) -> str | int | float | bool | None:
    """Give an unquoted word its value by the rules at the top of this file."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


class _Loader(yaml.BaseLoader):
    """PyYAML's reader up to nodes, without implicit types; refuses what a spec has no use for."""

    def __init__(self, text: str, document: Document) -> None:
        super().__init__(text)
        self._document, self._depth = document, 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        place = _place(event.start_mark)
        if self._depth >= _DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {_DEEPEST} levels", problem_mark=event.start_mark)
        if self.check_event(yaml.AliasEvent):
            text = f"alias *{event.anchor} is not allowed in a spec, write the value itself"
            self._document.problems.append(Problem(place, (), text))
            self.get_event()
            return yaml.ScalarNode("", "", event.start_mark, event.end_mark)
        if event.anchor is not None:
            text = f"anchor &{event.anchor} is not allowed in a spec, write the value where it is needed"
            self._document.problems.append(Problem(place, (), text))
            event.anchor = None
        if event.tag is not None:
            text = f"tag {event.tag} is not allowed in a spec, quote the value if it is text"
            self._document.problems.append(Problem(place, (), text))
            event.tag = None
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def _value(node: yaml.Node, path: KeyPath, document: Document) -> Any:
    document.values[path] = _place(node.start_mark)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, i), document) for i, item in enumerate(node.value)]
    return scalar(node.value) if node.style is None else node.value


def _mapping(node: yaml.MappingNode, path: KeyPath, document: Document) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        place = _place(key_node.start_mark)
        if not isinstance(key_node, yaml.ScalarNode):
            document.problems.append(Problem(place, path, "a key must be one word, quote braces and brackets"))
            continue
        key = key_node.value
        here = (*path, key)
        if key in mapping:
            first = document.keys[here]
            document.problems.append(Problem(place, here, f"written twice (first at {first}), keep one of the two"))
            continue
        document.keys[here] = place
        mapping[key] = _value(value_node, here, document)
    return mapping


def _place(mark: yaml.Mark) -> str:
    return f"{mark.line + 1}:{mark.column + 1}"
