"""Which epoch is kept, when a start ends, what is logged, and what becomes of steps that are not finite."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fits import STEPS, Reports, make_job, metrics, run

from ncyber_cli.data.batches import Batch
from ncyber_cli.data.recording import TRAIN, VALIDATION
from ncyber_cli.errors import NumericalError
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.training import diagnose, loop, starts, step
from ncyber_cli.training.checkpoint import load, restore
from ncyber_cli.training.evaluate import Evaluation, choosing_trials, evaluate
from ncyber_cli.training.starts import Job


def scored(monkeypatch: pytest.MonkeyPatch, elbo: Callable[[int], float]) -> None:
    """Let epoch n, counted from 1, have the validation ELBO `elbo(n)`."""
    epoch = 0

    def evaluation(*arguments: object) -> Evaluation:
        nonlocal epoch
        epoch += 1
        return Evaluation(elbo(epoch), 0.0, 0.0, 0.0, None)

    monkeypatch.setattr(loop, "evaluate", evaluation)


def poison(job: Job, field: str, value: float, *, session: int = 1, trial: int = 2, bin_: int = 7) -> None:
    """Put a value into one bin of one training trial, after the model's sizes were measured."""
    there = job.cohort.sessions[session]
    assert there.split[trial] == TRAIN
    values = getattr(there, field).astype(np.float32)
    values[trial, bin_, 0] = value
    job.cohort.sessions[session] = replace(there, path=Path("day.nwb"), **{field: values})


def poison_later(monkeypatch: pytest.MonkeyPatch, job: Job, field: str, value: float) -> None:
    """As `poison`, once the model has had its warm start."""

    def poisoned(model: object, cohort: object) -> list[object]:
        poison(job, field, value)
        return []

    monkeypatch.setattr(starts, "warm_start", poisoned)


