"""New neurons are expected to read what known neurons of their area read."""

from __future__ import annotations

import torch

from ncyber_cli.model.readout_prior import ReadoutPrior


def prior(n_known: int = 4000) -> ReadoutPrior:
    """Neurons of area a read the first of three latents, those of b the other two."""
    generator = torch.Generator().manual_seed(0)
    known = torch.randn(2 * n_known, 3, generator=generator)
    known[:n_known] *= torch.tensor([2.0, 0.1, 0.1])
    known[n_known:] *= torch.tensor([0.1, 1.0, 0.5])
    return ReadoutPrior(known, ["a"] * n_known + ["b"] * n_known, [["b", "a", "elsewhere"]], 4)


def curvature(which: int) -> torch.Tensor:
    """Precision of one neuron's readout: minus the Hessian of the log density."""
    found = prior()

    def density(row: torch.Tensor) -> torch.Tensor:
        readout = torch.zeros(1, 4, 3)
        readout[0, which] = row
        return found(readout)

    return -torch.autograd.functional.hessian(density, torch.zeros(3))


def test_the_precision_is_that_of_the_neurons_area() -> None:
    for unit, sd in ((0, [0.1, 1.0, 0.5]), (1, [2.0, 0.1, 0.1])):
        torch.testing.assert_close(curvature(unit).inverse().diagonal().sqrt(), torch.tensor(sd), rtol=0.1, atol=0.02)


def test_a_neuron_of_an_unknown_area_may_read_what_any_reads() -> None:
    sd = curvature(2).inverse().diagonal().sqrt()
    torch.testing.assert_close(sd, torch.tensor([1.42, 0.71, 0.36]), rtol=0.15, atol=0.1)


def test_few_known_neurons_leave_a_sound_prior_and_no_trace_in_a_checkpoint() -> None:
    found = ReadoutPrior(torch.ones(2, 5), ["a", "b"], [["a"]], 1)
    assert torch.isfinite(found(torch.ones(1, 1, 5)))
    assert found(torch.ones(1, 1, 5)) < 0
    assert not found.state_dict()
