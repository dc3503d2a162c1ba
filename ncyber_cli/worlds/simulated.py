"""What every simulated world returns: one animal's recording and, beside it, the truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE_BITS = 8  # rates fill most of a file; to 0.2 % they cost a quarter of float32 and change no score


@dataclass(frozen=True)
class Signal:
    """A signal of every trial; sample k of a trial is taken at `start_s + k / rate_hz` after the trial's start."""

    values: NDArray[np.float64]  # (trial, time, feature)
    rate_hz: float
    unit: str
    description: str
    start_s: float = 0.0
    significant_bits: int = 13  # what is stored of each value; 13 bits are 0.006 %


@dataclass(frozen=True)
class SimulatedAnimal:
    """One animal, one session. Times of trials are seconds from the trial's start, NaN where nothing happened."""

    animal: str
    world: str
    seed: int
    bin_s: float
    counts: NDArray[np.uint8]  # (trial, time, unit)
    unit_area: list[str]  # (unit,)
    behavior: dict[str, Signal] = field(default_factory=dict)
    inputs: dict[str, Signal] = field(default_factory=dict)
    truth: dict[str, Signal] = field(default_factory=dict)
    trial_columns: dict[str, NDArray[Any]] = field(default_factory=dict)  # what a lab knows, (trial,)
    trial_truth: dict[str, NDArray[np.float64]] = field(default_factory=dict)  # what only the world knows, (trial,)
    unit_columns: dict[str, NDArray[Any]] = field(default_factory=dict)  # what a lab knows, (unit,)
    unit_truth: dict[str, NDArray[np.float64]] = field(default_factory=dict)  # (unit,) or (unit, feature)
    constants: dict[str, float] = field(default_factory=dict)  # mass_kg, delay_s, ...


def poisson_counts(expected: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Poisson counts of any shape; above 255 a bin is clipped, which no neuron's rate comes near."""
    return np.minimum(rng.poisson(expected), 255).astype(np.uint8)
