"""Spikes of one area and calcium of another in one model, sessions that lack an area, and a readout that drifts.

One Lorenz attractor drives both areas of four simulated sessions: 32 neurons each, spikes counted in area A,
fluorescence in area B (an AR(1) indicator that decays with 0.15 s, white noise, one frame every 30 ms). Two sessions
have both areas, one has A alone, one B alone. One fit of all is compared with fits of each modality alone on the same
held-out neurons and test trials. Then one animal of `ncyber synth lorenz --drift` and one without, each fitted with and
without `model.drift`. Prints JSON; exits with 8 below a bar.

    python tests/benchmarks/modalities.py [--seed 601] [--set key=value ...] [--work DIR]

Bars, written before the first run: the calcium of sessions that have both areas is predicted better than by calcium
alone; spikes lose no more than .01 bits; area B is inferred where only A was recorded (R2 of the true state .5); with a
drift in the world `drift: true` gains held-out bits and finds it (correlation .8); without one it finds an sd below .05
and costs no more than .01 bits.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from kept_steps import Report, fitted, parser, run, synthesised
from numpy.typing import NDArray
from timed_command import ROOT

from ncyber_cli.outputs.metrics import Examples, affine_map_r2
from ncyber_cli.outputs.read_results import read_results, session_groups, texts
from ncyber_cli.worlds.lorenz import BIN_S, simulate

UNITS, TRIALS, HELD_OUT = 32, 120, 8  # an area, a session, of an area
DECAY_S, NOISE_SD, FRAME_BINS = 0.15, 0.3, 3
RECORDED = {"both-1": "AB", "both-2": "AB", "only-a": "A", "only-b": "B"}
DRIFT_TRIALS, DRIFT_SD = 300, 0.4
DRIFT_TRAINING = ["training.epochs=100", "training.batch=32", "data.split.validation=0.1", "data.split.test=0.3"]
Floats = NDArray[np.float64]


def write_sessions(folder: Path, seed: int) -> dict[str, Path]:
    """Four sessions as HDF5, the true state beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for animal, (name, areas) in enumerate(RECORDED.items()):
        world = simulate(trials=TRIALS, seed=seed, animal=animal, units=2 * UNITS)
        files[name] = folder / f"{name}.h5"
        with h5py.File(files[name], "w") as file:
            if "A" in areas:
                file["spikes"] = world.counts[:, :, :UNITS]
                file["spike_names"] = [f"a{unit}" for unit in range(UNITS)]
            if "B" in areas:
                file["fluorescence"] = fluorescence(
                    world.counts[:, :, UNITS:], np.random.default_rng([seed, animal, 9])
                )
                file["roi_names"] = [f"b{unit}" for unit in range(UNITS)]
            file["latent"] = world.truth["latent"].values
    return files


