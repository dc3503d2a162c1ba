"""Run ncyber as a user does, and measure what it cost: CPU seconds of the process, not of the benchmark."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Cost:
    """What a command took, from its start to its end, imports included."""

    cpu_s: float  # user and system
    wall_s: float
    peak_mb: float


def ncyber(*arguments: str | Path) -> Cost:
    """Run one ncyber command with one thread; its table and its talk go to stderr.

    Exits with the command's own status if it fails: a benchmark without it means nothing.
    """
    command = [sys.executable, "-m", "ncyber_cli", *map(str, arguments)]
    print("+", shlex.join(["ncyber", *command[3:]]), file=sys.stderr, flush=True)
    environment = {**os.environ, **_ONE_THREAD, "PYTHONPATH": str(ROOT)}
    began = time.monotonic()
    with subprocess.Popen(command, env=environment, stdout=sys.stderr) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    return Cost(
        cpu_s=round(usage.ru_utime + usage.ru_stime, 1),
        wall_s=round(time.monotonic() - began, 1),
        peak_mb=round(usage.ru_maxrss / 1024, 1),  # Linux counts KiB
    )
