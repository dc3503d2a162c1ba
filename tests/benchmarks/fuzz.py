"""Damage files of every format at random, and count what ncyber makes of them.

    python tests/benchmarks/fuzz.py SEED [--cases 500] [--formats NWB,HDF5,spec,checkpoint,results] [--keep DIR]

Exits 8 if any case was taken for right and is wrong, or ended in a crash, a hang or an unforeseen error. What each
outcome means stands in tests/bad_inputs/fuzzing.py. `--keep` leaves the files of such cases there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "bad_inputs")]

os.environ["OMP_NUM_THREADS"] = "1"  # children are forked, and a fork takes no thread with it but its own

from fuzzing import FORMATS, Case, make_lab, run_case  # noqa: E402

_FINE = ("refused", "same", "other")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seed", type=int)
    parser.add_argument("--cases", type=int, default=500, help="over all formats")
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    names, began = asked.formats.split(","), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder) / "lab"
        lab.mkdir()
        make_lab(lab)
        out = asked.keep or Path(folder) / "cases"
        cases = [
            run_case(lab, name, asked.seed, number, out)
            for name in names
            for number in range(-(-asked.cases // len(names)))
        ]
    bad = [vars(case) for case in cases if case.ended not in _FINE]
    print(json.dumps({"seed": asked.seed, **_counts(cases), "bad": bad}, indent=1))
    print(f"{len(cases)} cases in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return 8 if bad else 0


def _counts(cases: list[Case]) -> dict[str, dict[str, int]]:
    """By format, how many cases ended how; refusals by their exit code."""
    counts: dict[str, Counter[str]] = {}
    for case in cases:
        ended = f"refused, exit {case.code}" if case.ended == "refused" else case.ended
        counts.setdefault(case.format, Counter())[ended] += 1
    return {name: dict(sorted(ended.items())) for name, ended in counts.items()}


if __name__ == "__main__":
    sys.exit(main())
