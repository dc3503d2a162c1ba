"""An hour of 300 units, 4 million spikes, read and binned at 20 ms on one thread; prints JSON.

Bars: 2 s from file to counts, ten times faster than unit by unit through pynwb in the same run, 0.3 s from the cache.
Every way is a process of its own on a file that has been read once before, its imports done before the clock starts:
what a process spends on imports is written beside. "By unit" is what a lab's script does: open with pynwb, take each
unit's spike times, count them with numpy.histogram. All ways must give the same counts.

    python tests/benchmarks/read_spikes.py [--hours 1] [--units 300] [--rate-hz 3.7] [--compress] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
BIN_S = 0.02
WINDOW_S = 4.0
BARS = {"ncyber_s": 2.0, "times_faster_than_by_unit": 10.0, "from_cache_s": 0.3}


def write_units(path: Path, n_unit: int, n_spike: int, duration_s: float, compress: bool) -> None:
    """An NWB file with `n_spike` uniformly random spikes of each unit."""
    import numpy as np
    from memory import write_units as write_plain

    write_plain(path, n_unit, n_spike, duration_s)
    if compress:
        import h5py

        with h5py.File(path, "r+") as file:
            times_s = file["units/spike_times"]
            about, values = dict(times_s.attrs), np.asarray(times_s)
            del file["units/spike_times"]
            squeezed = file.create_dataset("units/spike_times", data=values, compression="gzip", shuffle=True)
            squeezed.attrs.update(about)
            file["units/spike_times_index"].attrs["target"] = squeezed.ref


def by_unit(path: Path) -> tuple[Callable[[], Any], Callable[[Any], int]]:
    import numpy as np
    from pynwb import NWBHDF5IO

    def read() -> Any:
        with NWBHDF5IO(path, "r") as io:
            units = io.read().units
            trains = [units.get_unit_spike_times(row) for row in range(len(units.id))]
            stop_s = max(train.max() for train in trains)
            edges = np.arange(int(stop_s / BIN_S) + 2) * BIN_S
            return np.stack([np.histogram(train, edges)[0] for train in trains], axis=1).astype(np.uint8)

    return read, lambda counts: int(counts.sum(dtype=np.int64))


def ncyber(path: Path) -> tuple[Callable[[], Any], Callable[[Any], int]]:
    import numpy as np

    from ncyber_cli.data.read_session import read_head, read_session
    from ncyber_cli.spec import Spec

    source = {"source": "units", "kind": "spikes"}
    data = {"bin_s": BIN_S, "windows": {"length_s": WINDOW_S}, "neural": [source]}
    spec = Spec.model_validate({"version": 1, "data": data})
    return (
        lambda: read_session(read_head(path, spec.data), spec, {}),
        lambda session: int(session.observation.sum(dtype=np.int64)),
    )


def timed(way: Any, path: Path, cache: str, results: Any) -> None:
    os.environ["NCYBER_CACHE"] = cache
    began = time.perf_counter()
    read, total = way(path)
    imported, cpu = time.perf_counter(), time.process_time()
    counts = read()
    seconds, cpu = time.perf_counter() - imported, time.process_time() - cpu
    results.put((seconds, imported - began, total(counts), cpu))


def measure(way: Any, path: Path, cache: str = "off") -> tuple[float, float, int, float]:
    """(seconds, seconds of imports, spikes counted, CPU seconds) of one way in a fresh process."""
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    process = context.Process(target=timed, args=(way, path, cache, results))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(process.exitcode)
    found: tuple[float, float, int, float] = results.get()
    return found


def benchmark(path: Path, kept: str, repeats: int) -> dict[str, Any]:
    """Every way `repeats` times in turn, so that a busy moment of the machine meets them alike; the medians."""
    path.read_bytes()
    measure(ncyber, path, kept)  # fills the cache
    runs: dict[str, list[tuple[float, float, int, float]]] = {"by_unit": [], "ncyber": [], "from_cache": []}
    for _ in range(repeats):
        runs["by_unit"].append(measure(by_unit, path))
        runs["ncyber"].append(measure(ncyber, path))
        runs["from_cache"].append(measure(ncyber, path, kept))
    seconds = {way: sorted(found[0] for found in of_way)[repeats // 2] for way, of_way in runs.items()}
    ratios = sorted(slow[0] / fast[0] for slow, fast in zip(runs["by_unit"], runs["ncyber"], strict=True))
    return {
        **{f"{way}_s": round(value, 3) for way, value in seconds.items()},
        "times_faster_than_by_unit": round(ratios[repeats // 2], 1),
        "cpu_s": {way: round(min(found[3] for found in of_way), 3) for way, of_way in runs.items()},
        "imports_s": {way: round(min(found[1] for found in of_way), 2) for way, of_way in runs.items()},
        "counted": {way: of_way[0][2] for way, of_way in runs.items()},
        "all_s": {way: [round(found[0], 3) for found in of_way] for way, of_way in runs.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--units", type=int, default=300)
    parser.add_argument("--rate-hz", type=float, default=3.7)
    parser.add_argument("--compress", action="store_true", help="store the spike times with gzip")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    n_spike = round(options.hours * 3600 * options.rate_hz)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spikes.nwb"
        write_units(path, options.units, n_spike, options.hours * 3600, options.compress)
        report = {
            "units": options.units,
            "spikes": options.units * n_spike,
            "file_bytes": path.stat().st_size,
            **benchmark(path, str(Path(folder) / "kept"), options.repeats),
        }
    met = {
        "ncyber_s": report["ncyber_s"] <= BARS["ncyber_s"],
        "times_faster_than_by_unit": report["times_faster_than_by_unit"] >= BARS["times_faster_than_by_unit"],
        "from_cache_s": report["from_cache_s"] <= BARS["from_cache_s"],
        "same_counts": len(set(report["counted"].values())) == 1,
    }
    print(json.dumps({**report, "bars": BARS, "met": met}, indent=2))
    return 0 if all(met.values()) else 8


if __name__ == "__main__":
    sys.exit(main())
