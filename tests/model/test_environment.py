"""What the brain is told is the body of `delay` ago; what it believes is that body moved by its own commands."""

from __future__ import annotations

import math

import pytest
import torch
from test_body import BIN_S, linear_body, point_mass, random

from ncyber_cli.model.body import Body
from ncyber_cli.model.environment import DelayLine

ANIMAL = torch.tensor([0, 0, 0])
N_BIN = 12


def delay_line(delay_bins: float, body: Body, n_animal: int = 1) -> DelayLine:
    line = DelayLine(delay_bins * BIN_S, BIN_S, n_animal, body.n_body, body.residual.scale.shape[1]).double()
    with torch.no_grad():
        line.delay.log_shared.fill_(math.log(max(delay_bins * BIN_S, 1e-12)))  # in double precision
    return line


def surprised_path(body: Body) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A body (time, trial, n_body) that obeys pushes (time, trial, n_control) and is surprised in every bin."""
    here, path = body.at(ANIMAL), [random(3, 4)]
    pushes, residuals = random(N_BIN, 3, 2, seed=1), random(N_BIN, 3, body.residual.scale.shape[1], seed=2)
    for t in range(1, N_BIN):
        path.append(body.add_residual(body.predict(here, path[-1], pushes[t]), residuals[t]))
    return torch.stack(path), pushes, residuals


def told_and_believed(line: DelayLine, body: Body) -> tuple[torch.Tensor, torch.Tensor]:
    """Feedback and estimate of the body of every bin, (time, trial, n_body)."""
    path, _, residuals = surprised_path(body)
    weights, memory, outcomes = line.at(ANIMAL, body.echoes(line.n_bin)), line.start(path[0]), []
    for t in range(N_BIN):
        if t > 0:
            memory = line.push(memory, path[t], residuals[t])
        outcomes.append(line.read(memory, weights, path[t]))
    told, believed = zip(*outcomes, strict=True)
    return torch.stack(told), torch.stack(believed)


def rolled_forward(body: Body, delay: int) -> torch.Tensor:
    """The obvious twin: start from the body of `delay` bins ago and apply every push since."""
    path, pushes, _ = surprised_path(body)
    here, outcome = body.at(ANIMAL), []
    for t in range(N_BIN):
        then = max(0, t - delay)
        state = path[then]
        for k in range(then + 1, t + 1):
            state = body.predict(here, state, pushes[k])
        outcome.append(state)
    return torch.stack(outcome)


BODIES = pytest.mark.parametrize("body", [point_mass(), linear_body(0.5)], ids=["point_mass", "linear"])


@BODIES
@pytest.mark.parametrize("delay", [1, 3, 5])
def test_a_whole_delay_tells_the_body_of_then_and_believes_it_rolled_forward(body: Body, delay: int) -> None:
    told, believed = told_and_believed(delay_line(delay, body), body)
    path = surprised_path(body)[0]
    torch.testing.assert_close(told, torch.stack([path[max(0, t - delay)] for t in range(N_BIN)]))
    torch.testing.assert_close(believed, rolled_forward(body, delay))


@BODIES
def test_a_fractional_delay_lies_between_its_whole_neighbours(body: Body) -> None:
    (told, believed), (told_2, believed_2), (told_3, believed_3) = (
        told_and_believed(delay_line(delay, body), body) for delay in (2.25, 2, 3)
    )
    torch.testing.assert_close(told, 0.75 * told_2 + 0.25 * told_3)
    torch.testing.assert_close(believed, 0.75 * believed_2 + 0.25 * believed_3)


@BODIES
def test_without_delay_the_brain_knows_the_body(body: Body) -> None:
    line, path = delay_line(0, body), surprised_path(body)[0]
    told, believed = told_and_believed(line, body)
    torch.testing.assert_close(told, path)
    torch.testing.assert_close(believed, path)
    assert not any(parameter.requires_grad for parameter in line.parameters())


def test_each_animal_has_a_delay_of_its_own_within_what_the_line_holds() -> None:
    line = delay_line(4, point_mass(), n_animal=3)
    with torch.no_grad():
        line.delay.deviation.copy_(torch.tensor([-1.0, 0.0, 50.0]))
    delays = line.delay_bins(torch.arange(3))
    assert delays[0] < delays[1] < delays[2] == line.n_bin - 1
    torch.testing.assert_close(delays[1], torch.tensor(4.0, dtype=torch.float64))
