"""Simulated trials: like the recorded ones in everything that is given, their own in everything else."""

from __future__ import annotations

import pytest
import torch
from tiny import MODELS, make_tiny

from ncyber_cli.inference.simulated_trials import _redrawn, simulate_trials

WITH_OBJECTIVE = [kind for kind in MODELS if "controller" in MODELS[kind]]


@pytest.mark.parametrize("kind", WITH_OBJECTIVE)
def test_what_is_given_stays_and_what_is_recorded_is_simulated(kind: str) -> None:
    tiny = make_tiny(kind)
    before = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    found = simulate_trials(tiny.model, tiny.batch, tiny.spec.inference, torch.Generator().manual_seed(0))
    for name in ("observed", "body_recorded", "input", "force", "mask", "session", "animal"):
        assert torch.equal(getattr(found.batch, name), getattr(tiny.batch, name)), name
    assert (found.batch.observation[~tiny.batch.observed] == 0).all()
    assert not torch.equal(found.batch.observation, tiny.batch.observation)
    assert all(torch.isfinite(values).all() for values in found.truth.values())
    assert all(torch.equal(value, before[name]) for name, value in tiny.model.state_dict().items())


def test_the_same_generator_simulates_the_same_trials() -> None:
    tiny = make_tiny("reach_jump")
    one, other, third = (
        simulate_trials(tiny.model, tiny.batch, tiny.spec.inference, torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    )
    assert torch.equal(one.batch.observation, other.batch.observation)
    assert torch.equal(one.truth["controls"], other.truth["controls"])
    assert not torch.equal(one.truth["controls"], third.truth["controls"])


def test_redraws_come_at_their_rate_and_hold_until_the_next() -> None:
    path = torch.arange(400.0)[None, :, None].expand(100, 400, 1)  # each trial pursues its own number
    redrawn = _redrawn(path, 0.02, torch.Generator().manual_seed(0))
    changes = (redrawn[1:] != redrawn[:-1]).float().mean().item()
    assert changes == pytest.approx(0.02, rel=0.1)
    assert torch.equal(redrawn[0], path[0])
    assert torch.equal(_redrawn(path, 0.0, torch.Generator().manual_seed(0)), path)
