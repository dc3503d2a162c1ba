"""Small recordings and sessions in memory, sound in every respect until a test spoils one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ncyber_cli.data.recording import IntervalTable, NeuralStream, Recording, Sampled, Session, SpikeTrains
from ncyber_cli.spec import Spec

SPEC: dict[str, Any] = {
    "version": 1,
    "data": {
        "bin_s": 0.02,
        "trials": {"window_s": [0.0, 1.0]},
        "neural": [{"source": "units", "kind": "spikes"}],
        "behavior": {"position": {"source": "p", "unit": "m"}, "velocity": {"source": "v", "unit": "m/s"}},
    },
    "model": {"controller": {"kind": "setpoint"}, "body": {"kind": "point_mass"}},
}


def spec(**changes: Any) -> Spec:
    """The spec above with dotted keys set, e.g. spec(**{"model.brain": {"kind": "linear"}})."""
    values = {key: {**part} if isinstance(part, dict) else part for key, part in SPEC.items()}
    for path, value in changes.items():
        part, key = path.split(".")
        values[part][key] = value
    return Spec.model_validate(values)


def recording(**changes: Any) -> Recording:
    """100 s of 6 units and a hand sampled at 100 Hz."""
    rng = np.random.default_rng(0)
    time_s = np.arange(10_000) / 100
    position = 0.1 * np.stack([np.sin(time_s), np.cos(time_s)], axis=1)
    velocity = 0.1 * np.stack([np.cos(time_s), -np.sin(time_s)], axis=1)
    trains = SpikeTrains(np.concatenate([np.sort(rng.uniform(0, 100, 500)) for _ in range(6)]), 500 * np.arange(1, 7))
    start_s = np.arange(50) * 2.0
    fields: dict[str, Any] = {
        "animal": "a",
        "session": "a1",
        "path": Path("a1.nwb"),
        "sha256": "00",
        "neural": [NeuralStream(trains, [str(i) for i in range(6)], ["M1"] * 6)],
        "behavior": {"position": Sampled(position, time_s), "velocity": Sampled(velocity, time_s)},
        "inputs": {},
        "trials": IntervalTable([str(i) for i in range(50)], {"start_time": start_s, "stop_time": start_s + 1}),
    }
    return Recording(**{**fields, **changes})


def session(**changes: Any) -> Session:
    """50 trials of 5 bins, 6 units in M1, a hand in two axes."""
    start_s = np.arange(50)[:, None] * 2.0
    split = np.repeat(np.array([0, 1, 2], dtype=np.int8), [35, 5, 10])
    fields: dict[str, Any] = {
        "animal": "a",
        "session": "a1",
        "path": Path("a1.nwb"),
        "sha256": "00",
        "bin_s": 0.02,
        "unit_id": [str(i) for i in range(6)],
        "unit_area": ["M1"] * 6,
        "unit_kind": ["spikes"] * 6,
        "held_out": np.zeros(6, dtype=np.bool_),
        "trial_id": [str(i) for i in range(50)],
        "split": split,
        "time_s": start_s + 0.02 * np.arange(5),
        "event_s": start_s[:, 0],
        "mask": np.ones((50, 5), dtype=np.bool_),
        "observation": np.ones((50, 5, 6), dtype=np.uint8),
        "body": np.zeros((50, 5, 2), dtype=np.float32),
        "body_names": ["position_0", "position_1"],
        "body_units": ["m", "m"],
        "input": np.zeros((50, 5, 0), dtype=np.float32),
        "input_names": [],
        "force": np.zeros((50, 5, 0), dtype=np.float32),
    }
    return Session(**{**fields, **changes})
