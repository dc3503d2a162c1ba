"""The objective of a spec: which numbers of prototypes there are to choose from, and who may ask for any."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ncyber_cli.spec import Objective


@pytest.mark.parametrize(
    ("written", "numbers"),
    [
        ({}, []),
        ({"prior": "jump"}, []),
        ({"prior": "switching"}, [2, 3, 4, 5, 6]),
        ({"prior": "switching", "prototypes": 4}, [4]),
        ({"prior": "switching", "prototypes": [5, 3]}, [3, 5]),
    ],
)
def test_numbers_to_choose_from(written: dict[str, Any], numbers: list[int]) -> None:
    assert Objective.model_validate(written).prototype_numbers == numbers


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"prototypes": 3}, "prior slow has no prototypes, write prior: switching"),
        ({"prior": "jump", "prototypes": [3, 4]}, "prior jump has no prototypes"),
        ({"prior": "switching", "prototypes": [3, 3]}, "names a number twice"),
        ({"prior": "switching", "prototypes": 1}, "greater than or equal to 2"),
        ({"prior": "switching", "prototypes": []}, "at least 1 item"),
    ],
)
def test_what_makes_no_sense_is_refused(written: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Objective.model_validate(written)
