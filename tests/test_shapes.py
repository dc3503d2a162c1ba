"""The shape annotations of the core are executed in these tests, and not only read."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError

from ncyber_cli.inference.kalman import LinearGaussian
from ncyber_cli.model.emission import Poisson


def test_an_argument_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        Poisson(1, 3, 2).predictor(torch.zeros(5, 2), torch.zeros(5, dtype=torch.long))


def test_arguments_whose_axes_disagree_are_refused() -> None:
    with pytest.raises(TypeCheckError):
        Poisson(1, 3, 2).predictor(torch.zeros(5, 7, 2), torch.zeros(4, dtype=torch.long))


def test_a_record_whose_fields_disagree_is_refused() -> None:
    n, units = torch.ones(2), torch.ones(3)
    with pytest.raises(TypeCheckError):
        LinearGaussian(n, n, torch.eye(2), n, n, torch.ones(3, 4), units, units)
