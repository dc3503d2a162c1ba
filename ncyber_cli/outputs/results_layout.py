"""The layout of a results file. Its names are a contract: readers outside this program rely on them.

/                                       format, format_version, complete, and the provenance, as attributes
/animals/<animal>/<session>/            animal, session, bin_s, and where the recording says
                                        anything of session or animal, that as JSON in about, as attributes
    trial_id, split (trial)             split is train, validation or test
    event_s (trial)                     the alignment event, s from session start
    unit_id, unit_area, held_out (unit)
    time_s, mask (trial, time)          centre of each bin, s from session start, NaN outside mask
    <group>/names, units (feature)      group is one of GROUPS; a part the model lacks has no group
    <group>/mean, sd (trial, time, feature)
    <group>/sample (sample, trial, time, feature)
                                        where asked for: the samples of which mean and sd are; row k of every group
                                        belongs to one joint draw of the whole trial
    latents/area (feature)
    rates/drift (trial, unit)           of a run whose spec has `drift`: what a trial's readout is off its session's
                                        mean, in log rate (counts, events) or in the signal's own unit
    objectives/cluster (trial, time)    row of cluster_mean that the bin's mean objective belongs to, the largest
                                        cluster first; -1 outside mask
    objectives/cluster_mean (cluster, n_objective)
                                        of a mixture of 1 to 12 Gaussians, size by BIC (1 where goals lie anywhere in
                                        a region), fitted to the animal's
                                        training trials (all trials where there are none)
    objectives/prototype (trial, time, prototype)
                                        of prior `switching` alone: the probability of each prototype
    objectives/prototype_mean (prototype, n_objective)
                                        where they lie, the most visited in training first; cluster is then the most
                                        probable prototype, and cluster_mean the same as prototype_mean
/rollouts/<name>/                       the same, with <group>/sample (sample, trial, time, feature)
                                        instead of mean and sd, and what was set as attributes
    rewards/sample                      of simulate --env: what the environment's steps in each bin paid, 0 in the first
    terminated (sample, trial)          of simulate --env: whether the episode came to its own end; its bins after that
                                        end (or a time limit) are NaN, and mask is False where no sample goes on
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = "ncyber-results"
FORMAT_VERSION = 1
GROUPS = ("latents", "controls", "actuator", "objectives", "rates", "body")
ROLLOUT_GROUPS = (*GROUPS, "rewards")
NO_CLUSTER = -1


@dataclass(frozen=True)
class Features:
    """The features of one group, in the order of its last axis."""

    names: list[str]
    units: list[str]
    area: list[str] | None = None  # of each latent

    def __post_init__(self) -> None:
        if len(self.units) != len(self.names) or (self.area is not None and len(self.area) != len(self.names)):
            raise ValueError(f"{len(self.names)} names need as many units and areas")


@dataclass(frozen=True)
class SessionHeader:
    """Everything about a session that is known before the first result is written."""

    animal: str
    session: str
    bin_s: float
    trial_id: list[str]
    split: NDArray[np.int8]  # (trial,) as in data.recording: TRAIN, VALIDATION or TEST
    event_s: NDArray[np.float64]  # (trial,)
    unit_id: list[str]
    unit_area: list[str]
    held_out: NDArray[np.bool_]  # (unit,)
    time_s: NDArray[np.float64]  # (trial, time)
    mask: NDArray[np.bool_]  # (trial, time)
    features: Mapping[str, Features]  # by group
    about: Mapping[str, Sequence[str]] = field(default_factory=dict)  # what the recording says (data.about)

    def __post_init__(self) -> None:
        trials, units = len(self.trial_id), len(self.unit_id)
        expected: list[tuple[str, Any, tuple[int, ...]]] = [
            ("split", self.split, (trials,)),
            ("event_s", self.event_s, (trials,)),
            ("unit_area", self.unit_area, (units,)),
            ("held_out", self.held_out, (units,)),
            ("mask", self.mask, (trials, *np.shape(self.mask)[1:])),
            ("time_s", self.time_s, np.shape(self.mask)),
        ]
        for name, value, shape in expected:
            if np.shape(value) != shape:
                raise ValueError(f"{name} has shape {np.shape(value)}, expected {shape}")
        unknown = set(self.features) - set(ROLLOUT_GROUPS)
        if unknown:
            raise ValueError(f"unknown groups {sorted(unknown)}, a results file holds {', '.join(ROLLOUT_GROUPS)}")


def path_part(name: str) -> str:
    """A name as one link of an HDF5 path: no slash, not empty, not the dot that means `here`."""
    safe = name.replace("/", "_").replace("\0", "_").strip()
    return safe if safe.strip(".") else f"_{safe}"


def nwb_name(animal: str, session: str) -> str:
    """The NWB file of a session's results, named as archives name files."""
    animal, session = (
        "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in name) for name in (animal, session)
    )
    return f"sub-{animal}_ses-{session}.nwb"


def chunk_shape(trials: int, bins: int, features: int) -> tuple[int, int, int]:
    """Chunks of about 256 KiB of float32, for sizes of at least 1: whole bins, and whole trials where a trial fits."""
    values = 65536
    if bins * features >= values:
        return 1, max(1, min(bins, values // features)), features
    return min(trials, values // (bins * features)), bins, features
