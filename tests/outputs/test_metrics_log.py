import json
from pathlib import Path

import numpy as np
import pytest

from ncyber_cli.errors import CheckpointError
from ncyber_cli.outputs.metrics_log import MetricsLog, read_metrics


def write_epochs(path: Path, epochs: range, resume_after: tuple[int, int] | None = None) -> None:
    with MetricsLog(path, resume_after=resume_after) as log:
        for epoch in epochs:
            log.append(epoch, {"elbo_nats": epoch / 7})


def test_each_line_is_on_disk_before_the_next_epoch(tmp_path: Path) -> None:
    with MetricsLog(tmp_path / "m.jsonl") as log:
        log.append(1, {"elbo_nats": np.float32(1.5), "co_bps": float("nan")})
        assert read_metrics(tmp_path / "m.jsonl") == [{"start": 0, "epoch": 1, "elbo_nats": 1.5, "co_bps": None}]


@pytest.mark.parametrize("torn", [b"", b'{"start": 0, "ep', b'{"start": 0, "epoch": 8}', b"{}"])
def test_an_interrupted_and_resumed_log_equals_an_uninterrupted_one(tmp_path: Path, torn: bytes) -> None:
    write_epochs(tmp_path / "whole.jsonl", range(1, 10))
    write_epochs(tmp_path / "parts.jsonl", range(1, 7))
    with open(tmp_path / "parts.jsonl", "ab") as file:
        file.write(torn)
    write_epochs(tmp_path / "parts.jsonl", range(5, 10), resume_after=(0, 4))
    assert (tmp_path / "parts.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_earlier_starts_are_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    with MetricsLog(path) as log:
        for start in (0, 1):
            for epoch in (1, 2, 3):
                log.append(epoch, {}, start=start)
    with MetricsLog(path, resume_after=(1, 1)):
        pass
    assert [(line["start"], line["epoch"]) for line in read_metrics(path)] == [(0, 1), (0, 2), (0, 3), (1, 1)]


def test_without_resume_the_log_starts_empty(tmp_path: Path) -> None:
    write_epochs(tmp_path / "m.jsonl", range(3))
    write_epochs(tmp_path / "m.jsonl", range(1))
    assert len(read_metrics(tmp_path / "m.jsonl")) == 1


def test_a_resume_without_a_log_starts_one(tmp_path: Path) -> None:
    write_epochs(tmp_path / "m.jsonl", range(4, 6), resume_after=(0, 3))
    assert [line["epoch"] for line in read_metrics(tmp_path / "m.jsonl")] == [4, 5]


def test_damage_before_the_end_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps({"start": 0, "epoch": 1}) + "\nrubbish\n" + json.dumps({"start": 0, "epoch": 2}) + "\n")
    with pytest.raises(CheckpointError, match=r"m.jsonl:2: is not a line of metrics"):
        MetricsLog(path, resume_after=(0, 2))
