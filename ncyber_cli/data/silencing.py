"""Areas that are silenced in part of a recording: what their units emit then says nothing of the brain's state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.features import input_of
from ncyber_cli.data.recording import TRAIN, Session
from ncyber_cli.spec import Spec

SILENCED = 0.5  # a bin's mean of a silencing series above this: the area is silenced for most of it


def silence(session: Session, spec: Spec) -> Session:
    """The session with its silenced units missing wherever their area is silenced, and their floor beside it.

    The floor (unit,) is what they emit in silenced bins of training trials, on average per bin; zero where that was
    never seen.
    """
    if all(given.kind != "silencing" for given in spec.data.inputs.values()):  # before anything of the data's size
        return session
    silent = silenced_units(session, spec)
    if not silent.any():
        return session
    observation = session.observation.astype(np.float32)
    training = silent & (session.split == TRAIN)[:, None, None] & ~np.isnan(observation)
    total = np.where(training, observation, 0.0).sum((0, 1), dtype=np.float64)
    floor = total / np.maximum(training.sum((0, 1)), 1)
    observation[silent] = np.nan
    return replace(session, observation=observation, floor=floor)


def silenced_units(session: Session, spec: Spec) -> NDArray[np.bool_]:
    """Which units are silenced in which bins, (trial, time, unit)."""
    unit_area = np.array(session.unit_area)
    silent = np.zeros((*session.mask.shape, len(unit_area)), np.bool_)
    for column, name in enumerate(session.input_names):
        given = input_of(name, spec)
        if given is not None and given.kind == "silencing":
            silent |= (session.input[:, :, column] > SILENCED)[:, :, None] & (unit_area == given.area)
    return silent & session.mask[:, :, None]
