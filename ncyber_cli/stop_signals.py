"""Signals that ask a command to end: told in one line, with what was begun cleared away, and 128 + n as its code."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ncyber_cli.errors import Stopped

ASK_TO_STOP = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)  # a kill, a cluster's time limit, Ctrl-C


@contextmanager
def signals_raise() -> Iterator[None]:
    """In the block a signal that asks to stop raises Stopped; one that is ignored (nohup) stays so.

    Python takes signals in the main thread alone: elsewhere nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in ASK_TO_STOP if signal.getsignal(number) in usual}
    for number in before:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)
