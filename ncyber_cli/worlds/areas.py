"""Three areas with known edges as a lab sees them: spikes, stimuli, and trials in which an area is disturbed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.worlds.area_network import (
    AREAS,
    BIN_S,
    LATENTS,
    STEP_S,
    STIMULI,
    TRIAL_S,
    Activity,
    Events,
    Network,
    draw_network,
    run_network,
)
from ncyber_cli.worlds.simulated import RATE_BITS, Signal, SimulatedAnimal, poisson_counts

NOBODY: Final = "none"
STIMULUS_S, STIMULATION_S, SILENCE_S = (0.1, 0.3), 0.2, (0.3, 0.5)  # how long each lasts
DISTURBED = 0.25  # share of trials with a silenced area, and of others with a stimulated one
Floats = NDArray[np.float64]


def simulate(
    *,
    trials: int = 240,
    seed: int = 0,
    animal: int = 0,
    units: int = 72,
    silenced: Sequence[str] = AREAS,
    stimulated: Sequence[str] = AREAS,
) -> SimulatedAnimal:
    """One animal's session; brain, stimuli and noise depend on (seed, animal) and sizes, not on what is disturbed.

    A quarter of the trials has one of the areas `silenced` (text column of the trial table, as is `stimulated`),
    another quarter one of those `stimulated`; the rest, and all where the list is empty, none. Truth: `latent` (areas
    side by side) and `rate`; the edges as constants, edge_M1_PMd = 1 where M1 speaks to PMd, with delay_M1_PMd_s and
    gain_M1_PMd, the Frobenius norm of its weights; each unit's readout.
    """
    network = draw_network(np.random.default_rng([seed, animal, 11]), units)
    which = np.random.default_rng([seed, animal, 12])
    off, on = draw_disturbed(trials, silenced, stimulated, which)
    events = draw_events(trials, off, on, np.random.default_rng([seed, animal, 13]))
    activity = run_network(network, events, np.random.default_rng([seed, animal, 14]))
    rate = bin_means(activity.rate_hz) * BIN_S
    return SimulatedAnimal(
        animal=f"areas-{animal + 1}",
        world="areas",
        seed=seed,
        bin_s=BIN_S,
        counts=poisson_counts(rate, np.random.default_rng([seed, animal, 15])),
        unit_area=[AREAS[area] for area in network.unit_area],
        inputs=_inputs(events),
        truth=_truth(activity, rate),
        trial_columns={"silenced": off, "stimulated": on},
        unit_truth={"weights": network.readout, "offset": network.offset + np.log(BIN_S)},
        constants=_edges(network),
    )


def draw_disturbed(
    trials: int, silenced: Sequence[str], stimulated: Sequence[str], rng: np.random.Generator
) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """The area that is silenced and the one that is stimulated in each trial; never both in one."""
    kind, place = rng.uniform(size=trials), rng.uniform(size=trials)

    def chosen(areas: Sequence[str], here: NDArray[np.bool_]) -> NDArray[np.str_]:
        if not areas:
            return np.full(trials, NOBODY)
        return np.where(here, np.array(areas)[(place * len(areas)).astype(np.int64)], NOBODY)

    off, on = chosen(silenced, kind < DISTURBED), chosen(stimulated, kind >= 1 - DISTURBED)
    return off, on


def draw_events(
    trials: int, silenced: NDArray[np.str_], stimulated: NDArray[np.str_], rng: np.random.Generator
) -> Events:
    """Every trial has one stimulus in every area, of random size, time and length; disturbances fall anywhere."""
    steps, n = round(TRIAL_S / STEP_S), len(AREAS)
    time_s = STEP_S * np.arange(steps, dtype=np.float64)[None, :, None]
    begin, length = rng.uniform(0.0, 0.8 * TRIAL_S, (trials, 1, n)), rng.uniform(*STIMULUS_S, (trials, 1, n))
    size = rng.standard_normal((trials, 1, n, STIMULI))
    stimulus = size * _within(time_s, begin, length)[..., None]
    onset = rng.uniform(0.2, 0.6 * TRIAL_S, (trials, 1, 1))
    silence_s = rng.uniform(*SILENCE_S, (trials, 1, 1))
    off = _within(time_s, onset, silence_s) & (silenced[:, None, None] == np.array(AREAS))
    on = _within(time_s, onset, STIMULATION_S) & (stimulated[:, None, None] == np.array(AREAS))
    return Events(stimulus, on.astype(np.float64), off)


def _within(time_s: Floats, begin: Floats, length: Floats | float) -> NDArray[np.bool_]:
    """Events begin and end on the edges of bins."""
    first, last = (BIN_S * np.round(edge / BIN_S) for edge in (begin, begin + length))
    inside: NDArray[np.bool_] = (time_s + STEP_S / 2 > first) & (time_s + STEP_S / 2 < last)
    return inside


def bin_means(values: Floats) -> Floats:
    """Steps (trial, step, ...) to bins (trial, time, ...)."""
    per_bin = round(BIN_S / STEP_S)
    means: Floats = values.reshape(len(values), -1, per_bin, *values.shape[2:]).mean(2)
    return means


def _inputs(events: Events) -> dict[str, Signal]:
    found = {}
    for index, area in enumerate(AREAS):
        for name, values, what in (
            ("stimulus", events.stimulus[:, :, index], f"what is shown to {area}"),
            ("stimulation", events.stimulation[:, :, index, None], f"{area} is stimulated"),
            ("silencing", events.silenced[:, :, index, None].astype(np.float64), f"{area} is silenced"),
        ):
            found[f"{name}_{area}"] = Signal(bin_means(values), 1 / BIN_S, "a.u.", what, BIN_S / 2)
    return found


def _truth(activity: Activity, rate: Floats) -> dict[str, Signal]:
    latent = bin_means(activity.latent)
    flat = latent.reshape(*latent.shape[:2], len(AREAS) * LATENTS)
    names = f"{LATENTS} latents each of {', '.join(AREAS)}"
    return {
        "latent": Signal(flat, 1 / BIN_S, "a.u.", names, BIN_S / 2),
        "rate": Signal(rate, 1 / BIN_S, "counts", "expected spikes per bin of each unit", BIN_S / 2, RATE_BITS),
    }


def _edges(network: Network) -> dict[str, float]:
    found = {}
    for to, target in enumerate(AREAS):
        for of, source in enumerate(AREAS):
            if to != of:
                pair = f"{source}_{target}"
                found[f"edge_{pair}"] = float(network.edge[to, of])
                found[f"gain_{pair}"] = float(np.linalg.norm(network.across[to, of]))
                found[f"delay_{pair}_s"] = float(network.delay_s[to, of])
    return found
