"""A run whose model was never trained, made in a moment: what `infer` and `simulate` read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tiny import place_prototypes

from ncyber_cli.inference.assemble import assemble
from ncyber_cli.pipeline.sessions import cohort_of, read_sessions
from ncyber_cli.spec import Spec
from ncyber_cli.training.checkpoint import BEST, save
from ncyber_cli.training.describe_latents import describe_latents
from ncyber_cli.training.measure import measure
from ncyber_cli.training.warm_start import warm_start
from ncyber_cli.worlds import lorenz, reach
from ncyber_cli.worlds.to_nwb import save_animal

REACH_DATA: dict[str, Any] = {
    "bin_s": 0.04,
    "trials": {"table": "trials", "align": "go_time", "window_s": [-0.2, 0.6]},
    "neural": [{"source": "units", "kind": "spikes", "area": "from_electrodes"}],
    "behavior": {"position": {"source": "hand_pos", "unit": "m"}, "velocity": {"source": "hand_vel", "unit": "m/s"}},
    "inputs": {
        "force": {"source": "external_force", "kind": "force"},
        "go": {"column": "go_time", "kind": "cue"},
    },
    "held_out": {"fraction": 0.2},
    "split": {"by": "trial", "validation": 0.1, "test": 0.4},
}
REACH_MODEL: dict[str, Any] = {
    "brain": {"kind": "residual_mlp", "latents": 4, "hidden": 8},
    "controller": {"kind": "setpoint"},
    "objective": {"prior": "slow"},
    "body": {"kind": "point_mass"},
    "environment": {"kind": "feedback", "delay_s": 0.1},
}
LORENZ_DATA: dict[str, Any] = {
    "bin_s": 0.04,
    "trials": {"table": "trials", "align": "start_time"},
    "neural": [{"source": "units", "kind": "spikes", "area": "cortex"}],
    "held_out": {"column": "heldout"},
    "split": {"by": "trial", "validation": 0.1, "test": 0.4},
}


def reach_files(folder: Path, trials: int = 10) -> list[Path]:
    """Recordings of two simulated animals."""
    paths = [folder / f"reach-{animal}.nwb" for animal in (1, 2)]
    for animal, path in enumerate(paths):
        save_animal(reach.simulate(seed=0, animal=animal, trials=trials, units=20), path)
    return paths


def lorenz_file(folder: Path, trials: int = 10, animals: int = 1) -> list[Path]:
    """Recordings without a body, one an animal."""
    paths = [folder / f"lorenz-{animal + 1}.nwb" for animal in range(animals)]
    for animal, path in enumerate(paths):
        save_animal(lorenz.simulate(seed=0, animal=animal, trials=trials, units=20), path)
    return paths


def finished_run(
    folder: Path,
    paths: list[Path],
    data: dict[str, Any],
    model: dict[str, Any],
    *,
    finished: bool = True,
    **inference: Any,
) -> Path:
    """A run's folder with best.pt, of a model at its warm start; with `finished` False as if the fit went on."""
    spec = Spec.model_validate(
        {"version": 1, "data": data, "model": model, "inference": {"hidden": 8, "samples": 3, **inference}}
    )
    cohort = cohort_of(read_sessions(spec, paths))
    layout = measure(spec, cohort)
    made = assemble(spec, layout, torch.Generator().manual_seed(0))
    warm_start(made, cohort)
    place_prototypes(made)
    if made.readers is not None:
        made.readers.ready = finished
    if finished:
        basis = describe_latents(made, cohort, spec.inference)
        layout = replace(layout, latent_basis=[area.to_plain() for area in basis])
    folder.mkdir(parents=True)
    save(folder / BEST, spec=spec, layout=layout, model_state=made.state_dict())
    return folder
