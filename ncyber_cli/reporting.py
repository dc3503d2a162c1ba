"""Talk to the person at the keyboard: progress and remarks on stderr, results on stdout.

Training knows nothing of this file: it is handed `Progress.report`, a callable that takes a plain dict.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

PLAIN_LINE_EVERY_S = 10.0  # a cluster log that says nothing for longer looks hung
_LABELS = {
    "co_bps": "bits/spike", "elbo_nats": "elbo", "validation_elbo_nats": "val", "kl_nats": "kl", "body_nats": "body"
}  # fmt: skip
_LOGGED_ONLY = ("learning_rate", "refused_steps", "time_s", "cpu_s")  # in metrics.jsonl; a line has room for less


class Progress:
    """Shows a running fit: a live line on a terminal, plain flushed lines elsewhere, nothing when quiet.

    Use as a context manager. `report` is what a training loop calls; `start`, `update` and `say` are the
    three things a report can ask for.
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet
        self._live: RichProgress | None = None
        self._task: TaskID | None = None
        self._total, self._first = 0, 0
        self._began_s = self._last_line_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def report(self, event: Mapping[str, Any]) -> None:
        """Show one event of a training loop.

        `{"total_epochs": 150, "first_epoch": 0}` begins a fit (`label` is optional); `{"epoch": 3, "step": 120,
        "elbo_nats": ..., "co_bps": ...}` is a finished epoch, counted from 1, with any further numbers;
        `{"message": "..."}` is a remark. One dict may hold all three.
        """
        event = dict(event)
        message, label = event.pop("message", None), str(event.pop("label", "fit"))
        total, first = event.pop("total_epochs", None), event.pop("first_epoch", 0)
        epoch = event.pop("epoch", None)
        if total is not None:
            self.start(int(total), first_epoch=int(first), label=label)
        if message is not None:
            self.say(str(message))
        if epoch is not None:
            self.update(int(epoch), **event)

    def start(self, total_epochs: int, *, first_epoch: int = 0, label: str = "fit") -> None:
        """Begin a fit of `total_epochs`, of which `first_epoch` were done by an earlier run that is resumed."""
        self._total, self._first = total_epochs, first_epoch
        self._began_s = self._last_line_s = time.monotonic()
        if self._quiet or not self._stream.isatty():
            return
        if self._live is None:
            self._live = _live_display(self._stream)
            self._live.start()
        if self._task is not None:  # one of several starts has ended; its line gives way to the next
            self._live.remove_task(self._task)
        self._task = self._live.add_task(label, total=total_epochs, completed=first_epoch, numbers="")

    def update(self, epoch: int, **numbers: Any) -> None:
        """Show that `epoch` (counted from 1) is done, with its numbers; None values are left out."""
        if self._quiet:
            return
        told = {name: value for name, value in numbers.items() if value is not None and name not in _LOGGED_ONLY}
        shown = "  ".join(_number(name, value) for name, value in told.items())
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=epoch, numbers=shown)
            return
        now_s = time.monotonic()
        if epoch in (self._first + 1, self._total) or now_s - self._last_line_s >= PLAIN_LINE_EVERY_S:
            self._last_line_s = now_s
            self._print(f"epoch {epoch}/{self._total}  {shown}  left {self._time_left(epoch, now_s)}")

    def say(self, message: str) -> None:
        """Print a remark, above the live line where there is one."""
        if self._quiet:
            return
        if self._live is not None:
            self._live.console.print(message, markup=False, highlight=False)
        else:
            self._print(message)

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)

    def _time_left(self, epoch: int, now_s: float) -> str:
        seconds_per_epoch = (now_s - self._began_s) / max(1, epoch - self._first)
        return clock(seconds_per_epoch * max(0, self._total - epoch))


def _live_display(stream: TextIO) -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("left  {task.fields[numbers]}"),
        console=Console(file=stream),
    )


def _number(name: str, value: Any) -> str:
    label = _LABELS.get(name, name.replace("_", " "))
    if isinstance(value, float):
        return f"{label} {value:.3f}" if abs(value) < 1e4 else f"{label} {value:.3e}"
    return f"{label} {value}"


def clock(seconds: float) -> str:
    """Write a duration in s as h:mm:ss."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool = False, stream: TextIO | None = None
) -> None:
    """Print the results of a command on stdout.

    Args:
        rows: one mapping from column name to value per line; an absent value is left blank.
        columns: the columns to show, in order. With `as_json` whole rows are written, whatever the columns.
        as_json: write a JSON list instead of text.
        stream: where to write; default stdout. On a terminal the text is a rich table, elsewhere aligned columns.
    """
    out = sys.stdout if stream is None else stream
    if as_json:
        print(json.dumps([dict(row) for row in rows], indent=2, ensure_ascii=False), file=out)
        return
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    if out.isatty():
        _rich_table(cells, columns, out)
        return
    widths = [max(len(name), *(len(line[i]) for line in cells), 0) for i, name in enumerate(columns)]
    for line in [list(columns), *cells]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip(), file=out)


def _rich_table(cells: list[list[str]], columns: Sequence[str], out: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        shown.add_column(name, overflow="fold")
    for line in cells:
        shown.add_row(*(Text(text) for text in line))
    Console(file=out).print(shown)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
