"""The one recursion: what is recorded holds, what is not is the model's own, what is not sensed does not matter."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny import BIN_S, make_tiny

from ncyber_cli.inference.elbo import draw_noise, given_of
from ncyber_cli.model.closed_loop import ClosedLoop, Given, Trajectory
from ncyber_cli.model.gauss_markov import no_correction

BINS, TRIALS = 16, 7
WITH_BODY = pytest.mark.parametrize(
    "kind", ["reach", "mlp_controller", "linear_body", "lqr", "lqr_linear_body", "reach_moving"]
)


def situation(kind: str) -> tuple[ClosedLoop, Given, torch.Tensor]:
    """A loop, what it is given (objectives from the prior), and standard noise of the latents."""
    tiny, generator = make_tiny(kind), torch.Generator().manual_seed(4)
    loop = tiny.model.loop
    noise = draw_noise(tiny.model, BINS, TRIALS, generator)
    with torch.no_grad():
        assert loop.objective is not None
        objective = loop.objective.sample(noise.objective, torch.ones(BINS, TRIALS, dtype=torch.float64))
        given = given_of(tiny.model, tiny.batch, noise, objective, noise.actuator, None)
    return loop, given, noise.latent


def run(loop: ClosedLoop, given: Given, noise: torch.Tensor) -> Trajectory:
    with torch.no_grad():
        return loop.unroll(given, no_correction(loop.latent_variance(BINS), noise))


def on_its_own(given: Given) -> Given:
    """Only the first bin of the body is known."""
    assert given.body_known is not None
    known = torch.zeros_like(given.body_known)
    known[0] = True
    return replace(given, body_known=known)


@WITH_BODY
def test_recorded_bodies_hold_and_gaps_are_the_models_own(kind: str) -> None:
    loop, given, noise = situation(kind)
    path = run(loop, given, noise)
    assert path.body is not None
    assert path.predicted_body is not None
    assert given.body_known is not None
    assert not given.body_known[1:].all()
    own = loop.body.add_residual(path.predicted_body, given.body_noise)
    expected = torch.where(given.body_known, given.body, own)
    torch.testing.assert_close(path.body[1:], expected[1:])


@WITH_BODY
def test_the_body_moves_by_the_actuator_between_bin_centres_and_by_recorded_forces(kind: str) -> None:
    loop, given, noise = situation(kind)
    assert given.force is not None
    path, here = run(loop, given, noise), loop.body.at(given.animal)
    for t in range(1, BINS):
        push = 0.5 * (path.actuator[t - 1] + path.actuator[t])
        force = loop.body.force_effect(here, 0.5 * (given.force[t - 1] + given.force[t])[None])[0]
        expected = loop.body.add_residual(loop.body.predict(here, path.body[t - 1], push), force)
        torch.testing.assert_close(path.predicted_body[t], expected)


def test_the_muscle_lags_behind_a_constant_command_as_a_first_order_filter() -> None:
    loop, given, noise = situation("mlp_controller")
    last = loop.controller.net[-1]
    with torch.no_grad():
        last.weight.zero_()
    path = run(loop, given, noise)
    command = loop.controller.control_scale * last.bias
    remaining = torch.exp(-torch.arange(BINS)[:, None, None] * BIN_S / loop.body.lag(given.animal)[:, None])
    torch.testing.assert_close(path.actuator, command + (given.actuator - command) * remaining)


@pytest.mark.parametrize("kind", ["reach", "linear_body"])
def test_in_open_loop_the_brain_hears_nothing_of_what_befalls_the_body(kind: str) -> None:
    loop, given, noise = situation(kind)
    given = on_its_own(given)
    pushed = replace(given, body_noise=given.body_noise + 0.1)
    deaf, deaf_pushed = (run(loop, replace(g, sensed=False), noise) for g in (given, pushed))
    told, told_pushed = run(loop, given, noise), run(loop, pushed, noise)
    assert not torch.allclose(deaf.body, deaf_pushed.body)
    assert torch.equal(deaf.latent, deaf_pushed.latent)
    assert torch.equal(deaf.control, deaf_pushed.control)
    assert not torch.allclose(told.control, told_pushed.control)
    assert not torch.allclose(told.latent, told_pushed.latent)


@pytest.mark.parametrize("kind", ["reach", "lqr"])
def test_without_surprises_open_and_closed_loop_command_the_same(kind: str) -> None:
    """The estimate that commands bring up to date is exact where nothing else moves the body."""
    loop, given, noise = situation(kind)
    calm = replace(on_its_own(given), body_noise=torch.zeros_like(given.body_noise), force=None)
    with torch.no_grad():
        loop.brain.feedback.zero_()  # the brain itself is told late; the controller's estimate is not
    closed, opened = run(loop, calm, noise), run(loop, replace(calm, sensed=False), noise)
    torch.testing.assert_close(closed.control, opened.control)
    torch.testing.assert_close(closed.body, opened.body)


@WITH_BODY
def test_feedback_comes_after_its_delay_and_not_before(kind: str) -> None:
    """A push of the body in one bin moves the latents only when the delay (2.5 bins) has passed.

    A command that is computed half a bin ahead has heard half a bin more by then.
    """
    loop, given, noise = situation(kind)
    given = on_its_own(given)
    pushed = given.body_noise.clone()
    pushed[4] += 1.0
    plain, told = run(loop, given, noise), run(loop, replace(given, body_noise=pushed), noise)
    changed = (plain.latent - told.latent).abs().amax((1, 2)) > 1e-9
    delay = loop.environment.delay_bins(given.animal).min().item()
    first = 4 + 1 + int(delay - loop.environment.lead_bins)  # bin 4 is read in bin 5 at the earliest
    assert not changed[:first].any()
    assert changed[first:].all()


def test_a_goal_in_the_brain_needs_no_body() -> None:
    loop, given, noise = situation("goal_in_the_brain")
    path = run(loop, given, noise)
    assert path.body is None
    assert path.control is not None
    torch.testing.assert_close(path.actuator[1:], path.control[1:])


def test_a_variance_never_reaches_zero() -> None:
    loop, _, _ = situation("reach")
    with torch.no_grad():
        loop.log_process_variance.fill_(-1e3)
    assert loop.latent_variance(3).min() > 0
