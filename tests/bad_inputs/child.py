"""Run a function in a child process that may crash, hang or fill the memory without harm to its parent."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CPU_S, _WALL_S, _MEMORY = 30, 120, 4 << 30  # of each child; memory beyond what its parent has


@dataclass(frozen=True)
class Outcome:
    """`ended` is `done`, `crash` (a signal of its own) or `hang` (one of ours); `said` what the function returned."""

    ended: str
    said: dict[str, Any] = field(default_factory=dict)
    detail: str = ""


def in_child(work: Callable[[], dict[str, Any]], folder: Path) -> Outcome:
    """Fork, call `work` in `folder`, and say how it ended. What it returns has to be plain, for JSON."""
    answer = folder / "answer.json"
    child = os.fork()
    if child == 0:
        _limit()
        os.chdir(folder)
        with open(folder / "output.txt", "w", encoding="utf-8") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        try:
            answer.write_text(json.dumps(work()), encoding="utf-8")
        except BaseException as error:  # whatever it is, the parent has to hear of it
            answer.write_text(json.dumps({"failed": f"{type(error).__name__}: {error}"}), encoding="utf-8")
        finally:
            os._exit(0)
    status = _waited(child)
    if status is None:
        return Outcome("hang", detail=f"still running after {_WALL_S} s")
    if os.WIFSIGNALED(status):
        number = signal.Signals(os.WTERMSIG(status))
        return Outcome("hang" if number is signal.SIGXCPU else "crash", detail=number.name)
    return Outcome("done", json.loads(answer.read_text(encoding="utf-8")))


def _limit() -> None:
    with open("/proc/self/statm", encoding="ascii") as statm:
        held = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + _MEMORY, held + _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _waited(child: int) -> int | None:
    """The child's status, or None for one that had to be killed."""
    began, pause_s = time.monotonic(), 0.002
    while time.monotonic() - began < _WALL_S:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
