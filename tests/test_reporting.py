"""What a running fit says: enough in a cluster's log, nothing when quiet, results alone on stdout."""

from __future__ import annotations

import io
import json

import pytest

from ncyber_cli import reporting
from ncyber_cli.reporting import Progress, clock, table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test turns by hand."""
    now = [0.0]
    monkeypatch.setattr(reporting.time, "monotonic", lambda: now[0])
    return now


def test_off_a_terminal_a_line_is_printed_first_last_and_every_ten_seconds(seconds: list[float]) -> None:
    log = io.StringIO()
    with Progress(stream=log) as progress:
        progress.report({"total_epochs": 10})
        for epoch in range(1, 11):
            seconds[0] += 4.0
            progress.report({"epoch": epoch, "step": 3 * epoch, "elbo_nats": -1.5, "co_bps": 0.25})
    lines = log.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["1/10", "4/10", "7/10", "10/10"]
    assert lines[1] == "epoch 4/10  step 12  elbo -1.500  bits/spike 0.250  left 0:00:24"


def test_a_resumed_fit_counts_its_time_from_where_it_went_on(seconds: list[float]) -> None:
    log = io.StringIO()
    progress = Progress(stream=log)
    progress.start(100, first_epoch=90)
    seconds[0] = 3.0
    progress.update(91)
    assert log.getvalue() == "epoch 91/100    left 0:00:27\n"


def test_remarks_come_through_and_unknown_numbers_are_left_out(seconds: list[float]) -> None:
    log = io.StringIO()
    progress = Progress(stream=log)
    progress.report({"message": "warm start done", "total_epochs": 1, "epoch": 1, "co_bps": None, "loss": 123456.0})
    assert log.getvalue() == "warm start done\nepoch 1/1  loss 1.235e+05  left 0:00:00\n"


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_quiet_is_silent(stream: io.StringIO) -> None:
    with Progress(quiet=True, stream=stream) as progress:
        progress.report({"total_epochs": 1, "message": "hello", "epoch": 1, "loss": 1.0})
    assert stream.getvalue() == ""


def test_a_terminal_shows_epoch_numbers_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    with Progress(stream=terminal) as progress:
        for start in (1, 2):
            progress.report({"total_epochs": 3, "label": f"start {start}"})
            for epoch in (1, 2, 3):
                progress.report({"epoch": epoch, "step": epoch, "co_bps": 0.5})
    shown = terminal.getvalue()
    for words in ("start 2", "3/3", "bits/spike 0.500", "left"):
        assert words in shown


def test_the_live_line_is_taken_down_when_a_fit_fails() -> None:
    progress = Progress(stream=Terminal())

    def fail() -> None:
        with progress:
            progress.start(3)
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        fail()
    assert progress._live is None


@pytest.mark.parametrize(("seconds_left", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05")])
def test_clock(seconds_left: float, text: str) -> None:
    assert clock(seconds_left) == text


ROWS = [{"animal": "a", "trials": 160, "co-bps": 0.41234}, {"animal": "monkey-b", "co-bps": None, "hidden": [1]}]


def test_off_a_terminal_a_table_is_aligned_text() -> None:
    out = io.StringIO()
    table(ROWS, ["animal", "trials", "co-bps"], stream=out)
    assert out.getvalue().splitlines() == ["animal    trials  co-bps", "a         160     0.412", "monkey-b"]


def test_json_holds_every_value_at_full_precision() -> None:
    out = io.StringIO()
    table(ROWS, ["animal"], as_json=True, stream=out)
    assert json.loads(out.getvalue()) == ROWS


def test_a_table_on_a_terminal_shows_brackets_as_they_are() -> None:
    out = Terminal()
    table([{"name": "[bold]x"}], ["name"], stream=out)
    assert "[bold]x" in out.getvalue()


def test_an_empty_table_has_its_columns() -> None:
    out = io.StringIO()
    table([], ["animal"], stream=out)
    assert out.getvalue() == "animal\n"
