"""Noise that belongs to a trial: the same whatever else is in its batch, and however long the batch is.

Each trial and sample has a stream of its own, keyed by a hash of seed, sample and the trial's name and drawn
bin by bin, so that order, company and padding change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ncyber_cli.inference.elbo import NeuroModel, Noise, noise_sizes

_CHI_SQUARE = 3  # degrees of freedom of the body's residual, as in elbo.draw_noise
_SMALLEST_CHI_SQUARE = 1e-4


@dataclass(frozen=True)
class TrialKey:
    """A trial's name over all sessions of all animals."""

    animal: str
    session: str
    trial: str


@dataclass(frozen=True)
class PathNoise:
    """Noise of one rollout from the prior: besides that of a posterior sample, when the objective is redrawn."""

    noise: Noise
    jump: Float[Tensor, "time trial"]  # uniform


def trial_noise(model: NeuroModel, keys: Sequence[TrialKey], n_time: int, seed: int, sample: int) -> Noise:
    """Standard noise of one posterior sample of each trial, in the model's dtype and on its device."""
    return path_noise(model, keys, n_time, seed, sample).noise


def path_noise(model: NeuroModel, keys: Sequence[TrialKey], n_time: int, seed: int, sample: int) -> PathNoise:
    """As `trial_noise`, with what a rollout needs besides."""
    n_latent, n_objective, n_control, n_residual, n_embedding = noise_sizes(model)
    widths = [1, n_latent, n_objective, n_residual, _CHI_SQUARE * n_residual]
    drawn = [_stream(key, seed, sample) for key in keys]
    first = np.stack([stream.standard_normal(n_control + n_embedding) for stream in drawn])
    rest = np.stack([stream.standard_normal((n_time, sum(widths))) for stream in drawn], axis=1)
    like = model.loop.initial_mean
    actuator, embedding = torch.split(torch.from_numpy(first).to(like), [n_control, n_embedding], -1)
    jump, latent, objective, student, chi = torch.split(torch.from_numpy(rest).to(like), widths, -1)
    squares = chi.square().reshape(n_time, len(keys), n_residual, _CHI_SQUARE)
    chi_square = squares.mean(-1).clamp(min=_SMALLEST_CHI_SQUARE)
    noise = Noise(latent, objective, actuator, student / chi_square.sqrt(), embedding)
    return PathNoise(noise, torch.special.ndtr(jump[..., 0]))


def trial_seed(key: TrialKey, seed: int, sample: int) -> int:
    """A seed of 31 bits for a world outside the model, as much the trial's own as its noise."""
    return _digest(key, seed, sample) >> 97


def _stream(key: TrialKey, seed: int, sample: int) -> np.random.Generator:
    """NumPy draws normals one after the other, so that a longer draw begins with the shorter one; torch does not."""
    return np.random.Generator(np.random.PCG64(_digest(key, seed, sample)))


def _digest(key: TrialKey, seed: int, sample: int) -> int:
    name = "\0".join((str(seed), str(sample), key.animal, key.session, key.trial))
    return int.from_bytes(blake2b(name.encode(), digest_size=16).digest())
