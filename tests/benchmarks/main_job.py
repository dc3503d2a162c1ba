"""The README's main job as a stranger runs it: a fresh checkout, a fresh environment, two cores; prints JSON.

The packages must have been downloaded before (pip's cache or find-links); what is measured is installing them,
fitting, inferring and simulating. The block is run as it stands, one command of its `&&` chain after the other.

    python tests/benchmarks/main_job.py [--first-install torch==2.13.0]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BAR_S = 240.0
CORES = 2
OPENING = "```bash main-job\n"


def main_job() -> list[str]:
    """The commands of README's main-job block."""
    block = (ROOT / "README.md").read_text().split(OPENING)[1].split("```")[0]
    return [command.strip() for command in block.split("&&")]


def fresh_checkout(target: Path) -> None:
    """What git knows, as it stands in the working tree; no run, cache or build of ours goes with it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def environment(folder: Path) -> dict[str, str]:
    """The variables of a shell in which the virtual environment `folder` is active."""
    foreign = ("PYTHON", "VIRTUAL_ENV", "OMP_", "MKL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "VIRTUAL_ENV": str(folder), "PATH": f"{folder / 'bin'}{os.pathsep}{kept['PATH']}"}


def shell(command: str, checkout: Path, variables: dict[str, str]) -> tuple[float, str]:
    """Wall seconds and standard output of one command; exits if it fails."""
    print("+", command, file=sys.stderr, flush=True)
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], cwd=checkout, env=variables, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout, end="", file=sys.stderr, flush=True)
    if done.returncode:
        sys.exit(done.returncode)
    return round(time.monotonic() - began, 1), done.stdout


def children_cpu_s() -> float:
    """CPU seconds of every command so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def said_what_it_did(checkout: Path, printed: dict[str, str]) -> dict[str, bool]:
    """Whether a table of what was found and the path of every written file were printed, and the files are there."""
    written = {"fit": "runs/quickstart/best.pt", "infer": "results.h5", "simulate": "rollout.h5"}
    tables = {"fit": "co-bps", "infer": "co_bps", "simulate": "rollout"}
    return {
        **{f"{name}_path": path in printed[name] and (checkout / path).is_file() for name, path in written.items()},
        **{f"{name}_table": heading in printed[name] for name, heading in tables.items()},
    }


def benchmark(work: Path, first_install: str | None) -> dict[str, Any]:
    checkout, folder = work / "ncyber", work / "venv"
    fresh_checkout(checkout)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])  # the commands inherit it
    load = os.getloadavg()[0]
    began = time.monotonic()
    venv.create(folder, with_pip=True)
    variables = environment(folder)
    seconds, cpu_s = {"environment": round(time.monotonic() - began, 1)}, {}
    if first_install:
        seconds["first_install"], _ = shell(f"pip install --quiet {first_install}", checkout, variables)
    printed = {}
    for command in main_job():
        words = command.split()
        name = words[1]  # pip install, ncyber fit, ...
        before_s = children_cpu_s()
        seconds[name], printed[name] = shell(command, checkout, variables)
        cpu_s[name] = round(children_cpu_s() - before_s, 1)
    said = said_what_it_did(checkout, printed)
    total = round(sum(seconds.values()), 1)
    return {
        "seconds": seconds,
        "cpu_s": cpu_s,
        "total_s": total,
        "bar_s": BAR_S,
        "cores": CORES,
        "load_at_start": round(load, 2),  # of others: above 0 the seconds are too many
        "said": said,
        "passed": total <= BAR_S and all(said.values()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first-install", help="a requirement to install before, e.g. a build of torch at hand")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        report = benchmark(Path(work), options.first_install)
    print(json.dumps(report, indent=2))
    return 0 if report["passed"] else 8


if __name__ == "__main__":
    sys.exit(main())
