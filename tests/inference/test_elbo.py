"""Gradients are those of finite differences, noise is what the model assumes, the causal head steers nothing."""

from __future__ import annotations

import pytest
import scipy.stats
import torch
from tiny import MODELS, Tiny, make_tiny
from torch.func import functional_call

from ncyber_cli.inference.elbo import Noise, bins_ahead, draw_noise, elbo_terms

EVERY_MODEL = pytest.mark.parametrize("kind", MODELS)


def noise_of(tiny: Tiny, seed: int = 0) -> Noise:
    n_trial, n_time = tiny.batch.mask.shape
    return draw_noise(tiny.model, n_time, n_trial, torch.Generator().manual_seed(seed))


class NegativeElbo(torch.nn.Module):
    """ELBO and priors of a batch as a function of the model's parameters."""

    def __init__(self, tiny: Tiny) -> None:
        super().__init__()
        self.tiny, self.model, self.noise = tiny, tiny.model, noise_of(tiny)

    def forward(self) -> torch.Tensor:
        terms, _ = self.tiny.score(self.noise)
        return -(terms.elbo(0.7).sum() + self.model.loop.log_prior()) / self.tiny.batch.mask.sum()


@pytest.mark.parametrize("kind", ["several_areas", "reach_jump", "linear_body", "goal_in_the_brain"])
def test_every_gradient_is_that_of_finite_differences(kind: str) -> None:
    negative_elbo = NegativeElbo(make_tiny(kind))
    parts = ("model.loop.", "model.encoder.head.", "model.encoder.read_in", "model.encoder.forward_pass.0.gate")
    learned = {name: p for name, p in negative_elbo.named_parameters() if name.startswith(parts)}
    learned = {name: p for name, p in learned.items() if p.requires_grad and p.numel()}

    def loss(*values: torch.Tensor) -> torch.Tensor:
        return functional_call(negative_elbo, dict(zip(learned, values, strict=True)), ())

    values = [p.detach().clone().requires_grad_() for p in learned.values()]
    torch.manual_seed(0)  # the directions of the check
    assert torch.autograd.gradcheck(loss, values, fast_mode=True, eps=1e-6, atol=1e-3, rtol=1e-3)


@EVERY_MODEL
def test_every_learned_parameter_has_a_finite_gradient(kind: str) -> None:
    tiny = make_tiny(kind)
    terms, _ = tiny.score(noise_of(tiny))
    (terms.elbo().sum() + terms.causal.sum() + tiny.model.loop.log_prior()).backward()
    for name, parameter in tiny.model.named_parameters():
        if parameter.requires_grad and parameter.numel() and not name.startswith("readers."):  # they learn later
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


def test_the_causal_head_moves_the_encoder_and_never_the_generative_model() -> None:
    tiny = make_tiny("reach")
    tiny.score(noise_of(tiny))[0].causal.sum().backward()
    assert all(parameter.grad is None for parameter in tiny.model.loop.parameters())
    assert all(parameter.grad is not None for parameter in tiny.model.causal_latent.parameters())


def test_the_first_actuators_kl_is_torchs() -> None:
    tiny = make_tiny("reach")
    _, posterior = tiny.score(noise_of(tiny))
    mean, sd = posterior.messages.actuator, posterior.messages.actuator_log_sd.exp()
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, sd), normal(torch.zeros_like(mean), 1.0)).sum(-1)
    torch.testing.assert_close(posterior.kl_actuator, expected)


@pytest.mark.parametrize("kind", ["reach", "reach_static", "linear_body"])
def test_no_kl_is_negative(kind: str) -> None:
    tiny = make_tiny(kind)
    _, posterior = tiny.score(noise_of(tiny))
    for kl in (posterior.kl_latent, posterior.kl_objective, posterior.kl_actuator):
        assert kl.min() >= 0


def test_drawn_noise_is_standard_and_the_bodys_is_student_t() -> None:
    tiny = make_tiny("reach")
    noise = draw_noise(tiny.model, 200, 50, torch.Generator().manual_seed(0))
    for part, law in (
        (noise.latent, scipy.stats.norm()),
        (noise.objective, scipy.stats.norm()),
        (noise.body, scipy.stats.t(3)),
    ):
        assert part.dtype == torch.float64
        assert scipy.stats.kstest(part.flatten().numpy(), law.cdf).statistic < 0.02


def test_scoring_less_than_everything_weighs_only_what_is_scored() -> None:
    tiny = make_tiny("brain_only")
    everything, posterior = tiny.score(noise_of(tiny))
    scored = tiny.batch.observed.double()
    half = elbo_terms(tiny.model, tiny.batch, posterior, 0.5 * scored)
    none = elbo_terms(tiny.model, tiny.batch, posterior, torch.zeros_like(scored))
    torch.testing.assert_close(half.neural, 0.5 * everything.neural)
    assert torch.count_nonzero(none.neural) == 0
    torch.testing.assert_close(none.kl_latent, everything.kl_latent)


def test_predictions_reach_from_the_last_bin_that_was_not_the_models_own() -> None:
    own = torch.tensor([[0, 0, 1, 1, 0, 0, 1], [0, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0]], dtype=torch.bool)
    expected = [[1, 1, 1, 2, 3, 1, 1], [1, 1, 2, 3, 4, 5, 6], [1] * 7]
    assert bins_ahead(own).tolist() == expected
