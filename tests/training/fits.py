"""Small fits that the tests of the loop share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tiny import MODELS, make_session, make_spec, without_body

from ncyber_cli.data.batches import Cohort
from ncyber_cli.outputs.metrics_log import MetricsLog, read_metrics
from ncyber_cli.training.checkpoint import load
from ncyber_cli.training.measure import measure
from ncyber_cli.training.starts import FitOutcome, Job, fit, resume_point

TRIALS = 10  # per session: 6 train, 2 validate; with two sessions and batches of 4, an epoch is 3 steps
STEPS = 3


def make_job(folder: Path, kind: str = "reach", seed: int = 0, dtype: str = "float32", **training: Any) -> Job:
    """Two animals, with the model `kind` of tiny.MODELS."""
    settings = {"epochs": 3, "batch": 4, "learning_rate": 1e-2, **training}
    spec = make_spec(MODELS[kind], dtype=dtype)
    spec = spec.model_copy(update={"training": spec.training.model_copy(update=settings)})
    signal = spec.data.neural[0].kind
    sessions = [make_session("a", "s0", signal=signal, seed=1), make_session("b", "s1", units=4, signal=signal, seed=2)]
    if "body" not in MODELS[kind]:
        sessions = [without_body(session) for session in sessions]
    cohort = Cohort(sessions, ["a", "b"], dtype=getattr(torch, dtype))
    layout = measure(spec, cohort)
    return Job(cohort, spec, layout, folder, seed, torch.device("cpu"), "ncyber fit spec.yaml --resume")


@dataclass
class Reports:
    """What a fit has said."""

    events: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, event: Any) -> None:
        self.events.append(dict(event))

    @property
    def messages(self) -> list[str]:
        return [event["message"] for event in self.events if "message" in event]


def run(job: Job, *, resume: bool = False, reports: Any = None) -> FitOutcome:
    """Fit into the job's folder, as the command does."""
    state = load(job.folder / "last.pt").training if resume else None
    after = None if state is None else resume_point(state)
    with MetricsLog(job.folder / "metrics.jsonl", resume_after=after) as log:
        return fit(job, log, reports or Reports(), state)


def metrics(job: Job) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, without the time that epochs took."""
    return [{**line, "seconds": None, "cpu_s": None} for line in read_metrics(job.folder / "metrics.jsonl")]
