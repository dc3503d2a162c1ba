"""A student learns its teacher's rates on training trials, and fresh trials, and nothing of any other trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fits import make_job

from ncyber_cli.data.batches import Batch, Cohort, Picks
from ncyber_cli.data.recording import TEST, TRAIN, VALIDATION, Session
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.inference.elbo import draw_noise, sample_posterior
from ncyber_cli.inference.targets import Targets
from ncyber_cli.training.loop import Start
from ncyber_cli.training.starts import Job
from ncyber_cli.training.teacher import Teacher

TOLD = np.linspace(0.2, 2.0, 6, dtype=np.float32)  # by neuron: nothing like what was recorded


def teacher_of(cohort: Cohort, weight: float, fresh: Sequence[Session] = (), share: float = 0.0) -> Teacher:
    rates = []
    for session in cohort.sessions:
        known = np.full(session.observation.shape, np.nan, np.float32)
        known[session.split == TRAIN] = TOLD[: len(session.unit_id)]
        rates.append(known)
    return Teacher(cohort, rates, weight, {}, fresh, share)


@pytest.mark.parametrize("part", [VALIDATION, TEST])
def test_a_teacher_may_not_speak_of_trials_that_choose_or_score(tmp_path: Path, part: int) -> None:
    cohort = make_job(tmp_path, "brain_only").cohort
    rates = [np.full(session.observation.shape, np.nan, np.float32) for session in cohort.sessions]
    rates[1][cohort.sessions[1].split == part, 0, 0] = 1.0
    with pytest.raises(ValueError, match="training trials"):
        Teacher(cohort, rates, 0.5, {})


def lesson_of(teacher: Teacher, cohort: Cohort, picks: Picks, progress: float = 0.0) -> tuple[Batch, Targets]:
    nothing = np.zeros((0, 2), np.int64)
    return teacher.lesson(cohort.batch(picks), picks, nothing, progress)


@pytest.mark.parametrize(("part", "expected"), [(TRAIN, True), (VALIDATION, False), (TEST, False)])
def test_only_training_trials_have_targets(tmp_path: Path, part: int, expected: bool) -> None:
    cohort = make_job(tmp_path, "brain_only").cohort
    _, targets = lesson_of(teacher_of(cohort, 0.5), cohort, cohort.picks(part))
    assert targets.known.any().item() is expected
    assert (targets.rate[~targets.known] == 0).all()


def test_targets_fade(tmp_path: Path) -> None:
    cohort = make_job(tmp_path, "brain_only").cohort
    teacher, picks = teacher_of(cohort, 4.0), cohort.picks(TRAIN)
    weights = [lesson_of(teacher, cohort, picks, progress)[1].weight for progress in (0.0, 0.25, 0.5, 1.0)]
    assert weights == [4.0, 3.0, 2.0, 0.0]


def fresh_of(cohort: Cohort) -> list[Session]:
    """Every training trial twice, with other counts and shorter."""
    fresh = []
    for session in cohort.sessions:
        taken = session.take(np.tile(np.flatnonzero(session.split == TRAIN), 2))
        mask = taken.mask & (np.arange(taken.mask.shape[1]) < 15)
        counts = np.where(mask[:, :, None], 3 + taken.observation.astype(np.float32), 0)
        fresh.append(replace(taken, mask=mask, observation=counts))
    return fresh


def test_fresh_trials_come_after_training_trials_and_have_no_targets(tmp_path: Path) -> None:
    cohort = make_job(tmp_path, "brain_only").cohort
    picks = cohort.picks(TRAIN)[:3]
    teacher = teacher_of(cohort, 2.0, fresh_of(cohort), share=0.5)
    fresh = teacher.fresh_picks(None, torch.Generator().manual_seed(0))
    recorded = cohort.batch(picks)
    batch, targets = teacher.lesson(recorded, picks, fresh, 0.0)
    torch.testing.assert_close(batch.observation[:3], recorded.observation)
    assert batch.session[3:].tolist() == fresh[:, 0].tolist()
    assert (batch.observation[3:][batch.observed[3:]] >= 3).all()
    assert targets.known.shape == batch.observed.shape
    assert targets.known[:3].any()
    assert not targets.known[3:].any()


@pytest.mark.parametrize(("share", "expected"), [(0.5, {0, 1}), (2.0, {1}), (3.0, {1, 2})])
def test_fresh_trials_are_shown_in_turn(tmp_path: Path, share: float, expected: set[int]) -> None:
    """Twelve training trials, each drawn twice."""
    cohort = make_job(tmp_path, "brain_only").cohort
    teacher = teacher_of(cohort, 2.0, fresh_of(cohort), share)
    fresh = teacher.fresh_picks(None, torch.Generator().manual_seed(0))
    assert len(fresh) == share * len(cohort.picks(TRAIN))
    shown = np.zeros((2, 12), int)
    np.add.at(shown, (fresh[:, 0], fresh[:, 1]), 1)
    assert set(shown.ravel().tolist()) == expected


def test_fresh_trials_are_cut_into_windows_as_training_trials_are(tmp_path: Path) -> None:
    cohort = make_job(tmp_path, "brain_only").cohort
    teacher, picks = teacher_of(cohort, 2.0, fresh_of(cohort), share=1.0), cohort.picks(TRAIN)[:1]
    windows = teacher.fresh_picks(8, torch.Generator().manual_seed(0))
    assert len(windows) == 2 * len(cohort.picks(TRAIN))  # of 15 bins each
    assert (windows[:, 3] - windows[:, 2] == 8).all()
    batch, _ = teacher.lesson(cohort.batch(picks), picks, windows, 0.0)
    assert (batch.mask.sum(1)[1:] == 8).all()


def test_what_silenced_units_emit_is_not_taught(tmp_path: Path) -> None:
    cohort = make_job(tmp_path, "brain_only").cohort
    session = cohort.sessions[0]
    silent = session.observation.astype(np.float32)
    silent[:, 4:7, 1] = np.nan
    silenced = replace(session, observation=silent, floor=np.zeros(len(session.unit_id)))
    for given, expected in ((silenced, False), (replace(silenced, floor=None), True)):
        other = Cohort([given, cohort.sessions[1]], cohort.animals)
        _, targets = lesson_of(teacher_of(other, 1.0), other, other.picks(TRAIN, session=0))
        assert targets.known[:, 4:7, 1].all().item() is expected
        assert targets.known[:, :, 0].all()


def trained(job: Job, teacher: Teacher | None) -> Start:
    """Every epoch of a fit, none chosen: the data, which choose, know better than this teacher."""
    start = Start(assemble(job.spec, job.layout, torch.Generator().manual_seed(0)), job.cohort, job.spec, 0, teacher)
    start.run(lambda result: None, lambda: False)
    return start


def test_a_student_comes_nearer_to_its_teacher_s_rates(tmp_path: Path) -> None:
    job = make_job(tmp_path, "brain_only", epochs=16, batch=12, learning_rate=0.15)

    def distance(teacher: Teacher | None) -> float:
        model = trained(job, teacher).model
        batch = job.cohort.batch(job.cohort.picks(TRAIN, session=0))
        noise = draw_noise(model, batch.mask.shape[1], len(batch.session), torch.Generator().manual_seed(0))
        with torch.no_grad():
            latent = sample_posterior(model, batch, model.encoder.view(batch), noise).trajectory.latent
            emission = model.loop.emission
            rate = emission.rate(emission.predictor(latent.transpose(0, 1), batch.session), batch.session)
        return float((rate.mean((0, 1)) - torch.from_numpy(TOLD)).abs().mean())

    alone, taught = distance(None), distance(teacher_of(job.cohort, 1.0))
    assert taught < 0.7 * alone
