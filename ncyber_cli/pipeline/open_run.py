"""A finished run, opened: its model on a device, its spec, and the names and units of what it infers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.data.batches import Batch, Cohort
from ncyber_cli.data.open_hdf5 import file_sha256
from ncyber_cli.data.recording import Session
from ncyber_cli.errors import CheckpointError
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.trial_noise import TrialKey
from ncyber_cli.model.layout import Layout
from ncyber_cli.outputs.results_layout import Features, SessionHeader
from ncyber_cli.pipeline.device import chosen_device
from ncyber_cli.spec import MLPController, PointMass, Spec
from ncyber_cli.training.checkpoint import BEST, LAST, load, restore


@dataclass(frozen=True)
class OpenRun:
    path: Path  # of the checkpoint
    sha256: str  # of the checkpoint
    spec: Spec
    layout: Layout
    model: NeuroModel
    device: torch.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.loop.initial_mean.dtype


@dataclass(frozen=True)
class TrialBatch:
    """Some trials of one session, on the run's device."""

    trials: NDArray[np.int64]
    batch: Batch
    keys: list[TrialKey]


def open_run(run: Path, which: str, device: str) -> OpenRun:
    """The model of a run's folder, `which` is best or last; best gives way to last while a fit is young.

    Raises CheckpointError for a folder that is no run, UsageError for a device that is not there.
    """
    chosen = chosen_device(device)
    path = _checkpoint(Path(run), which)
    digest = file_sha256(path)
    checkpoint = load(path)
    while (now := file_sha256(path)) != digest:  # a fit that is still running has written another
        digest, checkpoint = now, load(path)
    return OpenRun(path, digest, checkpoint.spec, checkpoint.layout, restore(checkpoint, chosen), chosen)


def check_readers(run: OpenRun) -> None:
    """Raise CheckpointError if nothing has learned to read the causal objective yet: that comes last in a fit."""
    readers = run.model.readers
    if readers is not None and not readers.ready:
        remedy = "wait for the fit, or finish it with ncyber fit ... --resume"
        what = "was saved before its fit was finished, and no causal objective can be read yet"
        raise CheckpointError(what, where=str(run.path), remedy=remedy)


def _checkpoint(run: Path, which: str) -> Path:
    remedy = "give the folder that `ncyber fit ... --out RUN` wrote"
    if not run.exists():
        raise CheckpointError("there is no such run", where=str(run), remedy=remedy)
    if run.is_file():
        return run
    names = (BEST, LAST) if which == "best" else (LAST,)
    for name in names:
        if (run / name).exists():
            return run / name
    raise CheckpointError(f"holds no {' and no '.join(names)}", where=str(run), remedy=remedy)


def trial_batches(run: OpenRun, session: Session, trials: NDArray[np.int64], size: int) -> Iterator[TrialBatch]:
    """The named trials of one session, `size` at a time, as the run's readout knows them."""
    cohort = Cohort([session], run.layout.animals, run.layout.n_unit, run.dtype)
    readout = readout_of(run.layout, session.animal, session.session)
    for start in range(0, len(trials), size):
        chosen = trials[start : start + size]
        batch = cohort.batch(np.stack([np.zeros_like(chosen), chosen], axis=1))
        batch = replace(batch, session=torch.full_like(batch.session, readout)).to(run.device)
        keys = [TrialKey(session.animal, session.session, session.trial_id[trial]) for trial in chosen]
        yield TrialBatch(chosen, batch, keys)


def readout_of(layout: Layout, animal: str, session: str) -> int:
    """The index of a session's readout."""
    return [(known.animal, known.session) for known in layout.sessions].index((animal, session))


def counting_units(run: OpenRun, session: Session) -> NDArray[np.bool_]:
    """Which of a session's units emit counts, (unit,)."""
    table = run.model.loop.emission.counting()[readout_of(run.layout, session.animal, session.session)]
    counting: NDArray[np.bool_] = table[: len(session.unit_id)].cpu().numpy()
    return counting


def header_of(run: OpenRun, session: Session, trials: NDArray[np.int64] | None = None) -> SessionHeader:
    """What a results file says of a session (default all its trials) before the first result."""
    chosen = np.arange(len(session.trial_id)) if trials is None else trials
    return SessionHeader(
        animal=session.animal,
        session=session.session,
        bin_s=session.bin_s,
        trial_id=[session.trial_id[trial] for trial in chosen],
        split=session.split[chosen],
        event_s=session.event_s[chosen],
        unit_id=session.unit_id,
        unit_area=session.unit_area,
        held_out=session.held_out,
        time_s=session.time_s[chosen],
        mask=session.mask[chosen],
        features=features_of(run, session.unit_id, session.unit_kind),
        about=session.about,
    )


def features_of(run: OpenRun, unit_id: list[str], unit_kind: list[str]) -> dict[str, Features]:
    """Names and units of every group that the run's model has."""
    layout, loop, body = run.layout, run.model.loop, run.spec.model.body
    areas = [area for area, n in zip(layout.area_names, layout.area_latents, strict=True) for _ in range(n)]
    features = {"latents": Features(_numbered("latent", len(areas)), ["a.u."] * len(areas), areas)}
    if loop.controller is not None and loop.objective is not None:
        n_control, unit = loop.controller.n_control, "a.u."
        if isinstance(body, PointMass):
            unit = _force_unit(layout.body_units[0]) if body.mass_kg is not None else f"{layout.body_units[0]}/s^2"
        features["controls"] = Features(_numbered("control", n_control), [unit] * n_control)
        features["actuator"] = Features(_numbered("actuator", n_control), [unit] * n_control)
        features["objectives"] = _objectives(run, loop.objective.size)
    units = ["counts/bin" if kind == "spikes" else "a.u." for kind in unit_kind]
    features["rates"] = Features(unit_id, units)
    if loop.body is not None:
        features["body"] = Features(layout.body_names, layout.body_units)
    return features


def objective_in_body_units(run: OpenRun) -> bool:
    """Whether the objective is a goal for the body's recorded channels; elsewhere its axes are the model's own."""
    return not isinstance(run.spec.model.controller, MLPController) and run.model.loop.body is not None


def _objectives(run: OpenRun, size: int) -> Features:
    if not objective_in_body_units(run):
        return Features(_numbered("objective", size), ["a.u."] * size)
    names, units = run.layout.body_names[:size], run.layout.body_units[:size]
    return Features([f"objective_{name}" for name in names], units)


def _numbered(word: str, n: int) -> list[str]:
    return [f"{word}_{i}" for i in range(n)]


def _force_unit(position_unit: str) -> str:
    return "N" if position_unit == "m" else f"kg {position_unit}/s^2"
