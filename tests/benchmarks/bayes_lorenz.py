"""What an observer who knows the Lorenz equations and the readout could score: the ceiling of every model.

The world is deterministic, so a trial is its initial state. A library of paths drawn from the attractor
(the exact prior) is weighted by each trial's likelihood: self-normalised importance sampling, unbiased as the
library grows, with the effective sample size to show when it is large enough. Paths are then resampled by
weight and their rates averaged.

    python tests/benchmarks/bayes_lorenz.py lorenz-1.nwb --rows 1000:1200
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ncyber_cli.worlds.lorenz import BIN_S, LorenzReadout, attractor_states, next_bin, normalise
from ncyber_cli.worlds.truth import read_truth

CHAINS = 4000  # library paths made at once
STRIDE = 20  # bins from one library path of a chain to its next: a fifth of a turn and more
RESAMPLED = 600  # paths a trial whose rates are averaged
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BayesCeiling:
    """Scores under DESIGN's definitions: bits per spike over each neuron's mean in the scored bins."""

    co_bps: float  # held-out neurons, all bins, from the seen neurons in all bins
    fp_bps: float  # all neurons, second half, from the seen neurons in the first half
    true_co_bps: float  # the true rates' own score where co_bps is scored
    true_fp_bps: float
    latent_r2: float
    rate_r2: float  # held-out neurons
    fp_bps_by_horizon: dict[str, float]
    library: int
    effective_samples_co: list[float]  # 1st, 10th, 50th percentile over trials
    effective_samples_fp: list[float]
    seconds: float


def bits_per_spike(counts: NDArray[np.uint8], rate: Floats) -> float:
    """Poisson log-likelihood over the mean-rate null, per spike; (trial, time, unit), rate in counts per bin."""
    spikes = counts.astype(np.float64)
    null = np.maximum(spikes.mean(axis=(0, 1)), 1e-12)
    gain = (spikes * (np.log(rate) - np.log(null)) - rate + null).sum()
    return float(gain / spikes.sum() / np.log(2))


def bayes_ceiling(
    counts: NDArray[np.uint8],
    latent: Floats,
    readout: LorenzReadout,
    held_out: NDArray[np.bool_],
    *,
    library: int = 200_000,
    seed: int = 0,
) -> BayesCeiling:
    """Ceiling on trials `counts` (trial, time, unit) with true normalised `latent` (trial, time, 3)."""
    began = time.perf_counter()
    rng = np.random.default_rng(seed)
    half = counts.shape[1] // 2
    seen = counts[..., ~held_out].astype(np.float64)
    seen_readout = LorenzReadout(readout.weights[~held_out], readout.offset[~held_out])
    start, all_bins, first_half = _weigh(seen, seen_readout, half, library, rng)
    smoothed, smoothed_rate = _posterior_mean(start, all_bins, readout, counts.shape[1], rng)
    _, forecast = _posterior_mean(start, first_half, readout, counts.shape[1], rng)
    true_rate = readout.expected(latent)
    later = slice(half, None)
    horizons = ((0, 10), (10, 25), (25, counts.shape[1] - half))
    return BayesCeiling(
        co_bps=bits_per_spike(counts[..., held_out], smoothed_rate[..., held_out]),
        fp_bps=bits_per_spike(counts[:, later], forecast[:, later]),
        true_co_bps=bits_per_spike(counts[..., held_out], true_rate[..., held_out]),
        true_fp_bps=bits_per_spike(counts[:, later], true_rate[:, later]),
        latent_r2=_r2(latent, smoothed),
        rate_r2=_r2(true_rate[..., held_out], smoothed_rate[..., held_out]),
        fp_bps_by_horizon={
            f"{a + 1}-{b}": bits_per_spike(counts[:, half + a : half + b], forecast[:, half + a : half + b])
            for a, b in horizons
        },
        library=len(start),
        effective_samples_co=_effective(all_bins),
        effective_samples_fp=_effective(first_half),
        seconds=time.perf_counter() - began,
    )


def _weigh(
    seen: Floats, readout: LorenzReadout, half: int, library: int, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.float32], NDArray[np.float32]]:
    """Initial states (path, 3) and their log-likelihoods (path, trial) given all bins and the first half."""
    trials, bins, _ = seen.shape
    # sum_t,i y log r = sum_t x_t . (C' y_t) + constant of the trial: one product for all paths and trials
    drive = (seen @ readout.weights).transpose(1, 2, 0)  # (time, 3, trial)
    starts, full, first = [], [], []
    state = attractor_states(CHAINS, rng)
    for _ in range(-(-library // CHAINS)):
        path = _paths(state, bins)
        silent = readout.expected(path).sum(axis=-1)  # (path, time)
        early = path[:, :half].reshape(CHAINS, -1) @ drive[:half].reshape(-1, trials)
        late = path[:, half:].reshape(CHAINS, -1) @ drive[half:].reshape(-1, trials)
        starts.append(state)
        first.append((early - silent[:, :half].sum(axis=1, keepdims=True)).astype(np.float32))
        full.append((early + late - silent.sum(axis=1, keepdims=True)).astype(np.float32))
        for _ in range(STRIDE):
            state = next_bin(state)
    return np.concatenate(starts), np.concatenate(full), np.concatenate(first)


def _paths(state: Floats, bins: int) -> Floats:
    """Normalised latents (path, time, 3) that start at `state` (path, 3), in Lorenz units."""
    path = np.empty((len(state), bins, 3))
    for step in range(bins):
        path[:, step] = state
        state = next_bin(state)
    return normalise(path)


def _posterior_mean(
    start: Floats, log_weight: NDArray[np.float32], readout: LorenzReadout, bins: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Posterior means of latent (trial, time, 3) and expected counts (trial, time, unit)."""
    trials = log_weight.shape[1]
    latent, rate = np.empty((trials, bins, 3)), np.empty((trials, bins, len(readout.offset)))
    for trial in range(trials):
        weight = _normalised(log_weight[:, trial])
        # systematic resampling: one uniform draw, evenly spaced along the cumulative weight
        rung = (np.arange(RESAMPLED) + rng.uniform()) / RESAMPLED
        chosen = np.minimum(np.searchsorted(np.cumsum(weight), rung), len(weight) - 1)
        unique, repeats = np.unique(chosen, return_counts=True)
        path = _paths(start[unique], bins)
        share = repeats / RESAMPLED
        latent[trial] = np.tensordot(share, path, 1)
        rate[trial] = np.tensordot(share, readout.expected(path), 1)
    return latent, rate


