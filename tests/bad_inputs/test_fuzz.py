"""A few of the cases of tests/benchmarks/fuzz.py: damage is refused, or harmless, or read as what it is."""

from __future__ import annotations

import json
import subprocess
import sys

from command_line import ENVIRONMENT, ROOT

PER_FORMAT, FORMATS = 6, 5


def test_no_damage_crashes_hangs_or_is_taken_for_right() -> None:
    """In a process of its own: a fork of one that has run threads may wait for them for ever."""
    command = [sys.executable, "tests/benchmarks/fuzz.py", "7", "--cases", str(PER_FORMAT * FORMATS)]
    ended = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    counts = json.loads(ended.stdout)
    assert counts.pop("bad") == []
    assert counts.pop("seed") == 7
    assert len(counts) == FORMATS
    for name, outcomes in counts.items():
        assert sum(outcomes.values()) == PER_FORMAT, name
