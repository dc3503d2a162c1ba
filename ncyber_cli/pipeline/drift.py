"""How the readout of a session drifts, for those who want to see it: by trial and unit, and in one number."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.data.recording import Session
from ncyber_cli.pipeline.open_run import OpenRun, readout_of


@torch.no_grad()
def unit_drift(run: OpenRun, session: Session) -> NDArray[np.float32] | None:
    """What each trial's readout is off the session's mean, (trial, unit): of log rates, or in a signal's own unit.

    None for a run whose spec has no drift.
    """
    drift = run.model.loop.emission.drift
    if drift is None:
        return None
    when = torch.as_tensor(session.clock()).to(drift.begin)
    index = torch.full((len(when),), readout_of(run.layout, session.animal, session.session), device=run.device)
    found: NDArray[np.float32] = drift(index, when)[:, : len(session.unit_id)].float().cpu().numpy()
    return found


def drift_sizes(run: OpenRun, sessions: list[Session]) -> list[dict[str, Any]]:
    """By session: the median over units of the drift's sd over its trials.

    `log_rate_sd` of units that emit counts or events; `signal_sd` of the others, in sds of their signals. None where a
    session has no such unit. Empty for a run whose spec has no drift.
    """
    emission, rows = run.model.loop.emission, []
    for session in sessions:
        found = unit_drift(run, session)
        if found is None or emission.drift is None:
            continue
        index, n_unit = readout_of(run.layout, session.animal, session.session), len(session.unit_id)
        log_linear = emission.drift.log_linear[index, :n_unit].cpu().numpy()
        sd = found.std(axis=0) / emission.drift.scale[index, :n_unit].cpu().numpy()
        row: dict[str, Any] = {"animal": session.animal, "session": session.session}
        for name, units in (("log_rate_sd", log_linear), ("signal_sd", ~log_linear)):
            row[name] = float(np.median(sd[units])) if units.any() else None
        rows.append(row)
    return rows
