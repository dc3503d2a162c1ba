"""A training step: repeatable to the bit, downhill, and refused as a whole where a number is not finite."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny import MODELS, Tiny, make_tiny

from ncyber_cli.inference.elbo import Noise, draw_noise
from ncyber_cli.training.blinding import Blinding, draw_blinding
from ncyber_cli.training.schedule import kl_weight, make_optimizer, set_learning_rate
from ncyber_cli.training.step import StepResult, loss_of, train_step
from ncyber_cli.training.warm_start import warm_start

EVERY_MODEL = pytest.mark.parametrize("kind", MODELS)


def drawn(tiny: Tiny, seed: int = 0) -> tuple[Blinding, Noise]:
    generator = torch.Generator().manual_seed(seed)
    n_trial, n_time = tiny.batch.mask.shape
    blinding = draw_blinding(tiny.batch, tiny.spec.inference, generator)
    return blinding, draw_noise(tiny.model, n_time, n_trial, generator)


def steps(tiny: Tiny, count: int, learning_rate: float = 1e-2) -> list[StepResult]:
    optimizer = make_optimizer(tiny.model, learning_rate, 1e-4)
    return [
        train_step(tiny.model, optimizer, tiny.batch, *drawn(tiny, seed), 1.0, len(tiny.batch.session))
        for seed in range(count)
    ]


@EVERY_MODEL
def test_the_same_steps_make_the_same_model_to_the_bit(kind: str) -> None:
    first, again = make_tiny(kind, dtype="float32"), make_tiny(kind, dtype="float32")
    steps(first, 2)
    steps(again, 2)
    for name, values in first.model.state_dict().items():
        assert torch.equal(values, again.model.state_dict()[name]), name


@pytest.mark.parametrize("kind", ["brain_only", "reach", "linear_body"])
def test_steps_go_downhill(kind: str) -> None:
    tiny = make_tiny(kind)
    warm_start(tiny.model, tiny.cohort)
    losses = torch.stack([result.loss for result in steps(tiny, 30)])
    assert losses[-5:].mean() < losses[:5].mean()


@EVERY_MODEL
def test_a_step_that_is_not_finite_leaves_every_parameter_as_it_was(kind: str) -> None:
    tiny = make_tiny(kind)
    optimizer = make_optimizer(tiny.model, 1e-2, 1e-4)
    n_trial = len(tiny.batch.session)
    train_step(tiny.model, optimizer, tiny.batch, *drawn(tiny), 1.0, n_trial)  # the optimiser has momentum
    before = {name: p.detach().clone() for name, p in tiny.model.named_parameters()}
    blinding, noise = drawn(tiny, 1)
    noise.latent[3, 1, 0] = torch.nan
    result = train_step(tiny.model, optimizer, tiny.batch, blinding, noise, 1.0, n_trial)
    assert result.finite == 0
    assert not torch.isfinite(result.elbo)
    for name, parameter in tiny.model.named_parameters():
        assert torch.equal(parameter, before[name]), name
    assert all(torch.isfinite(values).all() for values in tiny.model.state_dict().values())
    after = train_step(tiny.model, optimizer, tiny.batch, *drawn(tiny, 2), 1.0, n_trial)
    assert after.finite == 1
    assert all(torch.isfinite(values).all() for values in tiny.model.state_dict().values())


def test_an_infinite_observation_is_refused_too() -> None:
    tiny = make_tiny("reach")
    before = {name: p.detach().clone() for name, p in tiny.model.named_parameters()}
    body = tiny.batch.body.clone()
    body[2, 4] = torch.inf
    tiny = replace(tiny, batch=replace(tiny.batch, body=body))
    assert steps(tiny, 1)[0].finite == 0
    assert all(torch.equal(parameter, before[name]) for name, parameter in tiny.model.named_parameters())


def test_a_taken_step_says_so_and_moves_what_is_learned() -> None:
    tiny = make_tiny("reach")
    before = {name: p.detach().clone() for name, p in tiny.model.named_parameters()}
    assert steps(tiny, 1)[0].finite == 1
    still = {name for name, p in tiny.model.named_parameters() if torch.equal(p, before[name]) and p.numel()}
    waiting = {name for name, p in tiny.model.named_parameters() if name.startswith("readers.")}  # until after the fit
    assert still == waiting | {name for name, p in tiny.model.named_parameters() if not p.requires_grad}


def test_a_closed_loop_is_scored_on_what_follows_from_its_own_body_and_leaves_the_scale_alone() -> None:
    """In own-body bins neither the recorded body nor noise enters; only one-step residuals set the scale."""
    tiny = make_tiny("reach", inference={"masking": {"probability": 0.0, "closed_loop": 1.0}})
    blinding, noise = drawn(tiny)
    blinding = replace(blinding, show_body=torch.zeros_like(blinding.show_body))  # the encoder may see the body
    other = torch.where(blinding.own_body[:, :, None], 3.0 + tiny.batch.body, tiny.batch.body)
    moved = replace(tiny.batch, body=other)
    louder = replace(noise, body=torch.where(blinding.own_body.T[:, :, None], 2.0, noise.body))
    silent = [loss_of(tiny.model, tiny.batch, blinding, one, 1.0, 7)[2] for one in (noise, louder)]
    elsewhere = loss_of(tiny.model, moved, blinding, noise, 1.0, 7)[2]
    for posterior in (silent[1], elsewhere):
        torch.testing.assert_close(posterior.trajectory.predicted_body, silent[0].trajectory.predicted_body)
    scale = tiny.model.loop.body.residual
    before = scale.scale.clone()
    everywhere = replace(blinding, own_body=torch.ones_like(blinding.own_body) & (torch.arange(16) > 0))
    train_step(tiny.model, make_optimizer(tiny.model, 0.0, 0.0), moved, everywhere, noise, 1.0, 7)
    one_step = loss_of(tiny.model, moved, everywhere, noise, 1.0, 7)[2].bins_ahead == 1
    assert torch.equal(one_step.any(0), torch.arange(16) < 2)
    assert not torch.equal(scale.scale, before)  # bin 1 follows from the recorded bin 0


@pytest.mark.parametrize("kind", ["linear_body", "several_kinds", "reach"])
def test_variances_are_those_of_recorded_trials(kind: str) -> None:
    """Other trials of the batch have been made up, and what was made up of them does not matter."""

    def after(n_recorded: int | None, louder: float) -> dict[str, torch.Tensor]:
        tiny = make_tiny(kind)
        made_up = (torch.arange(len(tiny.batch.session)) >= 5)[:, None, None]
        observation = torch.where(made_up, louder * tiny.batch.observation, tiny.batch.observation)
        batch = replace(tiny.batch, observation=observation, body=torch.where(made_up, louder, 1.0) * tiny.batch.body)
        optimizer = make_optimizer(tiny.model, 0.0, 0.0)
        train_step(tiny.model, optimizer, batch, *drawn(tiny), 1.0, 7, n_recorded=n_recorded)
        return dict(tiny.model.named_buffers())

    quiet, loud, all_recorded = after(5, 1.0), after(5, 3.0), after(None, 3.0)
    assert all(torch.equal(value, loud[name]) for name, value in quiet.items())
    assert not all(torch.equal(value, all_recorded[name]) for name, value in quiet.items())


def test_quantities_on_a_log_scale_move_faster_and_do_not_decay() -> None:
    optimizer = make_optimizer(make_tiny("reach").model, 1e-3, 0.1)
    slow, fast = optimizer.param_groups
    set_learning_rate(optimizer, 1e-3, 0.5)
    assert fast["lr"] > slow["lr"]
    assert (slow["weight_decay"], fast["weight_decay"]) == (0.1, 0.0)


@pytest.mark.parametrize(("kind", "hold"), [("reach_switching", 0.0), ("reach", 0.2)])
def test_the_objective_is_found_before_the_controller_moves(kind: str, hold: float) -> None:
    model = make_tiny(kind).model
    optimizer = make_optimizer(model, 1e-3, 0.1, hold)
    rates = []
    for progress in (0.1, 0.7):
        set_learning_rate(optimizer, 1e-3, progress)
        rates.append({id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]})
    controller = {id(p) for p in model.loop.controller.parameters()}  # type: ignore[union-attr]
    assert {p for p, rate in rates[0].items() if rate == 0} == controller
    assert min(rates[1].values()) > 0
    assert len(rates[0]) == sum(p.requires_grad for p in model.parameters())


def test_the_learning_rate_warms_up_and_ends_low_and_the_kl_reaches_its_full_weight() -> None:
    optimizer, rates = make_optimizer(make_tiny("brain_only").model, 1e-3, 0.0), []
    for progress in (0.0, 0.05, 0.5, 1.0):
        set_learning_rate(optimizer, 1e-3, progress)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[0] < 0.05 * rates[1]
    assert rates[1] > rates[2] > rates[3] > 0
    assert kl_weight(0.0) < 0.1
    assert kl_weight(0.5) == kl_weight(1.0) == 1.0
