"""Small results files that the tests of outputs share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ncyber_cli.outputs.provenance import Provenance
from ncyber_cli.outputs.results_hdf5 import ResultsWriter
from ncyber_cli.outputs.results_layout import Features, SessionHeader

FEATURES = {
    "latents": Features(["x0", "x1"], ["a.u.", "a.u."], ["M1", "PMd"]),
    "controls": Features(["u0", "u1"], ["m/s^2", "m/s^2"]),
    "actuator": Features(["m0", "m1"], ["m/s^2", "m/s^2"]),
    "objectives": Features(["o0", "o1"], ["m", "m"]),
    "rates": Features(["7", "9", "12"], ["counts/bin"] * 3),
    "body": Features(["position_0", "velocity_0"], ["m", "m/s"]),
}
PROVENANCE = Provenance(
    command=("ncyber", "infer", "runs/my reach"),
    seed=3,
    spec="version: 1\n",
    input_sha256={"a.nwb": "00ff"},
    versions={"ncyber": "0.1.0", "python": "3.11.7"},
)


def header(animal: str = "monkey-a", session: str = "day 1", trials: int = 5, bins: int = 20) -> SessionHeader:
    """A session whose trial 2 is short."""
    mask = np.ones((trials, bins), bool)
    mask[2, bins // 2 :] = False
    return SessionHeader(
        animal=animal,
        session=session,
        bin_s=0.02,
        trial_id=[f"t{index}" for index in range(trials)],
        split=np.arange(trials).astype(np.int8) % 3,
        event_s=np.arange(trials) + 0.1,
        unit_id=["7", "9", "12"],
        unit_area=["M1", "M1", "PMd"],
        held_out=np.array([False, True, False]),
        time_s=np.arange(trials)[:, None] + 0.02 * np.arange(bins) + 0.01,
        mask=mask,
        features=FEATURES,
    )


def values(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def write_results(target: Path, *headers: SessionHeader) -> Path:
    """A complete results file of these sessions, every trial written."""
    with ResultsWriter(target, PROVENANCE.attributes()) as writer:
        for one in headers:
            writer.add_session(one)
            for group, features in one.features.items():
                shape = (*one.mask.shape, len(features.names))
                everything = np.arange(len(one.trial_id))
                writer.write(one.animal, one.session, everything, group, values(shape), np.ones(shape))
    return target
