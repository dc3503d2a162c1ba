"""After a fit: the readers of the objective learn from trials that the fitted model simulates.

A pool of simulated trials is gone through a few times; its noise is fresh, so that nothing can be learned by heart
that recorded trials would not share. Trials of the choosing split, simulated once more, say how wide regions must be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from scipy.stats import chi2
from torch import Tensor

from ncyber_cli.data.batches import Cohort, Picks
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.mixture import Mixture
from ncyber_cli.inference.objective_posterior import objective_chain
from ncyber_cli.inference.readers import Readers
from ncyber_cli.inference.simulated_trials import SimulatedTrials, simulate_trials
from ncyber_cli.model.objective import Objective
from ncyber_cli.spec import Spec
from ncyber_cli.training.blinding import draw_shown, shown
from ncyber_cli.training.schedule import warm_cosine

_MOST_SHOWN = 40_000  # simulated trials shown in all; fewer where the fit itself was shown fewer
_SHOWINGS = 8  # of each simulated trial: simulating costs as much as a few showings
_POOL_ENTRIES = 60_000_000  # of counts held at once
_BATCH = 128
_LEARNING_RATE = 3e-3
_WIDTH_CHUNKS = 4
_MOST_DISTANCES = 10_000_000  # torch's quantile takes no more than 16 million
_LEVEL = 0.9  # of the regions whose width is set


def learn_to_read(
    model: NeuroModel, cohort: Cohort, training: Picks, choosing: Picks, spec: Spec, seed: int, stop: Callable[[], bool]
) -> bool:
    """Train `model.readers` in place; nothing else of the model changes. False if `stop()` was true in between.

    A model without an objective has nothing to be read.
    """
    readers, objective = model.readers, model.loop.objective
    if readers is None or objective is None:
        return True
    device = model.loop.initial_mean.device
    streams = torch.randint(2**62, (3,), generator=torch.Generator().manual_seed(seed)).tolist()
    order = torch.Generator().manual_seed(streams[0])
    noise = torch.Generator(device).manual_seed(streams[1])
    readers.causal.begin_as(model.encoder)
    showings = min(_MOST_SHOWN, spec.training.epochs * len(training))
    steps = max(1, showings // _BATCH)
    optimizer = torch.optim.AdamW(readers.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=1e-3)
    size = _pool_size(cohort, showings)
    done = 0
    while done < steps:
        pool = list(_simulated(model, cohort, training, size, spec, order, noise))
        for trials in _showings(pool, order):
            if stop():
                return False
            if done == steps:
                break
            _set_rate(optimizer, done / steps)
            _step(model, readers, objective, trials, spec, optimizer, noise)
            done += 1
    held_out = _simulated(model, cohort, choosing, _WIDTH_CHUNKS, spec, order, noise)
    _set_widths(model, readers, objective, held_out, spec)
    readers.ready.fill_(True)
    return True


def _pool_size(cohort: Cohort, showings: int) -> int:
    """Chunks of simulated trials to hold at once."""
    longest = max(session.mask.shape[1] for session in cohort.sessions)
    fitting = int(_POOL_ENTRIES // (_BATCH * longest * cohort.n_unit))
    return max(1, min(fitting, -(-showings // (_SHOWINGS * _BATCH))))


def _simulated(
    model: NeuroModel,
    cohort: Cohort,
    picks: Picks,
    chunks: int,
    spec: Spec,
    order: torch.Generator,
    noise: torch.Generator,
) -> Iterator[SimulatedTrials]:
    """Chunks of trials simulated after random ones of `picks`."""
    device = model.loop.initial_mean.device
    for _ in range(chunks):
        chosen = picks[torch.randint(len(picks), (_BATCH,), generator=order).numpy()]
        yield simulate_trials(model, cohort.batch(chosen).to(device), spec.inference, noise)


def _showings(pool: list[SimulatedTrials], order: torch.Generator) -> Iterator[SimulatedTrials]:
    for _ in range(_SHOWINGS):
        for index in torch.randperm(len(pool), generator=order).tolist():
            yield pool[index]


def _step(
    model: NeuroModel,
    readers: Readers,
    objective: Objective,
    trials: SimulatedTrials,
    spec: Spec,
    optimizer: torch.optim.Optimizer,
    noise: torch.Generator,
) -> None:
    batch = trials.batch
    show_neural, show_body = draw_shown(batch, spec.inference, noise)
    view = model.encoder.view(batch, show_neural=show_neural, show_body=show_body)
    causal = readers.causal(view)
    density = torch.stack([causal[name].log_density(truth) for name, truth in trials.truth.items()]).sum(0)
    with torch.no_grad():
        messages = model.encoder(view)
        mean, sd = objective_chain(objective, messages, view.seen.T)
    smoothed = readers.smoothed(messages, objective.normalise(mean), sd / objective.sd)
    density = density + smoothed.log_density(trials.steps)
    inside = batch.mask.T
    loss = -(density * inside).sum() / inside.sum().clamp(min=1)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(readers.parameters(), 1.0)
    optimizer.step()


def _set_rate(optimizer: torch.optim.Optimizer, progress: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = _LEARNING_RATE * warm_cosine(progress)


@torch.no_grad()
def _set_widths(
    model: NeuroModel, readers: Readers, objective: Objective, held_out: Iterator[SimulatedTrials], spec: Spec
) -> None:
    """Scale each reader's sd so that the region of level `_LEVEL` of a Gaussian holds that share of the truth."""
    causal, smoothed = [], []
    for trials in held_out:
        show_neural, show_body = shown(trials.batch, spec.inference)
        view = model.encoder.view(trials.batch, show_neural=show_neural, show_body=show_body)
        inside = trials.batch.mask.T
        causal.append(_distance(readers.causal(view)["objectives"], trials.truth["objectives"])[inside])
        messages = model.encoder(view)
        mean, sd = objective_chain(objective, messages, view.seen.T)
        found = readers.smoothed(messages, objective.normalise(mean), sd / objective.sd)
        smoothed.append(_distance(found, trials.steps)[inside])
    expected = float(chi2.ppf(_LEVEL, objective.size))
    for width, distances in ((readers.causal_width, causal), (readers.smoothed_width, smoothed)):
        width.copy_((torch.quantile(torch.cat(distances)[:_MOST_DISTANCES], _LEVEL) / expected).sqrt())


def _distance(found: Mixture, truth: Tensor) -> Tensor:
    """Squared, in units of the sd, summed over dimensions."""
    mean, sd = found.moments()
    return ((truth - mean) / sd).square().sum(-1)
