"""What training.batch: auto has found stands in everything that a run says of itself, and the run goes on with auto."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from finished_run import LORENZ_DATA, lorenz_file

from ncyber_cli.outputs.metrics_log import read_metrics
from ncyber_cli.pipeline.fit import FitRequest, run_fit
from ncyber_cli.spec import Spec
from ncyber_cli.spec_file import load_spec, spec_text
from ncyber_cli.training import step
from ncyber_cli.training.checkpoint import load


def test_the_size_that_was_found_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lorenz_file(tmp_path)
    model = {"brain": {"kind": "residual_mlp", "latents": 2, "hidden": 4}}
    training = {"epochs": 2, "batch": "auto"}
    spec = {"version": 1, "data": LORENZ_DATA, "model": model, "inference": {"hidden": 4}, "training": training}
    (tmp_path / "spec.yaml").write_text(spec_text(Spec.model_validate(spec)))
    real = step.loss_of

    def loss_of(model: Any, batch: Any, *others: Any) -> Any:
        if len(batch.session) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(model, batch, *others)

    monkeypatch.setattr(step, "loss_of", loss_of)
    request = FitRequest(tmp_path / "spec.yaml", (str(tmp_path / "lorenz-1.nwb"),), tmp_path / "run", device="cpu")
    run_fit(request)
    assert capsys.readouterr().err.count("memory does not suffice for more: steps on 2 trials from here on") == 1
    run = tmp_path / "run"
    before = (run / "metrics.jsonl").read_bytes()
    assert [line["batch"] for line in read_metrics(run / "metrics.jsonl")] == [2, 2]
    assert [start["batch"] for start in json.loads((run / "summary.json").read_text())["starts"]] == [2]
    assert load_spec(run / "spec.yaml").training.batch == 2
    assert load(run / "last.pt").spec.training.batch == "auto"
    run_fit(FitRequest(request.spec, request.data, request.out, device="cpu", resume=True, quiet=True))
    assert (run / "metrics.jsonl").read_bytes() == before
    assert load_spec(run / "spec.yaml").training.batch == 2
