"""Law: `where` is boolean algebra over columns, and nothing else can be said in it."""

from __future__ import annotations

import numpy as np
import pytest

from ncyber_cli.data.select import parse, select
from ncyber_cli.errors import DataError, SpecError

COLUMNS = {
    "quality": np.array(["good", "bad", "good", "mua"]),
    "rate": np.array([1.0, 3.0, 5.0, np.nan]),
    "heldout": np.array([0, 1, 0, 1], dtype=np.uint8),
    "depth": np.array([10, 20, 30, 40]),
}


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        ("quality == 'good'", [0, 2]),
        ("quality == 'good' and rate > 2", [2]),
        ("quality in ['good', 'mua']", [0, 2, 3]),
        ("quality not in ('good',) or depth == 10", [0, 1, 3]),
        ("not heldout", [0, 2]),
        ("heldout == True", [1, 3]),
        ("10 < depth <= 30", [1, 2]),
        ("rate >= 0", [0, 1, 2]),  # NaN satisfies no order
        ("-depth < -25", [2, 3]),
        ("not (heldout or quality == 'bad') and depth != 10", [2]),
        ("depth in []", []),
        ("True", [0, 1, 2, 3]),
    ],
)
def test_selects_the_rows_for_which_it_holds(expression: str, rows: list[int]) -> None:
    kept = select(expression, COLUMNS, 4, where="here")
    assert kept.dtype == np.bool_
    assert np.flatnonzero(kept).tolist() == rows


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "quality.dtype == 1",
        "rate[0] > 1",
        "rate + 1 > 2",
        "(lambda: 1)()",
        "[x for x in rate]",
        "f'{rate}'",
        "rate = 2",
        "quality ==",
        "rate == None",
        "rate == 1j",
        "(" * 500 + "rate" + ")" * 500,
        "rate > 1 " * 1000,
        "",
    ],
)
def test_anything_else_is_a_spec_error(expression: str) -> None:
    with pytest.raises(SpecError, match="cannot understand"):
        parse(expression, where="here")


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("qualty == 'good'", "did you mean quality"),
        ("quality > 3", "text with numbers"),
        ("depth in ['a']", "text with numbers"),
        ("rate", "not true or false"),
        ("rate == [1]", "in \\[...\\]"),
        ("not quality", "not true or false"),
    ],
)
def test_what_does_not_fit_the_columns_is_a_data_error(expression: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        select(expression, COLUMNS, 4, where="here")