def _normalised(log_weight: NDArray[np.float32]) -> Floats:
    weight: Floats = np.exp(log_weight.astype(np.float64) - log_weight.max())
    weight /= weight.sum()
    return weight


def _effective(log_weight: NDArray[np.float32]) -> list[float]:
    sizes = [1.0 / np.square(_normalised(column)).sum() for column in log_weight.T]
    return [round(float(size), 1) for size in np.percentile(sizes, [1, 10, 50])]


def _r2(truth: Floats, estimate: Floats) -> float:
    """Pooled over features, each about its own mean."""
    spread = truth - truth.mean(axis=(0, 1))
    return float(1.0 - np.square(truth - estimate).sum() / np.square(spread).sum())


def read_trials(path: Path, rows: slice) -> tuple[NDArray[np.uint8], Floats, LorenzReadout, NDArray[np.bool_]]:
    """Counts, true latents, readout and held-out flags of the trials `rows` of a file of `ncyber synth lorenz`."""
    truth = read_truth(path)
    begin, end = truth.trials["start_time"][rows], truth.trials["stop_time"][rows]
    bins = round(float(end[0] - begin[0]) / BIN_S)
    edges = begin[:, None] + BIN_S * np.arange(bins + 1)
    with h5py.File(path, "r") as file:
        spikes, ends = file["units/spike_times"][()], file["units/spike_times_index"][()]
        held_out = file["units/heldout"][()].astype(bool)
    trains = np.split(spikes, ends[:-1])
    counts = np.stack([np.diff(np.searchsorted(train, edges), axis=1) for train in trains], axis=-1).astype(np.uint8)
    latent = truth.series["latent"].at(edges[:, :-1] + BIN_S / 2)
    return counts, latent, LorenzReadout(truth.units["weights"], truth.units["offset"]), held_out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="NWB file made by ncyber synth lorenz")
    parser.add_argument("--rows", default="0:200", help="trials to score, FIRST:STOP")
    parser.add_argument("--library", type=int, default=200_000, help="paths drawn from the attractor")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    first, stop = (int(part) for part in options.rows.split(":"))
    ceiling = bayes_ceiling(*read_trials(options.file, slice(first, stop)), library=options.library, seed=options.seed)
    print(json.dumps(asdict(ceiling), indent=2))


if __name__ == "__main__":
    main()