def fluorescence(counts: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """An indicator that every spike lifts by one, with noise; NaN between frames."""
    keep, level, trace = np.exp(-BIN_S / DECAY_S), np.zeros((len(counts), counts.shape[2])), np.empty(counts.shape)
    for time in range(counts.shape[1]):
        level = keep * level + counts[:, time]
        trace[:, time] = level
    trace += NOISE_SD * rng.standard_normal(trace.shape)
    trace[:, np.arange(trace.shape[1]) % FRAME_BINS != FRAME_BINS - 1] = np.nan
    return trace.astype(np.float32)


def write_spec(path: Path, areas: str) -> Path:
    sources = {
        "A": {"source": "spikes", "kind": "spikes", "area": "A", "labels": "spike_names"},
        "B": {"source": "fluorescence", "kind": "calcium", "area": "B", "labels": "roi_names"},
    }
    held_out = [f"{area.lower()}{unit}" for area in areas for unit in range(UNITS - HELD_OUT, UNITS)]
    spec = {
        "version": 1,
        "data": {
            "bin_s": BIN_S,
            "neural": [{**sources[area], "axes": ["trial", "time", "unit"]} for area in areas],
            "held_out": {"units": held_out},
            "split": {"by": "trial", "validation": 0.1, "test": 0.3},
        },
        "model": {"brain": {"latents": dict.fromkeys(areas, 5), "hidden": 64}},
        "inference": {"inputs": ["neural"], "dropout": {"kind": "input", "share": 0.3}},
        "training": {"epochs": 60, "batch": 32, "learning_rate": 2e-2},
    }
    path.write_text(yaml.safe_dump(spec))
    return path


def scores(work: Path, name: str, fit: Path, files: list[Path]) -> tuple[Path, dict[str, dict[str, Any]]]:
    """The results file, and what `infer` prints of each session."""
    results, kept = work / f"{name}.h5", work / f"{name}.scores.json"
    if not kept.exists():
        words = ["infer", fit, *files, "--out", results, "--overwrite", "--json"]
        command = [sys.executable, "-m", "ncyber_cli", *map(str, words)]
        kept.write_text(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout)
    rows = json.loads(kept.read_text())
    keys = ("co_bps", "co_bps_null", "co_r2", "co_r2_null")
    return results, {row["session"]: {key: row[key] for key in keys if key in row} for row in rows}


def mapped_r2(results: Path, session: str, area: str, data: Path) -> float:
    """R2 of the true state from an area's latents by the affine map of training trials."""
    with read_results(results) as file, h5py.File(data) as truth:
        group = next(each for each in session_groups(file) if each.attrs["session"] == session)
        split, own = np.array(texts(group["split"])), np.array(texts(group["latents/area"])) == area
        latents = group["latents/mean"][()][:, :, own]
        state = truth["latent"][:, : latents.shape[1]]
    parts = [Examples(latents[rows], state[rows], np.ones(state[rows].shape[:2], bool)) for rows in
             (split == "train", split == "test")]  # fmt: skip
    return float(affine_map_r2(*parts))


def modalities(work: Path, seed: int, settings: list[str]) -> Report:
    files = write_sessions(work / "data", seed)
    found: Report = {}
    for name, areas in (("mixed", "AB"), ("spikes_alone", "A"), ("calcium_alone", "B")):
        chosen = [path for session, path in files.items() if set(RECORDED[session]) & set(areas)]
        cost = fitted(work / name, write_spec(work / f"{name}.yaml", areas), chosen, settings, seed)
        results, rows = scores(work, name, work / name, chosen)
        state = {f"{path.stem}, {area}": mapped_r2(results, path.stem, area, path) for path in chosen for area in areas}
        found[name] = {"cpu_s": cost["cpu_s"], "sessions": rows, "state_r2": state}
    return found


def drifts(work: Path, seed: int, settings: list[str]) -> Report:
    found: Report = {}
    overrides = [*DRIFT_TRAINING, *settings]
    for world, sd in (("drifting", DRIFT_SD), ("stable", 0.0)):
        words = ("--trials", str(DRIFT_TRIALS), "--seed", str(seed), "--drift", str(sd))
        files = synthesised(work / world, "lorenz", *words)
        for drift in ("true", "false"):
            name = f"{world}_drift_{drift}"
            lorenz = ROOT / "example_configs" / "lorenz.yaml"
            cost = fitted(work / name, lorenz, files, [*overrides, f"model.drift={drift}"], seed)
            results, rows = scores(work, name, work / name, files)
            found[name] = {"cpu_s": cost["cpu_s"], **next(iter(rows.values()))}
            if drift == "true":
                found[name] |= drift_found(results, seed, sd)
    return found


def drift_found(results: Path, seed: int, sd: float) -> dict[str, float]:
    """Spread of the inferred drift, and its correlation with the true one on test trials, over all units."""
    world = simulate(trials=DRIFT_TRIALS, seed=seed, animal=0, drift_sd=sd)
    log_rate = np.log(world.truth["rate"].values)
    driven = world.truth["latent"].values @ world.unit_truth["weights"].T + world.unit_truth["offset"]
    true = (log_rate - driven)[:, 0]
    with read_results(results) as file:
        (group,) = session_groups(file)
        drift, test = group["rates/drift"][()], np.array(texts(group["split"])) == "test"
    agreement = {"correlation": float(np.corrcoef(drift[test].ravel(), true[test].ravel())[0, 1])} if sd else {}
    return {"drift_sd": float(np.median(drift.std(axis=0))), **agreement}


def benchmark(options: Any, work: Path) -> Report:
    work.mkdir(parents=True, exist_ok=True)
    areas, drift = modalities(work, options.seed, options.overrides), drifts(work, options.seed, options.overrides)
    mixed, both = areas["mixed"]["sessions"], ("both-1", "both-2")
    with_drift, without = drift["drifting_drift_true"], drift["drifting_drift_false"]
    stable = drift["stable_drift_true"]
    passed = {
        "calcium gains": all(mixed[name]["co_r2"] > areas["calcium_alone"]["sessions"][name]["co_r2"] for name in both),
        "spikes lose nothing": all(
            mixed[name]["co_bps"] > areas["spikes_alone"]["sessions"][name]["co_bps"] - 0.01 for name in both
        ),
        "a missing area is inferred": areas["mixed"]["state_r2"]["only-a, B"] >= 0.5,
        "drift gains": with_drift["co_bps"] > without["co_bps"],
        "drift is found": with_drift["correlation"] >= 0.8,
        "no drift, none found": stable["drift_sd"] < 0.05,
        "no drift, no loss": stable["co_bps"] > drift["stable_drift_false"]["co_bps"] - 0.01,
    }
    return {"seed": options.seed, "areas": areas, "drift": drift, "passed": passed}


if __name__ == "__main__":
    sys.exit(run(benchmark, parser(__doc__, seed=601).parse_args()))
