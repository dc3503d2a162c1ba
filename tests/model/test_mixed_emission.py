"""A unit of a mixture is scored, drawn and silenced exactly as it would be in a model of its own kind alone."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from ncyber_cli.model.emission import Emission, Gaussian, NegativeBinomial, Poisson, ZeroInflatedGamma
from ncyber_cli.model.mixed_emission import Mixed

SESSION = torch.tensor([1, 0, 1])
BINS, UNITS = 8, 6
KIND_OF = torch.tensor([[0, 1, 2, 0, 1, 2], [2, 2, 1, 0, 1, 1]])  # of each session's units


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def mixed() -> Mixed:
    parts = {"spikes": NegativeBinomial, "calcium": partial(Gaussian, private_noise="ar1"), "events": ZeroInflatedGamma}
    made = Mixed(parts, KIND_OF, 2).double()
    with torch.no_grad():
        for seed, parameter in enumerate(made.parameters()):
            parameter.add_(0.3 * random(*parameter.shape, seed=seed))
    made.start_variance(0, torch.linspace(0.5, 2, UNITS))
    return made


def observation() -> torch.Tensor:
    """Counts, negative values and zeros, each where its kind is."""
    kind, values = KIND_OF[SESSION][:, None], random(3, BINS, UNITS, seed=1)
    return torch.where(kind == 0, values.abs().round(), torch.where(kind == 1, values, values.clamp(min=0)))


def test_density_rate_and_information_are_those_of_each_units_own_kind(mixed: Mixed) -> None:
    values, predictor = observation(), random(3, BINS, UNITS, seed=2).requires_grad_()
    observed = random(3, BINS, UNITS, seed=3) > -1
    density = mixed.log_density(values, observed, predictor, SESSION)
    density.sum().backward()
    assert torch.isfinite(predictor.grad).all()
    own = [each[SESSION][:, None] for each in mixed.own]
    for part, units in zip(mixed.kinds.values(), own, strict=True):
        assert isinstance(part, Emission)
        chosen = units.expand_as(density) & observed
        alone = part.log_density(torch.where(units, values, 1.0), observed, predictor, SESSION)
        torch.testing.assert_close(density[chosen], alone[chosen])
        for ask in ("rate", "information"):
            found, expected = (getattr(each, ask)(predictor, SESSION) for each in (mixed, part))
            torch.testing.assert_close(found[chosen], expected[chosen])
    assert torch.equal(mixed.counting(), KIND_OF == 0)
    assert torch.equal(mixed.log_linear_units(), KIND_OF != 1)


def test_no_kind_sends_a_gradient_through_anothers_values(mixed: Mixed) -> None:
    """A negative fluorescence is no count: where it is taken for one, lgamma and its slope are not finite."""
    values = torch.where(KIND_OF[SESSION][:, None] == 1, -12.0, 0.0).double().expand(3, BINS, UNITS)
    mixed.log_density(
        values, torch.ones_like(values, dtype=torch.bool), torch.zeros_like(values), SESSION
    ).sum().backward()
    for name, parameter in mixed.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


def test_samples_have_the_rates_of_their_kind_and_silenced_units_emit_nothing(mixed: Mixed) -> None:
    predictor = 0.3 * random(1, 1, UNITS, seed=4).expand(3, 4000, UNITS)
    generator = torch.Generator().manual_seed(0)
    drawn = mixed.sample(predictor, SESSION, generator)
    spread = drawn.std(1) / 4000**0.5
    assert torch.all((drawn.mean(1) - mixed.rate(predictor, SESSION)[:, 0]).abs() < 12 * spread)  # AR(1) noise is slow
    counts = KIND_OF[SESSION][:, None].expand_as(drawn) == 0
    assert torch.equal(drawn[counts], drawn[counts].round())
    units = torch.zeros_like(KIND_OF, dtype=torch.bool)
    units[1, 2:] = True
    mixed.silence(units)
    silent = mixed.rate(mixed.predictor(random(3, BINS, 2), SESSION), SESSION)
    assert torch.all(silent[0, :, 2:] == 0)
    assert torch.all(silent[1, :, 2:].abs() > 0)


def test_variances_of_units_of_other_kinds_stay(mixed: Mixed) -> None:
    gaussian = mixed.kinds["calcium"]
    assert isinstance(gaussian, Gaussian)
    before = gaussian.variance.clone()
    values = observation()
    mixed.update_variance(values, torch.ones_like(values, dtype=torch.bool), torch.zeros_like(values), SESSION)
    assert torch.equal(gaussian.variance != before, KIND_OF == 1)


def test_a_single_kind_has_the_names_that_it_always_had() -> None:
    assert set(Poisson(1, 2, 3).state_dict()) == {"latent_mask", "readout", "offset"}
