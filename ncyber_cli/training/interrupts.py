"""Signals ask a fit to stop; it stops between two steps, with its state saved."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from ncyber_cli.stop_signals import ASK_TO_STOP


class Interrupts:
    """While entered, notes signals instead of dying; a second Ctrl-C does what the first would have done before.

    Outside the main thread, where Python takes no signals, it notes nothing.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in ASK_TO_STOP}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        before = self._before.get(signal.Signals(number))
        if number == signal.SIGINT and self.received == signal.SIGINT and callable(before):
            before(number, frame)
        self.received = number
