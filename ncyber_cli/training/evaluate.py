"""How good a model is on trials that did not train it: the ELBO per bin and bits per spike of held-out units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ncyber_cli.data.batches import Batch, Cohort, Picks
from ncyber_cli.data.recording import TRAIN, VALIDATION
from ncyber_cli.inference.elbo import ElboTerms, NeuroModel, Posterior, draw_noise, elbo_terms, sample_posterior
from ncyber_cli.outputs.metrics import poisson_bits_per_spike
from ncyber_cli.spec import Inference
from ncyber_cli.training.blinding import shown

_SEED = 1  # the same noise in every epoch and every start, so that they can be compared
_SAMPLES = 2
_TRIALS = 64  # at once; their samples go side by side, which costs little more than one
_MOST_STAND_IN = 256  # training trials that choose the epoch where there is no validation split


@dataclass(frozen=True)
class Evaluation:
    """Nats per bin, averaged over posterior samples; bits per spike of held-out units where units emit counts."""

    elbo_nats: float
    neural_nats: float
    body_nats: float
    kl_nats: float
    co_bps: float | None


def choosing_trials(cohort: Cohort) -> tuple[Picks, bool]:
    """The trials that choose the best epoch, and whether they are the validation split or only stand in for it."""
    validation = cohort.picks(VALIDATION)
    if len(validation):
        return validation, True
    training = cohort.picks(TRAIN)
    return training[:: max(1, -(-len(training) // _MOST_STAND_IN))], False


@torch.no_grad()
def evaluate(model: NeuroModel, cohort: Cohort, picks: Picks, inference: Inference) -> Evaluation:
    """Score the named trials with nothing blinded and every observed entry scored; the noise is always the same."""
    device = model.loop.initial_mean.device
    generator = torch.Generator(device).manual_seed(_SEED)
    counting = model.loop.emission.counting().cpu().numpy()
    held_out = _HeldOut(cohort, counting) if counting.any() else None
    total = torch.zeros(4, dtype=torch.float64, device=device)
    n_bin = torch.zeros((), dtype=torch.float64, device=device)
    for start in range(0, len(picks), _TRIALS):
        chosen = picks[start : start + _TRIALS]
        batch = cohort.batch(np.tile(chosen, (_SAMPLES, 1))).to(device)
        show_neural, show_body = shown(batch, inference)
        view = model.encoder.view(batch, show_neural=show_neural, show_body=show_body)
        noise = draw_noise(model, batch.mask.shape[1], len(batch.session), generator)
        posterior = sample_posterior(model, batch, view, noise)
        terms = elbo_terms(model, batch, posterior, batch.observed.to(batch.observation.dtype))
        total += _sums(terms)
        n_bin += batch.mask.sum()
        if held_out is not None:
            held_out.add(chosen, batch, _mean_rate(model, batch, posterior))
    elbo, neural, body, kl = (total / n_bin.clamp(min=1)).tolist()
    return Evaluation(elbo, neural, body, kl, None if held_out is None else held_out.bits_per_spike())


def _sums(terms: ElboTerms) -> Tensor:
    kl = terms.kl_latent + terms.kl_objective
    return torch.stack([terms.elbo().sum(), terms.neural.sum(), terms.body.sum(), kl.sum()]).double()


def _mean_rate(model: NeuroModel, batch: Batch, posterior: Posterior) -> Tensor:
    """Posterior mean of the rate, (trial, time, unit), of a batch that holds every trial `_SAMPLES` times."""
    emission = model.loop.emission
    predictor = emission.predictor(posterior.trajectory.latent.transpose(0, 1), batch.session, batch.when)
    rate = emission.rate(predictor, batch.session)
    return rate.view(_SAMPLES, -1, *rate.shape[1:]).mean(0)


class _HeldOut:
    """Counts and rates of held-out units that emit counts, gathered batch by batch; bins of all trials in a row."""

    def __init__(self, cohort: Cohort, counting: NDArray[np.bool_]) -> None:
        held_out = [session.held_out for session in cohort.sessions]
        self.units = [np.flatnonzero(held & own[: len(held)]) for held, own in zip(held_out, counting, strict=True)]
        self.rows: list[list[tuple[NDArray[Any], NDArray[Any]]]] = [[] for _ in cohort.sessions]

    def add(self, picks: Picks, batch: Batch, rate: Tensor) -> None:
        rates, counts = rate.cpu().numpy(), batch.observation[: len(picks)].cpu().numpy()
        counts = np.where(batch.observed[: len(picks)].cpu().numpy(), counts, np.nan)
        for index, units in enumerate(self.units):
            chosen = picks[:, 0] == index
            if chosen.any() and units.size:
                pair = (counts[chosen][:, :, units], rates[chosen][:, :, units])
                self.rows[index].append((pair[0].reshape(1, -1, units.size), pair[1].reshape(1, -1, units.size)))

    def bits_per_spike(self) -> float | None:
        """Over each unit's mean rate in these trials, per spike of all sessions together; None without spikes."""
        bits, spikes = 0.0, 0.0
        for rows in filter(None, self.rows):
            counts, rates = (np.concatenate(part, axis=1) for part in zip(*rows, strict=True))
            here = float(np.nansum(counts))
            if here > 0 and np.isfinite(rates).all():
                bits += here * poisson_bits_per_spike(counts, rates)
                spikes += here
        return bits / spikes if spikes else None
