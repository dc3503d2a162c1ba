"""Run a command in a forked process that gets a signal at a chosen moment, or no room: imports are paid for once."""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ncyber_cli import cli

_OF_PARENT: list[Any] = []


@dataclass(frozen=True)
class Moment:
    """The n-th call of a function, `module:attribute` or `module:Class.attribute`, counted from 1."""

    function: str
    call: int = 1

    def send(self, number: signal.Signals) -> None:
        """Let this process get the signal at that moment."""
        module, _, path = self.function.partition(":")
        *outer, name = path.split(".")
        owner: Any = importlib.import_module(module)
        for part in outer:
            owner = getattr(owner, part)
        real, calls = getattr(owner, name), 0

        def called(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == self.call:
                os.kill(os.getpid(), number)
            return real(*arguments, **named)

        setattr(owner, name, called)


@dataclass(frozen=True)
class Ended:
    code: int  # -n: killed by signal n
    cpu_s: float
    err: str  # with the results of the command, where it had any


def ncyber(
    words: Sequence[str | Path],
    folder: Path,
    moment: Moment | None = None,
    number: Any = None,
    largest_file: int = resource.RLIM_INFINITY,
    kill_at_cpu_s: float = float("inf"),
) -> Ended:
    """Run one command in `folder`; with a moment, `number` is sent then; files grow to so many bytes at most.

    It is killed once it has used so much CPU time.
    """
    end, begin = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(end)
        _child([str(word) for word in words], folder, begin, moment, number, largest_file)
    os.close(begin)
    if kill_at_cpu_s < float("inf"):
        _kill(process, kill_at_cpu_s)
    with open(end, encoding="utf-8") as pipe:
        said = pipe.read()
    _, status, used = os.wait4(process, 0)
    return Ended(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, said)


def _kill(process: int, at_cpu_s: float) -> None:
    """Kill a child once it has used so much CPU time, unless it ends before; it says less than a pipe holds."""
    while not os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        if (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") >= at_cpu_s:
            os.kill(process, signal.SIGKILL)
            return
        time.sleep(0.002)


def _child(
    words: list[str], folder: Path, said: int, moment: Moment | None, number: Any, largest_file: int
) -> None:
    code = 1
    try:
        torch.set_num_threads(1)  # threads of the parent are not here
        os.dup2(said, 1)
        os.dup2(said, 2)
        _OF_PARENT.extend((sys.stdout, sys.stderr))  # were they let go of here, they would be flushed a second time
        sys.stdout, sys.stderr, sys.unraisablehook = os.fdopen(1, "w"), os.fdopen(2, "w"), sys.__unraisablehook__
        os.chdir(folder)
        sys.argv = ["ncyber", *words]
        if moment is not None:
            moment.send(number)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
        cli.main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
