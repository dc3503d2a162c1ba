"""Memory of reading and binning three hours of 500 units at 20 ms; prints JSON.

Bar: the binned data are never held more than twice. Everything that `prepare` adds at its peak to
what the read spikes already take must therefore stay under two times the binned bytes. Writing the
simulated file and measuring are processes of their own, so that neither counts for the other.

    python tests/benchmarks/memory.py [--hours 3] [--units 500] [--rate-hz 5]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ncyber_cli.spec import Spec

BIN_S = 0.02
BAR = 2.0  # times the binned bytes


def write_units(path: Path, n_unit: int, n_spike: int, duration_s: float) -> None:
    """An NWB file with `n_spike` uniformly random spikes of each unit."""
    from hdmf.common import VectorData, VectorIndex
    from pynwb import NWBHDF5IO, NWBFile
    from pynwb.misc import Units

    generator = np.random.default_rng(0)
    times = np.empty(n_unit * n_spike)
    for unit in range(n_unit):
        drawn = generator.uniform(0, duration_s, n_spike)
        drawn.sort()
        times[unit * n_spike : (unit + 1) * n_spike] = drawn
    spike_times = VectorData(name="spike_times", description="spike times, s", data=times)
    ends = np.arange(1, n_unit + 1, dtype=np.uint64) * np.uint64(n_spike)
    index = VectorIndex(name="spike_times_index", target=spike_times, data=ends)
    units = Units(
        name="units",
        id=list(range(n_unit)),
        columns=[spike_times, index],
        description="simulated",
        colnames=["spike_times"],
    )
    nwb = NWBFile("memory benchmark", "memory", datetime(2026, 1, 1, tzinfo=UTC), units=units)
    with NWBHDF5IO(path, "w") as io:
        io.write(nwb)


def measure(path: Path, results: Any) -> None:
    """Read and prepare the file, putting seconds and bytes into `results`."""
    from ncyber_cli.data.prepare import prepare
    from ncyber_cli.data.read import read_recording

    spec = Spec.model_validate(
        {
            "version": 1,
            "data": {"bin_s": BIN_S, "windows": {"length_s": 4.0}, "neural": [{"source": "units", "kind": "spikes"}]},
        }
    )
    start = time.perf_counter()
    recording = read_recording(path, spec.data)
    read_s = time.perf_counter() - start
    held_after_read = _resident_bytes()
    start = time.perf_counter()
    session = prepare(recording, spec)
    prepare_s = time.perf_counter() - start
    results.put(
        {
            "read_s": round(read_s, 2),
            "prepare_s": round(prepare_s, 2),
            "counts": int(session.observation.sum(dtype=np.int64)),
            "dtype": str(session.observation.dtype),
            "binned_bytes": session.observation.nbytes,
            "resident_after_read_bytes": held_after_read,
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
    )


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _in_process(target: Any, *args: Any) -> None:
    process = multiprocessing.get_context("spawn").Process(target=target, args=args)
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(process.exitcode)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--units", type=int, default=500)
    parser.add_argument("--rate-hz", type=float, default=5.0)
    options = parser.parse_args()
    duration_s = options.hours * 3600
    n_spike = round(duration_s * options.rate_hz)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.nwb"
        _in_process(write_units, path, options.units, n_spike, duration_s)
        results = multiprocessing.get_context("spawn").SimpleQueue()
        _in_process(measure, path, results)
        measured = results.get()
    times_held = (measured["peak_rss_bytes"] - measured["resident_after_read_bytes"]) / measured["binned_bytes"]
    report = {
        "units": options.units,
        "spikes": options.units * n_spike,
        **measured,
        "times_binned_held": round(times_held, 3),
        "bar": BAR,
        "met": times_held <= BAR,
    }
    print(json.dumps(report, indent=2))
    return 0 if report["met"] else 8


if __name__ == "__main__":
    sys.exit(main())
