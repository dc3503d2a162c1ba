"""Several starts: which one is kept, and the signs that need no truth."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from fits import Reports, make_job, metrics, run

from ncyber_cli.inference.assemble import assemble
from ncyber_cli.training import starts
from ncyber_cli.training.checkpoint import load, restore
from ncyber_cli.training.evaluate import choosing_trials, evaluate
from ncyber_cli.training.signs import Signs, signs_of
from ncyber_cli.training.starts import Job, StartResult

GOOD, FAST, CHASING = Signs(0.01, 8.0), Signs(0.01, 0.5), Signs(0.4, 8.0)


def result(elbo_nats: float, signs: Signs) -> StartResult:
    return StartResult(0, elbo_nats, 1, 1, 0, signs)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (result(-2.0, GOOD), result(-3.0, GOOD)),
        (result(-3.0, GOOD), result(-2.0, FAST)),
        (result(-3.0, GOOD), result(-2.0, CHASING)),
        (result(-2.0, FAST), result(-3.0, CHASING)),
        (result(-3.0, Signs(None, None)), result(-math.inf, GOOD)),
    ],
)
def test_good_signs_come_before_the_elbo(better: StartResult, worse: StartResult) -> None:
    assert better.rank > worse.rank


@pytest.mark.parametrize(("signs", "count"), [(GOOD, 0), (FAST, 1), (Signs(math.nan, 1.0), 2), (Signs(None, None), 0)])
def test_a_bad_sign_is_a_warning(signs: Signs, count: int) -> None:
    assert len(signs.warnings()) == count


def validation_elbo(job: Job) -> float:
    return evaluate(restore(load(job.folder)), job.cohort, choosing_trials(job.cohort)[0], job.spec.inference).elbo_nats


def test_the_best_of_several_starts_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "signs_of", lambda *arguments: GOOD)
    job, reports = make_job(tmp_path, starts=3, epochs=1), Reports()
    outcome = run(job, reports=reports)
    elbos = [start.elbo_nats for start in outcome.starts]
    assert [start.seed for start in outcome.starts] == [0, 1, 2]
    assert len(set(elbos)) == 3
    assert outcome.kept == elbos.index(max(elbos))
    assert validation_elbo(job) == max(elbos)
    assert [(line["start"], line["epoch"]) for line in metrics(job)] == [(0, 1), (1, 1), (2, 1)]
    labels = [event["label"] for event in reports.events if "label" in event]
    assert labels == ["start 1 of 3", "start 2 of 3", "start 3 of 3"]


def test_a_start_with_bad_signs_gives_way_to_one_with_good_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = iter([CHASING, GOOD, FAST, CHASING, FAST])
    monkeypatch.setattr(starts, "signs_of", lambda *arguments: next(seen))
    job, reports = make_job(tmp_path, starts=3, epochs=1), Reports()
    outcome = run(job, reports=reports)
    assert outcome.kept == 1
    assert validation_elbo(job) == outcome.starts[1].elbo_nats
    warned = [
        message.split(": ")[1]
        for message in reports.messages
        if message.startswith(("warning: start", "warning: restart"))
    ]
    assert warned == ["start 1 of 3", "start 3 of 3", "restart 1", "restart 2"]


def test_starts_that_chase_noise_are_restarted_until_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = iter([CHASING, GOOD])
    monkeypatch.setattr(starts, "signs_of", lambda *arguments: next(seen))
    outcome = run(make_job(tmp_path, starts=1, epochs=1))
    assert [start.seed for start in outcome.starts] == [0, 1]
    assert outcome.kept == 1


def test_a_goal_that_moves_nothing_is_a_warning_and_no_reason_for_another_start() -> None:
    idle = Signs(0.0, 400.0, 0.01)
    assert "moves nothing" in idle.warnings()[0]
    assert not idle.noise_chased()


def test_a_single_start_is_the_first_of_several(tmp_path: Path) -> None:
    jobs = []
    for count in (1, 2):
        (tmp_path / str(count)).mkdir()
        jobs.append(make_job(tmp_path / str(count), starts=count, epochs=2))
        run(jobs[-1])
    assert metrics(jobs[0]) == [line for line in metrics(jobs[1]) if line["start"] == 0]


@pytest.mark.parametrize(
    ("kind", "has_share", "time_constant_s"),
    [("reach", True, 8.0), ("reach_static", True, None), ("linear_body", True, 8.0), ("mlp_controller", True, 8.0),
     ("goal_in_the_brain", False, 8.0), ("brain_only", False, None)],
)  # fmt: skip
def test_signs_of_every_kind_of_model(
    kind: str, has_share: bool, time_constant_s: float | None, tmp_path: Path
) -> None:
    job = make_job(tmp_path, kind)
    model = assemble(job.spec, job.layout, torch.Generator().manual_seed(0))
    signs = signs_of(model, job.cohort, choosing_trials(job.cohort)[0], job.spec.inference)
    assert (signs.residual_share is not None) == has_share
    assert signs.time_constant_s == (None if time_constant_s is None else pytest.approx(time_constant_s))
