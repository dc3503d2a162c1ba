"""YAML's traps do not spring: each value is what a person would read, and stands where it was written."""

from __future__ import annotations

import math

import pytest
import yaml

from ncyber_cli.spec_yaml import parse, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("3E2", 300.0),
        (".5", 0.5),
        ("-1.", -1.0),
        ("0", 0),
        ("-12", -12),
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("off", "off"),
        ("True", "True"),
        ("true", True),
        ("false", False),
        ("012", "012"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-01-02", "2026-01-02"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("~", None),
        ("null", None),
        ("", None),
    ],
)
def test_an_unquoted_word_is_what_it_looks_like(text: str, value: object) -> None:
    read = parse(f"key: {text}").value["key"]
    assert read == value
    assert type(read) is type(value)
    assert scalar(text) == value


def test_the_traps_are_real() -> None:
    trapped = yaml.safe_load("{a: 1e-3, b: no, c: 012, d: 12:30}")
    assert trapped == {"a": "1e-3", "b": False, "c": 10, "d": 750}


def test_quotes_make_text_of_anything() -> None:
    assert parse("a: '1'\nb: \"true\"\nc: |\n  7\n").value == {"a": "1", "b": "true", "c": "7\n"}


def test_no_number_is_infinite_or_missing() -> None:
    for text in ("1e308", "1e309", "-1e400", "9" * 400, ".nan"):
        value = scalar(text)
        assert isinstance(value, str) or math.isfinite(value or 0)


def test_every_key_and_value_keeps_its_line_and_column() -> None:
    document = parse("a: 1\nb:\n  - {c: 2}\n  - x\n")
    assert document.keys == {("a",): "1:1", ("b",): "2:1", ("b", 0, "c"): "3:6"}
    assert document.values[("b", 0, "c")] == "3:9"
    assert document.values[("b", 1)] == "4:5"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\na: 2", "2:1", "written twice (first at 1:1)"),
        ("a: &x 1", "1:4", "anchor &x is not allowed"),
        ("a: *x", "1:4", "alias *x is not allowed"),
        ("a: !!python/object:os.system 1", "1:4", "tag tag:yaml.org,2002:python/object:os.system is not allowed"),
        ("[a]: 1", "1:1", "a key must be one word"),
        ("a: [1", "1:6", "expected ',' or ']'"),
        ("\ta: 1", "1:1", "cannot start any token"),
        ("a: 1\n---\nb: 2", "2:1", "another document"),
        ("a: 1\nb: \x07", "2:4", "character #x07 is not allowed"),
        ("a: " + "[" * 5000, "1:35", "nested deeper"),
    ],
)
def test_what_a_spec_has_no_use_for_is_refused_where_it_stands(text: str, place: str, words: str) -> None:
    (problem,) = parse(text).problems
    assert problem.place == place
    assert words in problem.text
