"""A body outside the model: the loop runs through it, and the brain learns of it as it learns of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_closed_loop import BINS, on_its_own, run, situation
from torch import Tensor

from ncyber_cli.model.closed_loop import ClosedLoop, Given

KINDS = pytest.mark.parametrize("kind", ["reach", "mlp_controller", "linear_body"])


class SameBody:
    """The model's own body outside of it, noise included; `shove` is added to its state in one bin."""

    def __init__(self, loop: ClosedLoop, given: Given, shove: float = 0.0, at: int = 0) -> None:
        assert loop.body is not None
        assert given.body is not None
        self.body, self.noise, self.here = loop.body, given.body_noise, loop.body.at(given.animal)
        self.now, self.bin, self.shove, self.at = given.body[0], 0, shove, at
        self.commands: list[Tensor] = []

    def __call__(self, control: Tensor, push: Tensor) -> Tensor:
        self.bin += 1
        self.commands.append(control)
        residual = self.noise[self.bin] + (self.shove if self.bin == self.at else 0.0)
        self.now = self.body.add_residual(self.body.predict(self.here, self.now, push), residual)
        return self.now


@KINDS
def test_the_same_body_outside_changes_nothing(kind: str) -> None:
    loop, given, noise = situation(kind)
    given = replace(on_its_own(given), force=None)
    inside = run(loop, given, noise)
    plant = SameBody(loop, given)
    outside = run(loop, replace(given, plant=plant), noise)
    for name in ("latent", "control", "actuator", "body", "predicted_body"):
        torch.testing.assert_close(getattr(outside, name), getattr(inside, name), msg=name)
    torch.testing.assert_close(torch.stack(plant.commands), outside.control[1:])


@KINDS
def test_the_brain_hears_of_what_befalls_it_after_the_delay_and_not_before(kind: str) -> None:
    loop, given, noise = situation(kind)
    given = replace(on_its_own(given), force=None)
    calm = run(loop, replace(given, plant=SameBody(loop, given)), noise)
    shoved = run(loop, replace(given, plant=SameBody(loop, given, shove=1.0, at=4)), noise)
    changed = (calm.latent - shoved.latent).abs().amax((1, 2)) > 1e-9
    delay = loop.environment.delay_bins(given.animal).min().item()
    first = 4 + 1 + int(delay)  # bin 4 is read in bin 5 at the earliest
    assert not changed[:first].any()
    assert changed[first:].all()
    assert not torch.allclose(calm.body[4], shoved.body[4])


@KINDS
def test_an_open_loop_stays_deaf_to_it(kind: str) -> None:
    loop, given, noise = situation(kind)
    deaf = replace(on_its_own(given), force=None, sensed=False)
    calm = run(loop, replace(deaf, plant=SameBody(loop, deaf)), noise)
    shoved = run(loop, replace(deaf, plant=SameBody(loop, deaf, shove=1.0, at=4)), noise)
    assert torch.equal(calm.control, shoved.control)
    assert not torch.allclose(calm.body[BINS - 1], shoved.body[BINS - 1])
