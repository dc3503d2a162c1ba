"""Rates are as uncertain as their readouts, besides what is not known of the latents."""

from __future__ import annotations

import pytest
import torch
from tiny import Tiny, make_tiny

from ncyber_cli.inference.posterior import Moments, causal_moments, posterior_moments
from ncyber_cli.inference.trial_noise import TrialKey
from ncyber_cli.model.readout_uncertainty import ReadoutUncertainty

OFFSET_SD = 0.3


def rates_of(tiny: Tiny, causal: bool) -> Moments:
    if causal:
        return causal_moments(tiny.model, tiny.batch, tiny.spec.inference)["rates"]
    keys = [TrialKey("a", "s", str(index)) for index in range(len(tiny.batch.session))]
    return posterior_moments(tiny.model, tiny.batch, tiny.spec.inference, keys, samples=3, seed=5)["rates"]


@pytest.mark.parametrize("causal", [False, True])
def test_an_uncertain_offset_widens_rates_and_moves_none(causal: bool) -> None:
    """A Gaussian unit's rate is its predictor, so that variances add; the mean stays that of the fitted readout."""
    tiny = make_tiny("linear_body")
    before = rates_of(tiny, causal)
    emission = tiny.model.loop.emission
    emission.uncertainty = ReadoutUncertainty(*emission.readout.shape).double()
    certain = rates_of(tiny, causal)
    torch.testing.assert_close(certain.sd, before.sd)
    emission.uncertainty.factor[:, :, -1, -1] = OFFSET_SD
    after = rates_of(tiny, causal)
    torch.testing.assert_close(after.mean, before.mean)
    torch.testing.assert_close(after.sd.square(), before.sd.square() + OFFSET_SD**2)


def test_an_uncertain_log_rate_widens_by_its_log_normal_share() -> None:
    tiny = make_tiny("reach")
    latents_alone = rates_of(tiny, causal=True)
    emission = tiny.model.loop.emission
    emission.uncertainty = ReadoutUncertainty(*emission.readout.shape).double()
    emission.uncertainty.factor[:, :, -1, -1] = OFFSET_SD
    both = rates_of(tiny, causal=True)
    latent = causal_moments(tiny.model, tiny.batch, tiny.spec.inference)["latents"].mean
    rate = emission.rate(emission.predictor(latent, tiny.batch.session), tiny.batch.session)
    s2 = torch.tensor(OFFSET_SD**2, dtype=torch.float64)
    own = rate * (s2.exp() * (s2.exp() - 1)).sqrt()
    torch.testing.assert_close(both.sd, torch.hypot(latents_alone.sd, own))
