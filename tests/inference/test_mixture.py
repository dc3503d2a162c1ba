"""A mixture's density and moments are those of torch's own."""

from __future__ import annotations

import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from ncyber_cli.inference.mixture import MixtureHead


def test_density_and_moments_are_torchs() -> None:
    torch.manual_seed(0)
    head = MixtureHead(5, 8, size=2, components=3).double()
    found = head(torch.randn(4, 6, 5).double())
    theirs = MixtureSameFamily(
        Categorical(logits=found.log_weight), Independent(Normal(found.mean, found.log_sd.exp()), 1)
    )
    value = torch.randn(4, 6, 2).double()
    torch.testing.assert_close(found.log_density(value), theirs.log_prob(value))
    mean, sd = found.moments()
    torch.testing.assert_close(mean, theirs.mean)
    torch.testing.assert_close(sd, theirs.variance.sqrt())


def test_a_centre_moves_the_means_and_nothing_else() -> None:
    head = MixtureHead(5, 8, size=2, components=3)
    features, centre = torch.randn(4, 5), torch.randn(4, 2)
    plain, moved = head(features), head(features, centre)
    torch.testing.assert_close(moved.mean, plain.mean + centre[:, None])
    assert torch.equal(moved.log_sd, plain.log_sd)
