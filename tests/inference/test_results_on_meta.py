"""On the meta device a stray CPU tensor raises, and so does a value read back to the host."""

from __future__ import annotations

import pytest
import torch
from tiny import MODELS, make_tiny

from ncyber_cli.inference.posterior import causal_moments, posterior_moments
from ncyber_cli.inference.recorded_scenes import scene_of
from ncyber_cli.inference.rollout import rollout, set_objective
from ncyber_cli.inference.trial_noise import TrialKey, path_noise


@pytest.mark.parametrize("kind", MODELS)
def test_moments_and_rollouts_stay_on_the_models_device(kind: str) -> None:
    tiny = make_tiny(kind)
    model, batch, inference = tiny.model.to("meta"), tiny.batch.to("meta"), tiny.spec.inference
    keys = [TrialKey("a", "s", str(trial)) for trial in range(len(batch.session))]
    found = [*posterior_moments(model, batch, inference, keys, samples=2, seed=0, seen_bins=5).values()]
    found += causal_moments(model, batch, inference).values()
    assert {values.device.type for moments in found for values in (moments.mean, moments.sd)} == {"meta"}
    scene = scene_of(model, batch, inference, keys, seed=0, sample=0)
    schedule = scene.objective.new_zeros(1, 1, scene.objective.shape[2])
    noise = path_noise(model, keys, batch.mask.shape[1], 0, 0)
    for noisy in (True, False):
        groups = rollout(model, set_objective(scene, schedule), noise, noisy=noisy)
        assert {values.device for values in groups.values()} == {torch.device("meta")}
