"""What few trials leave open of a readout."""

from __future__ import annotations

import torch

from ncyber_cli.model.readout_uncertainty import ReadoutUncertainty

N_LATENT, N_UNIT = 2, 3
PRECISION = torch.diag(torch.tensor([4.0, 1.0, 0.25])).expand(2, 3, 3)
SESSION = torch.tensor([0])


def told(n_bin: int, information: float = 1.0) -> tuple[ReadoutUncertainty, torch.Tensor]:
    """Two units of three after so many bins, and the latents of the bins."""
    latent = torch.randn(n_bin, N_LATENT, generator=torch.Generator().manual_seed(0))
    uncertainty = ReadoutUncertainty(1, N_UNIT, N_LATENT)
    uncertainty.set(0, latent, torch.full((n_bin, 2), information), PRECISION)
    return uncertainty, latent


def test_without_data_it_is_the_prior() -> None:
    uncertainty, _ = told(5, information=0.0)
    sd = uncertainty.sd(torch.tensor([[[1.0, 0.0], [0.0, 3.0]]]), SESSION)
    torch.testing.assert_close(sd[0, :, 0], torch.tensor([0.25 + 4.0, 9.0 + 4.0]).sqrt())


def test_with_a_gaussian_likelihood_it_is_exact() -> None:
    uncertainty, latent = told(20)
    design = torch.cat([latent, torch.ones(20, 1)], 1)
    covariance = torch.linalg.inv(PRECISION[0] + design.T @ design)
    at = torch.tensor([[0.5, -2.0]])
    expected = (torch.tensor([0.5, -2.0, 1.0]) @ covariance @ torch.tensor([0.5, -2.0, 1.0])).sqrt()
    torch.testing.assert_close(uncertainty.sd(at[None], SESSION)[0, 0, :2], expected.expand(2))


def test_many_trials_leave_nothing_open_and_padded_units_have_nothing() -> None:
    few, many = (told(n)[0].sd(torch.ones(1, 1, N_LATENT), SESSION)[0, 0] for n in (10, 100_000))
    assert (many[:2] < 0.01).all()
    assert (few[:2] > 10 * many[:2]).all()
    assert few[2] == many[2] == 0
