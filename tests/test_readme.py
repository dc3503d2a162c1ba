"""The README's shell blocks are run, as written, on a copy of what a user has checked out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ENVIRONMENT, ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(bash|sh|shell|console)\b *(\S*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
KINDS = ("main-job", "runnable", "tests")
FAST = "--set training.epochs=2"


def blocks(kind: str) -> list[str]:
    return [text for _, known, text in BLOCKS if known == kind]


def test_every_shell_block_says_how_it_is_tested() -> None:
    assert [(shell, kind) for shell, kind, _ in BLOCKS if shell != "bash" or kind not in KINDS] == []


def test_every_python_block_is_run() -> None:
    assert len(re.findall(r"^```python runnable$", README, re.MULTILINE)) == README.count("```python") > 0


def test_there_are_the_two_commands_and_a_tour() -> None:
    assert (len(blocks("main-job")), len(blocks("tests"))) == (1, 1)
    assert len(blocks("runnable")) >= 1


def test_the_main_job_is_one_command() -> None:
    (job,) = blocks("main-job")
    lines = job.strip().splitlines()
    assert all(line.endswith("&&") for line in lines[:-1])
    assert lines[0] == "pip install . &&"


def test_the_main_job_and_the_tour_run(checkout: Path) -> None:
    (job,) = blocks("main-job")
    job = job.replace("pip install . &&\n", "")  # `.ci/run` installs; here the checkout itself is run
    for block in (job, *blocks("runnable")):
        script = re.sub(r"^(ncyber fit (?:[^\n\\&]|\\\n)*)", rf"\1 {FAST} ", block, flags=re.MULTILINE)
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=checkout, env=_environment(checkout), text=True,
            capture_output=True, timeout=600,
        )  # fmt: skip
        assert ended.returncode == 0, f"{script}\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
    for block in re.findall(r"^```python runnable\n(.*?)^```$", README, re.DOTALL | re.MULTILINE):
        subprocess.run([sys.executable, "-c", block], cwd=checkout, env=_environment(checkout), check=True, timeout=60)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("example_configs", "sample_data"):
        shutil.copytree(ROOT / name, tmp_path / name)
    command = tmp_path / "bin" / "ncyber"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ncyber_cli "$@"\n')
    command.chmod(0o755)
    return tmp_path


def _environment(checkout: Path) -> dict[str, str]:
    return {**ENVIRONMENT, "PATH": f"{checkout / 'bin'}{os.pathsep}{os.environ['PATH']}"}
