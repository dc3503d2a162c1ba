"""Lay the trials of a simulated animal out in time, as the NWB file that a lab would have recorded.

Trials follow one another with a gap in which nothing was recorded: samples are NaN, no unit is
observed, no force acts. Spikes fall uniformly within their bin, on the ticks of a 16384 Hz clock.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.recording import SpikeTrains
from ncyber_cli.data.write_nwb import NwbContents, NwbSeries, NwbTable, write_nwb
from ncyber_cli.worlds.simulated import Signal, SimulatedAnimal

GAP_S = 0.4
CLOCK_HZ = 16384  # a power of two: such times are short binary numbers, which compress
DESCRIPTIONS = {
    "start_time": "start of the trial (s)",
    "stop_time": "end of the trial (s)",
    "target_on_time": "the target appears (s)",
    "go_time": "the go signal (s)",
    "jump_time": "the target jumps on the screen (s), NaN where it does not",
    "pulse_time": "onset of a force pulse (s), NaN where there is none",
    "target_x": "first target, x (m)",
    "target_y": "first target, y (m)",
    "final_target_x": "target at the end of the trial, x (m)",
    "final_target_y": "target at the end of the trial, y (m)",
    "gate_time": "the controller's gate begins to open (s)",
    "cue_arrival_time": "the first target reaches the brain (s)",
    "jump_arrival_time": "the jump reaches the brain (s), NaN without a jump",
    "speed": "what multiplies frequency and damping in this trial",
    "split": "train, validation or test",
    "silenced": "the area that is silenced in part of the trial",
    "stimulated": "the area that is stimulated in part of the trial",
    "quality": "sorting quality",
    "heldout": "unit to be decoded, never encoded",
    "weights": "readout of the latents by each unit's log rate",
    "offset": "log counts per bin of each unit at latents of zero",
}


def save_animal(animal: SimulatedAnimal, target: Path, *, overwrite: bool = False) -> Path:
    """Write one NWB file, truth under /analysis; DataError where it exists and `overwrite` is False."""
    return write_nwb(to_contents(animal), target, overwrite=overwrite)


def to_contents(animal: SimulatedAnimal) -> NwbContents:
    """The session of `animal` on one clock; the first trial starts at 0 s."""
    trials, bins, units = animal.counts.shape
    length_s = bins * animal.bin_s
    start = (length_s + GAP_S) * np.arange(trials)
    positions = {name for name, signal in animal.behavior.items() if signal.unit == "m"}
    behavior = {
        name: _series(signal, trials, length_s, np.nan, position=name in positions)
        for name, signal in animal.behavior.items()
    }
    behavior |= {name: _series(signal, trials, length_s, 0.0) for name, signal in animal.inputs.items()}
    columns = {"start_time": start, "stop_time": start + length_s}
    columns |= {name: _on_clock(name, values, start) for name, values in animal.trial_columns.items()}
    unit_columns = {"quality": np.array(["good"] * units), **animal.unit_columns}
    return NwbContents(
        identifier=f"{animal.animal}-seed{animal.seed}",
        description=f"simulated world {animal.world}, seed {animal.seed}; truth under /analysis",
        animal=animal.animal,
        spikes=_spike_trains(animal, start),
        unit_area=animal.unit_area,
        unit_columns=NwbTable(unit_columns, DESCRIPTIONS),
        observed_s=np.stack([start, start + length_s], axis=1),
        trials=NwbTable(columns, DESCRIPTIONS),
        behavior=behavior,
        analysis={name: _series(signal, trials, length_s, np.nan) for name, signal in animal.truth.items()},
        analysis_tables=_truth_tables(animal, start),
    )


def _truth_tables(animal: SimulatedAnimal, start: NDArray[np.float64]) -> dict[str, NwbTable]:
    constants = {name: np.array([value]) for name, value in animal.constants.items()}
    tables = {"truth_animal": NwbTable(constants, {name: name for name in constants}, "constants of the animal")}
    if animal.trial_truth:
        times = {name: _on_clock(name, values, start) for name, values in animal.trial_truth.items()}
        tables["truth_trials"] = NwbTable(times, DESCRIPTIONS, "what happened inside the animal, by trial")
    if animal.unit_truth:
        tables["truth_units"] = NwbTable(animal.unit_truth, DESCRIPTIONS, "how the units were made")
    return tables


def _on_clock(name: str, values: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
    return values + start if name.endswith("_time") else values


def _series(signal: Signal, trials: int, length_s: float, gap: float, *, position: bool = False) -> NwbSeries:
    """One signal over the session (time, feature), `gap` between trials, rounded to its significant bits."""
    samples = round(length_s * signal.rate_hz)
    pause = round(GAP_S * signal.rate_hz)
    values = np.full((trials, samples + pause, signal.values.shape[-1]), gap, dtype=np.float32)
    values[:, :samples] = significant(signal.values, signal.significant_bits)
    return NwbSeries(
        values=values.reshape(-1, values.shape[-1])[: len(values) * (samples + pause) - pause],
        rate_hz=signal.rate_hz,
        unit=signal.unit,
        description=signal.description,
        start_s=signal.start_s,
        kind="position" if position else "series",
    )


def significant(values: NDArray[np.float64], bits: int) -> NDArray[np.float32]:
    """Round to `bits` significant binary digits, so that gzip finds zeros where there is no information."""
    fraction, exponent = np.frexp(values)
    rounded: NDArray[np.float32] = np.ldexp(np.round(np.ldexp(fraction, bits)), exponent - bits).astype(np.float32)
    return rounded


def _spike_trains(animal: SimulatedAnimal, start: NDArray[np.float64]) -> SpikeTrains:
    """Spike times strictly inside their bins, so that re-binning on the same grid returns the counts."""
    rng = np.random.default_rng([animal.seed, *animal.animal.encode()])
    by_unit = animal.counts.transpose(2, 0, 1)  # (unit, trial, time)
    unit, trial, time = (index.repeat(by_unit[by_unit > 0]) for index in np.nonzero(by_unit))
    begin = start[trial] + time * animal.bin_s
    first_tick = np.floor(begin * CLOCK_HZ) + 1
    ticks = np.ceil((begin + animal.bin_s) * CLOCK_HZ) - first_tick
    seconds = (first_tick + np.floor(rng.uniform(size=begin.size) * ticks)) / CLOCK_HZ
    order = np.lexsort((seconds, unit))
    ends = np.cumsum(np.bincount(unit, minlength=len(by_unit)))
    return SpikeTrains(seconds[order], ends.astype(np.int64))
