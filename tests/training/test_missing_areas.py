"""A session that lacks an area starts with what the other sessions know of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from tiny import MODELS, make_session, make_spec, without_body

from ncyber_cli.data.batches import Cohort
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.training.measure import measure
from ncyber_cli.training.missing_areas import SessionLatents, over_sessions, paths_to_missing
from ncyber_cli.training.warm_start import warm_start

RNG = np.random.default_rng(0)


def latents(shown: list[bool], trials: int = 50) -> SessionLatents:
    """Latent 2 is latent 0 less latent 1, where the session shows it."""
    scores = RNG.normal(size=(trials, 12, 3))
    scores[:, :, 2] = scores[:, :, 0] - scores[:, :, 1] + 0.1 * RNG.normal(size=(trials, 12))
    return SessionLatents(scores * shown, np.ones((trials, 12), bool), np.array(shown))


def test_the_path_to_a_missing_area_is_that_of_sessions_that_have_it() -> None:
    sessions = [latents([True, True, False]), latents([True, True, True])]
    paths = paths_to_missing(sessions)
    assert set(paths) == {0}
    np.testing.assert_allclose(paths[0][:, 2], [1, -1, 0], atol=0.05)
    assert not paths[0][:, :2].any()
    assert paths_to_missing(sessions[:1]) == {}


def test_sessions_without_an_area_say_nothing_of_its_scales() -> None:
    lacking, whole = latents([True, True, False]), latents([True, True, True])
    found = over_sessions([lacking, whole], lambda each: each.starts(), np.var)
    np.testing.assert_allclose(found[2], whole.starts()[:, 2].var())
    np.testing.assert_allclose(found[:2], np.concatenate([lacking.starts(), whole.starts()])[:, :2].var(axis=0))


def test_the_warm_start_of_a_session_that_lacks_an_area_reads_it_from_the_others() -> None:
    """Spikes in M1 alone here, calcium in PMd besides there: the missing latents get a path and the usual scales."""
    whole = make_session("a", "s0", units=12, trials=30, bins=40, signal="several", locked=True, seed=1)
    other = make_session("b", "s1", units=12, trials=30, bins=40, signal="several", locked=True, seed=2)
    kept = np.array(other.unit_area) == "M1"
    lacking = replace(
        other,
        unit_id=[unit for unit, here in zip(other.unit_id, kept, strict=True) if here],
        unit_area=["M1"] * 6,
        unit_kind=["spikes"] * 6,
        held_out=other.held_out[kept],
        observation=other.observation[:, :, kept],
    )
    spec = make_spec(MODELS["several_kinds"])
    scales = []
    for second in (other, lacking):
        cohort = Cohort([without_body(whole), without_body(second)], ["a", "b"], dtype=torch.float64)
        model = assemble(spec, measure(spec, cohort), torch.Generator().manual_seed(0))
        warm_start(model, cohort)
        scales.append(model.loop.log_process_variance.detach())
        assert torch.isfinite(model.loop.emission.readout).all()
        missing = model.loop.brain.areas.latent_area() == 1
        assert torch.all(model.encoder.latent_path[1, :6][:, missing].abs().sum(0) > 0)
    torch.testing.assert_close(scales[0], scales[1], rtol=0, atol=0.7)
