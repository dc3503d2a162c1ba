"""training.batch: auto halves what memory does not hold, and goes on as if the step had never been tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from fits import make_job, metrics, run
from same import assert_same
from test_resume import assert_same_run, run_until

from ncyber_cli.errors import ResourceError
from ncyber_cli.training import step
from ncyber_cli.training.checkpoint import load

EXAMPLES = 12  # training trials of make_job
ERRORS = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"),
    MemoryError(),
)


def limit_memory(monkeypatch: pytest.MonkeyPatch, trials: int, error: Exception = ERRORS[0], after: int = 0) -> None:
    """From the step after the `after`-th on memory holds so many trials; the gradient of a larger batch fails."""
    taken = 0
    real = step.loss_of

    def loss_of(model: Any, batch: Any, *others: Any) -> Any:
        nonlocal taken
        found = real(model, batch, *others)
        if len(batch.session) > trials and taken >= after:
            raise error
        taken += 1
        return found

    monkeypatch.setattr(step, "loss_of", loss_of)


@pytest.mark.parametrize("error", ERRORS, ids=["GPU", "CPU", "numpy"])
def test_a_size_that_is_found_at_once_is_as_good_as_one_that_was_written(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit: no noise, no place in the epoch and no step of the schedule is lost on a try that failed."""
    sizes = (("found", "auto"), ("written", 4))
    jobs = [make_job(tmp_path / name, "brain_only", batch=batch, epochs=2) for name, batch in sizes]
    for job in jobs:
        job.folder.mkdir()
    with monkeypatch.context() as patch:
        limit_memory(patch, 4, error)
        found = run(jobs[0])
    written = run(jobs[1])
    assert [start.batch for start in (*found.starts, *written.starts)] == [4, 4]
    assert metrics(jobs[0]) == metrics(jobs[1])
    assert {line["batch"] for line in metrics(jobs[0])} == {4}
    for name in ("best.pt", "last.pt"):
        left, right = (load(job.folder / name) for job in jobs)
        assert_same(left.model_state, right.model_state, name)
        assert_same(left.training, right.training, name)


def test_every_trial_is_seen_once_an_epoch_though_the_size_changes_within_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(tmp_path, "brain_only", batch="auto")
    limit_memory(monkeypatch, 4)
    limit_memory(monkeypatch, 2, after=2)
    seen: list[int] = []
    real = step._update_variances

    def update_variances(model: Any, batch: Any, posterior: Any) -> None:
        seen.append(len(batch.session))
        real(model, batch, posterior)

    monkeypatch.setattr(step, "_update_variances", update_variances)
    run(job)
    assert seen == [4, 4, 2, 2] + [2] * 12
    assert [line["batch"] for line in metrics(job)] == [2, 2, 2]
    assert [line["step"] for line in metrics(job)] == [4, 10, 16]


def test_the_next_start_begins_with_what_the_last_one_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(tmp_path, "brain_only", batch="auto", starts=2, epochs=1)
    limit_memory(monkeypatch, 4)
    found = run(job)
    assert [start.batch for start in found.starts[:2]] == [4, 4]
    assert load(tmp_path / "last.pt").spec.training.batch == "auto"


@pytest.mark.parametrize("stopped_at", [1, 8])
def test_a_fit_that_halves_and_is_stopped_is_the_fit_that_was_never_stopped(
    stopped_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = (make_job(tmp_path / name, "brain_only", batch="auto", starts=2) for name in ("whole", "parts"))
    for job in (whole, parts):
        job.folder.mkdir()
    limit_memory(monkeypatch, 4)
    run(whole)
    run_until(parts, stopped_at, monkeypatch)
    run(parts, resume=True)
    assert_same_run(whole, parts)


@pytest.mark.parametrize(
    ("batch", "limit", "what"),
    [
        (8, 4, "training.batch: 8: memory does not suffice for a step on 8 trials; write 4, or auto"),
        (64, 4, f"training.batch: 64: memory does not suffice for a step on {EXAMPLES} trials; write 6, or auto"),
        (1, 0, "memory does not suffice for a step on 1 trial; shorten trials"),
        ("auto", 0, "there is too little memory for a single trial; shorten trials"),
    ],
)
def test_a_written_size_that_is_too_large_is_told_with_what_to_try(
    batch: int | str, limit: int, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_memory(monkeypatch, limit)
    with pytest.raises(ResourceError, match=what) as refused:
        run(make_job(tmp_path, "brain_only", batch=batch))
    assert refused.value.exit_code == 7


def test_other_errors_are_no_want_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_memory(monkeypatch, 0, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(make_job(tmp_path, "brain_only", batch="auto"))
