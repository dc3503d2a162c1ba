"""A fit that was stopped and went on is the fit that was never stopped, to the bit."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import STEPS, make_job, metrics, run
from same import assert_same

from ncyber_cli.data.recording import TRAIN
from ncyber_cli.errors import Interrupted
from ncyber_cli.training import loop
from ncyber_cli.training.checkpoint import load
from ncyber_cli.training.starts import Job
from ncyber_cli.training.teacher import Teacher


def interrupt_in_step(monkeypatch: pytest.MonkeyPatch, step: int, number: int) -> None:
    """Let a signal arrive while the `step`-th step from now on is taken, counted from 1."""
    taken = 0
    real = loop.train_step

    def train_step(*arguments: Any) -> Any:
        nonlocal taken
        taken += 1
        if taken == step:
            signal.raise_signal(number)
        return real(*arguments)

    monkeypatch.setattr(loop, "train_step", train_step)


def run_until(
    job: Job, step: int, monkeypatch: pytest.MonkeyPatch, number: int = signal.SIGTERM, *, resume: bool = False
) -> None:
    """Fit, and be stopped by a signal in the `step`-th step from now on."""
    with monkeypatch.context() as patch:
        interrupt_in_step(patch, step, number)
        with pytest.raises(Interrupted):
            run(job, resume=resume)


def assert_same_run(one: Job, other: Job) -> None:
    assert metrics(one) == metrics(other)
    for name in ("best.pt", "last.pt"):
        left, right = load(one.folder / name), load(other.folder / name)
        assert_same(left.model_state, right.model_state, name)
        assert_same(left.training, right.training, name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Job:
    job = make_job(tmp_path_factory.mktemp("whole"), starts=2)
    run(job)
    return job


@pytest.mark.parametrize(
    "step",
    [STEPS + 2, 3 * STEPS, 3 * STEPS + 2, 6 * STEPS],
    ids=["mid-epoch", "end of a start", "second start", "very last"],
)
def test_stopped_and_resumed_equals_never_stopped(
    step: int, whole: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(tmp_path, starts=2)
    run_until(job, step, monkeypatch)
    run(job, resume=True)
    assert_same_run(whole, job)


@pytest.mark.parametrize(
    ("kind", "training"),
    [("reach_jump", {}), ("linear_body", {}), ("brain_only", {}), ("reach", {"window_s": 0.36})],
    ids=["annealed priors", "variances", "no body", "random windows"],
)
def test_every_kind_of_state_is_kept(
    kind: str, training: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Annealed priors, variances that move in closed form, models without a body, windows drawn anew; stopped twice."""
    once = make_job(tmp_path / "once", kind, **training)
    once.folder.mkdir()
    run(once)
    twice = make_job(tmp_path / "twice", kind, **training)
    twice.folder.mkdir()
    for resume, step in ((False, STEPS), (True, STEPS + 2)):
        run_until(twice, step, monkeypatch, signal.SIGUSR1, resume=resume)
    run(twice, resume=True)
    assert_same_run(once, twice)


def with_fresh_trials(job: Job) -> Job:
    """With a teacher that has made up trials which nobody has recorded."""
    taken = [each.take(np.flatnonzero(each.split == TRAIN)) for each in job.cohort.sessions]
    sessions = [replace(each, observation=each.observation + 1) for each in taken]
    rates = [np.full(each.observation.shape, np.nan, np.float32) for each in job.cohort.sessions]
    return replace(job, teacher=Teacher(job.cohort, rates, 4.0, {"run": "hash"}, sessions, 1.5))


@pytest.mark.parametrize("training", [{}, {"window_s": 0.36}], ids=["whole trials", "windows"])
def test_a_student_of_fresh_trials_goes_on_with_those_that_were_due(
    training: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once, twice = (with_fresh_trials(make_job(tmp_path / name, "brain_only", **training)) for name in ("once", "twice"))
    for job in (once, twice):
        job.folder.mkdir()
    run(once)
    run_until(twice, STEPS + 2, monkeypatch)
    run(twice, resume=True)
    assert_same_run(once, twice)


def test_what_a_stopped_fit_has_logged_beyond_its_state_is_taken_back(
    whole: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed fit has saved nothing for up to half a minute; its later lines of metrics are written anew."""
    job = make_job(tmp_path, starts=2)
    run_until(job, STEPS + 1, monkeypatch)
    line = (job.folder / "metrics.jsonl").read_bytes()
    (job.folder / "metrics.jsonl").write_bytes(line + line.replace(b'"epoch": 1', b'"epoch": 2') + line[:20])
    run(job, resume=True)
    assert metrics(job) == metrics(whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_ends_the_fit_with_its_number_and_the_command_to_go_on(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(number)
    interrupt_in_step(monkeypatch, 2, number)
    job = make_job(tmp_path)
    with pytest.raises(Interrupted, match=f"{number.name}.*go on with: {job.resume_command}") as ended:
        run(job)
    assert ended.value.exit_code == 128 + number
    assert signal.getsignal(number) is before
    state = load(tmp_path / "last.pt").training
    assert state is not None
    assert state["current"]["step"] == 2
    assert (tmp_path / "best.pt").exists()


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train_step(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(loop, "train_step", train_step)
    with pytest.raises(KeyboardInterrupt):
        run(make_job(tmp_path))