def test_best_pt_is_the_epoch_with_the_best_validation_elbo(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    outcome = run(job)
    lines = metrics(job)
    best = max(lines, key=lambda line: line["validation_elbo_nats"])
    (start,) = outcome.starts
    assert (start.best_epoch, start.elbo_nats) == (best["epoch"], best["validation_elbo_nats"])
    assert [line["is_best"] for line in lines].count(True) >= 1
    picks, has_validation = choosing_trials(job.cohort)
    assert has_validation
    again = evaluate(restore(load(job.folder)), job.cohort, picks, job.spec.inference)
    assert again.elbo_nats == best["validation_elbo_nats"]
    assert again.co_bps == best["co_bps"]


@pytest.mark.parametrize(("kind", "first"), [("reach", 1), ("reach_jump", 6)])
def test_no_epoch_counts_before_elbos_can_be_compared(
    kind: str, first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KL weight 1 is reached at a tenth of training, the jump prior's final form at six tenths."""
    scored(monkeypatch, lambda epoch: -float(epoch))
    (start,) = run(make_job(tmp_path, kind, epochs=10, patience=100, batch=100)).starts
    assert (start.best_epoch, start.elbo_nats, start.epochs) == (first, -first, 10)


def test_patience_counts_epochs_without_a_better_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored(monkeypatch, lambda epoch: {1: -5.0, 2: -4.0, 3: math.nan}.get(epoch, -4.5))
    (start,) = run(make_job(tmp_path, epochs=10, patience=3, batch=100)).starts
    assert (start.best_epoch, start.elbo_nats, start.epochs) == (2, -4.0, 5)


def test_without_validation_trials_training_trials_choose_and_it_is_said(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    for index, session in enumerate(job.cohort.sessions):
        split = np.where(session.split == VALIDATION, TRAIN, session.split)
        job.cohort.sessions[index] = replace(session, split=split)
    reports = Reports()
    assert not run(job, reports=reports).has_validation
    assert any("chosen on training trials" in message for message in reports.messages)
    assert all("unblinded_elbo_nats" in line and "validation_elbo_nats" not in line for line in metrics(job))


def test_every_epoch_is_logged_and_reported(tmp_path: Path) -> None:
    job, reports = make_job(tmp_path), Reports()
    run(job, reports=reports)
    lines = metrics(job)
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, STEPS), (2, 2 * STEPS), (3, 3 * STEPS)]
    for line in lines:
        parts = line["neural_nats"] + line["body_nats"] - line["kl_nats"]
        assert parts == pytest.approx(line["validation_elbo_nats"], rel=1e-5)
        assert line["refused_steps"] == 0
    assert {"total_epochs": 3, "first_epoch": 0, "label": "fit"} in reports.events
    told = [event for event in reports.events if "epoch" in event]
    assert [event.items() <= line.items() for event, line in zip(told, lines, strict=True)] == [True] * 3


def test_the_seed_decides_everything(tmp_path: Path) -> None:
    logs = []
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        (tmp_path / name).mkdir()
        job = make_job(tmp_path / name, seed=seed)
        torch.manual_seed(len(logs))  # the global generator is not asked
        run(job)
        logs.append(metrics(job))
    assert logs[0] == logs[1]
    assert logs[0] != logs[2]


def test_a_step_now_and_then_may_be_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(tmp_path, batch=2)
    poison_later(monkeypatch, job, "force", math.inf)
    (start,) = run(job).starts
    assert start.refused_steps == start.epochs == 3


WHERE = "day.nwb: animal b, session s1, trial 2, bin 7"


@pytest.mark.parametrize(
    ("field", "what"),
    [("observation", "neural activity"), ("body", "behavior"), ("force", "a force"), ("input", "an input")],
)
@pytest.mark.parametrize("window_s", [None, 0.28], ids=["trials", "windows"])
def test_a_value_that_is_not_finite_is_named(
    window_s: float | None, field: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(tmp_path, batch=100, window_s=window_s)
    poison_later(monkeypatch, job, field, math.inf)
    with pytest.raises(NumericalError, match=f"{what} is not finite") as ended:
        run(job)
    assert (ended.value.exit_code, ended.value.where) == (6, WHERE)


@pytest.mark.parametrize("early", [True, False])
def test_a_finite_value_out_of_all_proportion_is_named(
    early: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1e30 is a number, its square is none in float32; whether or not it got into the warm start."""
    job = make_job(tmp_path, "linear_body", batch=100)
    if early:
        poison(job, "observation", 1e30)
    else:
        poison_later(monkeypatch, job, "observation", 1e30)
    with pytest.raises(NumericalError, match="is not finite") as ended:
        run(job)
    assert ended.value.where == WHERE
    assert "check the recorded values there" in ended.value.remedy


def test_a_gradient_that_is_not_finite_names_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every term is finite, only the backward pass can tell."""
    job = make_job(tmp_path, batch=100)
    real = diagnose.loss_of

    def loss_of(model: NeuroModel, batch: Batch, *rest: Any) -> Any:
        loss, terms, posterior = real(model, batch, *rest)
        bad = (batch.animal == 1).any()
        return loss + torch.where(bad, torch.sqrt(0.0 * model.loop.initial_mean.sum()), 0.0), terms, posterior

    monkeypatch.setattr(diagnose, "loss_of", loss_of)
    monkeypatch.setattr(step, "loss_of", loss_of)
    with pytest.raises(NumericalError, match=r"the gradient of loop\.initial_mean is not finite") as ended:
        run(job)
    assert "animal b, session s1, trial" in ended.value.where
    assert "training.learning_rate" in ended.value.remedy


def test_an_adaptation_on_windows_is_followed_on_windows_and_a_fit_on_whole_trials(tmp_path: Path) -> None:
    """Nothing is chosen on the epochs of an adaptation, so that they need not cost what whole trials cost."""
    job = make_job(tmp_path, window_s=0.36)

    def begin(matured: bool) -> loop.Start:
        model = assemble(job.spec, job.layout, torch.Generator().manual_seed(0))
        return loop.Start(model, job.cohort, job.spec, 0, matured=matured)

    adaptation, again, fit = begin(True), begin(True), begin(False)
    np.testing.assert_array_equal(adaptation.watched, again.watched)
    assert len(adaptation.watched) == adaptation.examples == 2 * len(adaptation.training)
    assert adaptation.steps_per_epoch == fit.steps_per_epoch == -(-adaptation.examples // job.spec.training.batch)
    assert {tuple(pick) for pick in adaptation.watched[:, :2]} == {tuple(pick) for pick in adaptation.training}
    np.testing.assert_array_equal(fit.watched, job.cohort.picks(VALIDATION))
