"""Every NWB and HDF5 recording of a folder by the lines `ncyber inspect` offers for it: fit, infer; prints JSON.

Nothing is edited by hand. A file passes if both commands end well and everything they write is finite where the data
are. Files of one folder that are offered the same lines (several animals of one lab) are also fitted together.

    python tests/benchmarks/as_offered.py [FOLDER...] [--epochs 2] [--work DIR]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from real_data import DATA, written_finite
from timed_command import ROOT, ncyber


def offered(recording: Path) -> str:
    """The spec that `ncyber inspect` offers."""
    command = [sys.executable, "-m", "ncyber_cli", "inspect", str(recording), "--json"]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    (held,) = json.loads(ended.stdout)
    return f"version: 1\n{held['spec']}\n"


def run_through(work: Path, spec: str, recordings: list[Path], epochs: int) -> dict[str, Any]:
    """Fit by `spec` and infer; what it cost and whether everything written is finite. Exits where a command fails."""
    work.mkdir(parents=True)
    page, run, results = work / "spec.yaml", work / "run", work / "results.h5"
    page.write_text(spec)
    fit = ncyber("fit", page, *recordings, "--out", run, "--set", f"training.epochs={epochs}")
    infer = ncyber("infer", run, *recordings, "--out", results)
    animals = json.loads((run / "summary.json").read_text())["animals"]
    return {
        "recordings": [recording.name for recording in recordings],
        "animals": [{key: animal[key] for key in ("animal", "trials", "neurons")} for animal in animals],
        "finite": written_finite(results),
        "cost": {"fit": asdict(fit), "infer": asdict(infer)},
    }


def together(specs: dict[Path, str]) -> list[list[Path]]:
    """Recordings that are read by the same lines, but for their own names."""
    alike: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for recording, spec in specs.items():
        alike[recording.parent, spec.replace(str(recording), "").replace(recording.name, "")].append(recording)
    return [group for group in alike.values() if len(group) > 1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, default=[DATA])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--work", type=Path, help="an empty folder for the files; default a temporary one")
    options = parser.parse_args()
    recordings = sorted(
        path for folder in options.folders for form in ("nwb", "h5", "hdf5") for path in folder.rglob(f"*.{form}")
    )
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        specs = {recording: offered(recording) for recording in recordings}
        groups = [[recording] for recording in recordings] + together(specs)
        reports = [
            run_through(work / str(place), specs[group[0]], group, options.epochs) for place, group in enumerate(groups)
        ]
    passed = bool(reports) and all(report["finite"] for report in reports)
    print(
        json.dumps(
            {"folders": [str(folder) for folder in options.folders], "files": reports, "passed": passed}, indent=2
        )
    )
    return 0 if passed else 8


if __name__ == "__main__":
    sys.exit(main())
