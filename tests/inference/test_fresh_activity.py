"""Fresh activity is the model's own account of a trial, recorded once more."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import make_tiny

from ncyber_cli.inference.fresh_activity import fresh_activity
from ncyber_cli.inference.posterior import posterior_moments
from ncyber_cli.inference.trial_noise import TrialKey
from ncyber_cli.spec import Inference

EVERY_EMISSION = ["brain_only", "reach_static", "linear_body", "goal_in_the_brain", "several_kinds"]


@pytest.mark.parametrize("kind", EVERY_EMISSION)
def test_its_mean_over_many_draws_is_the_rate_that_is_inferred(kind: str) -> None:
    tiny, inference, draws = make_tiny(kind), Inference(hidden=8), 200
    picks = np.tile(tiny.cohort.picks(), (draws, 1))
    batch, keys = tiny.cohort.batch(picks), keys_of("trial", len(picks))
    drawn = fresh_activity(tiny.model, batch, inference, keys, torch.Generator().manual_seed(0))
    rates = posterior_moments(tiny.model, batch, inference, keys, samples=1, seed=0)["rates"].mean
    surprise = ((drawn - rates) * batch.mask[:, :, None]).sum(1) / batch.mask.sum(1, keepdim=True)
    for session, units in ((0, 6), (1, 4)):
        of_trials = surprise[batch.session == session, :units]
        error = of_trials.std(0) / len(of_trials) ** 0.5
        assert (of_trials.mean(0).abs() < 4.5 * error).all()
        assert (error > 0).all()
        assert (error < 0.05).all()


def keys_of(name: str, number: int) -> list[TrialKey]:
    return [TrialKey("a", "s", f"{name} {trial}") for trial in range(number)]


def test_paths_and_noise_are_drawn_anew_for_every_name_and_the_same_for_the_same() -> None:
    tiny = make_tiny("brain_only")

    def drawn(name: str) -> torch.Tensor:
        keys, generator = keys_of(name, len(tiny.batch.session)), torch.Generator().manual_seed(0)
        return fresh_activity(tiny.model, tiny.batch, Inference(hidden=8), keys, generator)

    assert torch.equal(drawn("one"), drawn("one"))
    assert not torch.equal(drawn("one"), drawn("other"))
