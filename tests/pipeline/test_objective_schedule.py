"""An objective set by hand: what is read, and what is refused and how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ncyber_cli.errors import UsageError
from ncyber_cli.pipeline.objective_schedule import read_schedule


def test_numbers_are_one_line() -> None:
    np.testing.assert_array_equal(read_schedule("0.05, -2e-2", 2).values, [[0.05, -0.02]])
    np.testing.assert_array_equal(read_schedule("nan,1", 2).values, [[np.nan, 1]])


def test_a_csv_file_is_a_line_a_bin_with_or_without_names(tmp_path: Path) -> None:
    path = tmp_path / "goal.csv"
    for head in ("x,y\n", ""):
        path.write_text(head + "0.1,0\nnan,0.2\n\n", encoding="utf-8")
        np.testing.assert_array_equal(read_schedule(str(path), 2).values, [[0.1, 0], [np.nan, 0.2]])


@pytest.mark.parametrize("text", ["0.1", "0.1,0.2,0.3", "0.1,far", "inf,0", "gaol.csv"])
def test_what_is_no_objective_of_this_run_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_schedule(text, 2)
    assert text.split(",")[0] in str(refused.value)


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "goal.csv"
    path.write_text("x,y\n0.1,0\n0.1,0,0\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"goal\.csv:3: has 3 numbers; this run's objective has 2 dimensions"):
        read_schedule(str(path), 2)
    path.write_text("x,y\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no line of numbers"):
        read_schedule(str(path), 2)
