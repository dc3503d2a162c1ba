"""A linear-Gaussian system three ways: for the Kalman recursions, as one dense Gaussian, as the program's own loop."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.inference.kalman import LinearGaussian
from ncyber_cli.model.brain import Areas, Brain
from ncyber_cli.model.closed_loop import ClosedLoop
from ncyber_cli.model.emission import Gaussian
from ncyber_cli.model.meta import Individuals

Array = NDArray[np.float64]


def example(
    n: int = 3, units: int = 4, bins: int = 7, *, initial_mean: float = 0.0, missing: float = 0.0, seed: int = 0
) -> tuple[LinearGaussian, torch.Tensor]:
    """A stable system and one recording of it, (time, unit), NaN as missing."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    transition = 0.9 * torch.linalg.qr(normal(n, n))[0] + 0.05 * normal(n, n)
    system = LinearGaussian(
        initial_mean=initial_mean + normal(n),
        initial_variance=0.5 + normal(n).square(),
        transition=transition,
        offset=normal(n),
        process_variance=0.2 + normal(n).square(),
        readout=normal(units, n),
        readout_offset=normal(units),
        noise_variance=0.3 + normal(units).square(),
    )
    latent, observation = system.initial_mean + system.initial_variance.sqrt() * normal(n), []
    for _ in range(bins):
        observation.append(
            system.readout @ latent + system.readout_offset + system.noise_variance.sqrt() * normal(units)
        )
        latent = system.transition @ latent + system.offset + system.process_variance.sqrt() * normal(n)
    recorded = torch.stack(observation)
    hidden = torch.rand(recorded.shape, generator=generator, dtype=torch.float64) < missing
    return system, torch.where(hidden, torch.nan, recorded)


def dense_joint(system: LinearGaussian, bins: int) -> tuple[Array, Array, Array, Array]:
    """Mean (time, n) and covariance (time, n, time, n) of x; readout (unit, n) and noise (unit, unit) of y given x."""
    n, transition = len(system.initial_mean), system.transition.numpy()
    mean = np.zeros((bins, n))
    covariance = np.zeros((bins, n, bins, n))
    mean[0], covariance[0, :, 0] = system.initial_mean.numpy(), np.diag(system.initial_variance.numpy())
    for t in range(1, bins):
        mean[t] = transition @ mean[t - 1] + system.offset.numpy()
        for s in range(t):
            covariance[t, :, s] = transition @ covariance[t - 1, :, s]
            covariance[s, :, t] = covariance[t, :, s].T
        spread = transition @ covariance[t - 1, :, t - 1] @ transition.T
        covariance[t, :, t] = spread + np.diag(system.process_variance.numpy())
    return mean, covariance, system.readout.numpy(), np.diag(system.noise_variance.numpy())


def dense_posterior(system: LinearGaussian, observation: torch.Tensor, until: int) -> tuple[Array, Array, float]:
    """Mean (time, n) and covariance (time, n, n) of x given the first `until` bins, and their log evidence."""
    bins, n = len(observation), len(system.initial_mean)
    mean, covariance, readout, noise = dense_joint(system, bins)
    flat_mean, flat_covariance = mean.reshape(-1), covariance.reshape(bins * n, bins * n)
    recorded = observation.numpy().copy()
    recorded[until:] = np.nan
    there = ~np.isnan(recorded.reshape(-1))
    all_readout = np.kron(np.eye(bins), readout)[there]
    all_noise = np.kron(np.eye(bins), noise)[np.ix_(there, there)]
    surprise = (
        recorded.reshape(-1)[there] - all_readout @ flat_mean - np.tile(system.readout_offset.numpy(), bins)[there]
    )
    spread = all_readout @ flat_covariance @ all_readout.T + all_noise
    gain = np.linalg.solve(spread, all_readout @ flat_covariance).T
    posterior = flat_covariance - gain @ all_readout @ flat_covariance
    log_evidence = -0.5 * (
        surprise @ np.linalg.solve(spread, surprise) + np.linalg.slogdet(spread)[1] + there.sum() * np.log(2 * np.pi)
    )
    blocks = posterior.reshape(bins, n, bins, n)
    return (
        (flat_mean + gain @ surprise).reshape(bins, n),
        np.stack([blocks[t, :, t] for t in range(bins)]),
        float(log_evidence),
    )


def as_closed_loop(system: LinearGaussian) -> ClosedLoop:
    """The same system through the program's own parts: a linear brain read out with white Gaussian noise."""
    n, units = len(system.initial_mean), len(system.readout_offset)
    areas = Areas(("brain",), (n,))
    brain = Brain("linear", areas, n, None, 0, 0, 0, 0, Individuals(1, 1, 0, 0), rank=1)
    loop = ClosedLoop(brain, Gaussian(1, units, n, "white"), None, None, None, None, bin_s=0.01).double()
    with torch.no_grad():
        brain.recurrent.copy_((system.transition - torch.eye(n)).T)
        brain.bias.copy_(system.offset)
        loop.emission.readout[0] = system.readout
        loop.emission.offset[0] = system.readout_offset
        loop.emission.get_buffer("variance")[0] = system.noise_variance
        loop.initial_mean.copy_(system.initial_mean)
        loop.log_initial_variance.copy_(system.initial_variance.log())
        loop.log_process_variance.copy_(system.process_variance.log())
    return loop


def sigma_points(bins: int, n: int) -> torch.Tensor:
    """Standard noise (time, trial, n) whose trial average is exact for every polynomial of degree two."""
    size = bins * n
    points = size**0.5 * torch.eye(size, dtype=torch.float64)
    return torch.cat([points, -points]).reshape(2 * size, bins, n).transpose(0, 1)
