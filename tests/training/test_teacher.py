"""A student learns its teacher's rates on training trials, and nothing of any other trial."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fits import make_job

from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.recording import TEST, TRAIN, VALIDATION
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.inference.elbo import draw_noise, sample_posterior
from ncyber_cli.training.loop import Start
from ncyber_cli.training.starts import Job
from ncyber_cli.training.teacher import Teacher

TOLD = np.linspace(0.2, 2.0, 6, dtype=np.float32)  # by neuron: nothing like what was recorded


def teacher_of(cohort: Cohort, weight: float) -> Teacher:
    rates = []
    for session in cohort.sessions:
        known = np.full(session.observation.shape, np.nan, np.float32)
        known[session.split == TRAIN] = TOLD[: len(session.unit_id)]
        rates.append(known)
    return Teacher(cohort, rates, weight, {})


@pytest.mark.parametrize("part", [VALIDATION, TEST])
def test_a_teacher_may_not_speak_of_trials_that_choose_or_score(tmp_path: Path, part: int) -> None:
    cohort = make_job(tmp_path, "brain_only").cohort
    rates = [np.full(session.observation.shape, np.nan, np.float32) for session in cohort.sessions]
    rates[1][cohort.sessions[1].split == part, 0, 0] = 1.0
    with pytest.raises(ValueError, match="training trials"):
        Teacher(cohort, rates, 0.5, {})


@pytest.mark.parametrize(("part", "expected"), [(TRAIN, True), (VALIDATION, False), (TEST, False)])
def test_only_training_trials_have_targets(tmp_path: Path, part: int, expected: bool) -> None:
    job = make_job(tmp_path, "brain_only")
    targets = teacher_of(job.cohort, 0.5).targets(job.cohort.picks(part), job.device, 0.0)
    assert targets.known.any().item() is expected
    assert (targets.rate[~targets.known] == 0).all()


def test_targets_fade(tmp_path: Path) -> None:
    job = make_job(tmp_path, "brain_only")
    teacher, picks = teacher_of(job.cohort, 4.0), job.cohort.picks(TRAIN)
    weights = [teacher.targets(picks, job.device, progress).weight for progress in (0.0, 0.25, 0.5, 1.0)]
    assert weights == [4.0, 3.0, 2.0, 0.0]


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
