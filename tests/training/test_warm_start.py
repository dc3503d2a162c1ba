"""The start from data alone already explains held-out trials, in one basis for all sessions, and peeks at nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import MODELS, make_session, make_spec, without_body

from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.recording import TEST, TRAIN, Session
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.training.measure import measure
from ncyber_cli.training.warm_start import warm_start


def warm(sessions: list[Session], kind: str = "brain_only", latents: int = 2) -> tuple[NeuroModel, Cohort]:
    """A model started from `sessions`; its learned heads are silent, so that messages are the data-only path."""
    brain = MODELS[kind].get("brain", {"kind": "residual_mlp", "latents": latents, "hidden": 8})
    spec = make_spec({**MODELS[kind], "brain": brain})
    if "body" not in MODELS[kind]:
        sessions = [without_body(session) for session in sessions]
    cohort = Cohort(sessions, [session.animal for session in sessions], dtype=torch.float64)
    model = assemble(spec, measure(spec, cohort), torch.Generator().manual_seed(0))
    warm_start(model, cohort)
    with torch.no_grad():
        model.encoder.head.weight.zero_()
    return model, cohort


def target_of(model: NeuroModel, cohort: Cohort, split: int, session: int = 0) -> torch.Tensor:
    """Where the messages pull the latents, (trial, time, n_latent)."""
    batch = cohort.batch(cohort.picks(split, session))
    with torch.no_grad():
        return model.encoder(model.encoder.view(batch)).latent.transpose(0, 1)


@pytest.mark.parametrize(("kind", "signal"), [("brain_only", "spikes"), ("linear_body", "calcium")])
def test_the_start_explains_held_out_trials_and_units_better_than_their_means(kind: str, signal: str) -> None:
    session = make_session(trials=60, bins=50, units=40, held_out=8, signal=signal, seed=3)
    model, cohort = warm([session], kind)
    batch = cohort.batch(cohort.picks(TEST))
    predictor = model.loop.emission.predictor(target_of(model, cohort, TEST), batch.session)
    training = cohort.batch(cohort.picks(TRAIN))
    mean = training.observation.sum((0, 1)) / training.observed.sum((0, 1))
    null = (mean.log() if signal == "spikes" else mean).expand_as(predictor)
    density = model.loop.emission.log_density
    gain = density(batch.observation, batch.observed, predictor, batch.session) - density(
        batch.observation, batch.observed, null, batch.session
    )
    gain = torch.where(batch.observed, gain, 0.0).sum((0, 1))
    assert gain[:-8].sum() > 0
    assert gain[-8:].sum() > 0  # held out: decoded from the others


def test_sessions_with_other_neurons_start_in_one_basis() -> None:
    """The same events drive both sessions, so the same latents should move after the start."""
    sessions = [
        make_session("a", "s0", trials=40, bins=50, units=30, locked=True, seed=1),
        make_session("b", "s1", trials=40, bins=50, units=25, locked=True, seed=2),
    ]
    model, cohort = warm(sessions)
    first, second = (target_of(model, cohort, TRAIN, i).mean(0) for i in (0, 1))
    for latent in range(2):
        assert np.corrcoef(first[:, latent], second[:, latent])[0, 1] > 0.9


def test_the_latents_start_with_unit_variance_and_their_own_speed() -> None:
    model, cohort = warm([make_session(trials=60, bins=50, units=60, seed=3)])
    target = target_of(model, cohort, TRAIN)
    torch.testing.assert_close(target.std((0, 1)), torch.ones(2).double(), rtol=0, atol=0.15)
    step = (target[:, 1:] - target[:, :-1]).var((0, 1))
    torch.testing.assert_close(model.loop.log_process_variance.exp().detach(), step, rtol=0.5, atol=1e-3)


def test_windows_start_anywhere_in_a_trial_and_trials_where_trials_start() -> None:
    """A rise that begins with every trial: first bins are low and alike, all bins together are not."""
    session = without_body(make_session(trials=30, bins=40, units=40, shortest=30, seed=4))
    rise = np.random.default_rng(0).poisson(0.2 + 2 * np.linspace(0, 1, 40)[:, None], session.observation.shape)
    session = replace(session, observation=(rise * session.mask[:, :, None]).astype(np.uint8))
    spec = make_spec(MODELS["brain_only"])
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"window_s": 0.4})})
    cohort = Cohort([session], ["a"], dtype=torch.float64)
    model = assemble(spec, measure(spec, cohort), torch.Generator().manual_seed(0))
    warm_start(model, cohort)
    loop, start = model.loop, model.loop.window_start
    assert start is not None
    torch.testing.assert_close(start.mean.detach(), torch.zeros(3).double(), rtol=0, atol=0.1)
    torch.testing.assert_close(start.log_variance.exp().detach(), torch.ones(3).double(), rtol=0, atol=0.1)
    assert abs(loop.initial_mean[0]) > 1
    assert loop.log_initial_variance[0] < start.log_variance[0] - 1


def scrambled(session: Session, rows: np.ndarray) -> Session:
    """The trials `rows` with everything about them replaced."""
    observation, body, given = session.observation.copy(), session.body.copy(), session.input.copy()
    observation[rows] = observation[rows][:, ::-1] + 1
    body[rows], given[rows] = 5.0, -3.0
    return replace(session, observation=observation, body=body, input=given)


@pytest.mark.parametrize("kind", ["brain_only", "reach", "linear_body", "several_areas", "goal_in_the_brain"])
def test_validation_and_test_trials_are_never_touched(kind: str) -> None:
    signal = {"linear_body": "calcium", "goal_in_the_brain": "events"}.get(kind, "spikes")
    sessions = [
        make_session("a", "s0", trials=15, units=8, signal=signal, shortest=12, seed=1),
        make_session("b", "s1", trials=15, units=6, signal=signal, shortest=12, seed=2),
    ]
    other = [scrambled(session, session.split != TRAIN) for session in sessions]
    ours, theirs = warm(sessions, kind)[0].state_dict(), warm(other, kind)[0].state_dict()
    for name, values in ours.items():
        assert torch.equal(values, theirs[name]), name
    seen = warm([scrambled(session, session.split == TRAIN) for session in sessions], kind)[0].state_dict()
    assert not torch.equal(ours["loop.emission.readout"], seen["loop.emission.readout"])


def test_held_out_units_are_read_out_and_never_read_in() -> None:
    session = make_session(trials=20, units=8, held_out=3, seed=1)
    model, _ = warm([session])
    assert torch.count_nonzero(model.encoder.latent_path[0, -3:]) == 0
    assert torch.count_nonzero(model.encoder.latent_path[0, :-3]) == 5 * 2
    assert torch.all(model.loop.emission.readout[0, -3:].abs().sum(1) > 0)


def test_padded_units_are_left_alone() -> None:
    sessions = [make_session("a", "s0", units=8, seed=1), make_session("b", "s1", units=5, seed=2)]
    model, _ = warm(sessions)
    assert torch.count_nonzero(model.encoder.latent_path[1, 5:]) == 0
    assert torch.all(model.encoder.unit_scale[1, 5:] == 1)


def silent(session: Session) -> Session:
    observation = session.observation.copy()
    observation[:, :, 0] = 0
    return replace(session, observation=observation)


def never_recorded(session: Session) -> Session:
    observation = session.observation.astype(np.float32)
    observation[:, :, 0] = np.nan
    return replace(session, observation=observation)


@pytest.mark.parametrize("damage", [silent, never_recorded])
@pytest.mark.parametrize("kind", ["brain_only", "linear_body"])
def test_a_unit_without_data_does_no_harm(damage: Callable[[Session], Session], kind: str) -> None:
    session = make_session(trials=20, units=6, signal="calcium" if kind == "linear_body" else "spikes", seed=1)
    model, _ = warm([damage(session)], kind)
    assert all(torch.isfinite(values).all() for values in model.state_dict().values())


def test_more_latents_than_units_leave_the_rest_at_zero() -> None:
    model, cohort = warm([make_session(trials=20, units=3, held_out=0, seed=1)], latents=5)
    assert torch.count_nonzero(target_of(model, cohort, TRAIN)[..., 3:]) == 0
    assert all(torch.isfinite(values).all() for values in model.state_dict().values())
