"""What passes along each directed edge between areas, on test trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.data.recording import TEST, Session
from ncyber_cli.inference.elbo import sample_posterior
from ncyber_cli.inference.posterior import view_of
from ncyber_cli.inference.trial_noise import trial_noise
from ncyber_cli.pipeline.open_run import OpenRun, trial_batches

_TRIALS, _SEED = 64, 0


@torch.no_grad()
def edge_strengths(run: OpenRun, sessions: Sequence[Session]) -> list[dict[str, Any]]:
    """One row a directed edge, the strongest first; none where the brain has one area or there are no test trials.

    `nats_per_bin` is by how much the changing part of its messages moves the target's next state, in nats (see
    Messages.nats): what a target that did not hear them would lose in a bin, at most. `standard_error` is that of the
    mean over test trials; another fit may differ by more.
    """
    messages = run.model.loop.brain.messages
    if messages is None:
        return []
    trials = np.concatenate([_of_trials(run, session) for session in sessions])
    if not len(trials):
        return []
    mean, error = trials.mean(0), trials.std(0) / np.sqrt(max(1, len(trials) - 1))
    delay_s = (run.layout.bin_s * messages.delay_bins()).tolist()
    return [
        {
            "from": messages.edges[edge][0],
            "to": messages.edges[edge][1],
            "nats_per_bin": float(mean[edge]),
            "standard_error": float(error[edge]),
            "delay_s": delay_s[edge],
        }
        for edge in np.argsort(-mean)
    ]


def _of_trials(run: OpenRun, session: Session) -> NDArray[np.float64]:
    """Mean nats per bin of each edge in each test trial, (trial, edge)."""
    loop, found = run.model.loop, []
    for some in trial_batches(run, session, np.flatnonzero(session.split == TEST), _TRIALS):
        view = view_of(run.model, some.batch, run.spec.inference, "both")
        noise = trial_noise(run.model, some.keys, some.batch.mask.shape[1], _SEED, 0)
        latent = sample_posterior(run.model, some.batch, view, noise).trajectory.latent
        inside = some.batch.mask.T[:, :, None]
        nats = loop.message_nats(latent, around_mean=True) * inside
        found.append((nats.sum(0) / inside.sum(0)).double().cpu().numpy())
    return np.concatenate(found) if found else np.zeros((0, len(loop.brain.edges)))
