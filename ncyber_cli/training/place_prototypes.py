"""Prior `switching`: how many prototypes there are and where, read off the objectives that the fit has found so far.

Until here the fit ran with the prior `jump`. For each number, a law is fitted to posterior samples of training trials
and scored by the exact log density of those of validation trials. Everything else in the ELBO is the same for
all of them, so that the differences are those of the held-out ELBO. Between fits of their own, one for each number,
they would drown in what two fits differ by anyway. The smallest number is kept that is not worse than the best by
more than the standard error, over trials, of their difference (Breiman et al. 1984).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ncyber_cli.data.batches import Cohort, Picks
from ncyber_cli.inference.elbo import NeuroModel, draw_noise, sample_posterior
from ncyber_cli.model.hidden_markov import forward, smoothed, stays
from ncyber_cli.model.objective import Objective
from ncyber_cli.model.prototypes import PrototypeLaw
from ncyber_cli.spec import Inference
from ncyber_cli.training.blinding import shown

_SEED = 1  # the same noise for every number
_SAMPLES = 2
_MOST_TRIALS = 256
_MOST_BINS = 4000  # that k-means looks at
_ROUNDS = 12


@dataclass(frozen=True)
class PrototypeChoice:
    """Held-out log density of the objectives, in nats a trial, by number of prototypes, and the number to keep."""

    kept: int
    nats_per_trial: dict[int, float]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def words(self) -> str:
        """Which number, and how the others compare with it: `4 (nats a trial: 3 -30.0, 5 -1.5)`."""
        ours = self.nats_per_trial[self.kept]
        rest = [f"{n} {score - ours:+.1f}" for n, score in self.nats_per_trial.items() if n != self.kept]
        return f"{self.kept} (nats a trial: {', '.join(rest)})" if rest else str(self.kept)


@torch.no_grad()
def place_prototypes(
    model: NeuroModel, cohort: Cohort, training: Picks, choosing: Picks, inference: Inference, numbers: Sequence[int]
) -> PrototypeChoice:
    """Give the model's objective its prototypes: as few of `numbers` as the `choosing` trials let it have."""
    objective = model.loop.objective
    assert objective is not None
    assert objective.prototypes is not None
    seen, held_out = (_sampled_paths(model, cohort, picks, inference) for picks in (training, choosing))
    laws = {number: fit_law(seen, number, objective) for number in numbers}
    scores = {number: densities(law, held_out).view(_SAMPLES, -1).mean(0) for number, law in laws.items()}
    kept = fewest(scores)
    objective.prototypes.place(laws[kept])
    return PrototypeChoice(kept, {number: float(score.mean()) for number, score in scores.items()})


def fewest(scores: Mapping[int, Float[Tensor, " trial"]]) -> int:
    """The smallest number whose score falls behind the best by no more than the standard error of the difference."""
    best = scores[max(scores, key=lambda number: float(scores[number].mean()))]

    def good_enough(score: Tensor) -> bool:
        behind = best - score
        error = behind.std() / math.sqrt(len(behind)) if len(behind) > 1 else 0.0
        return bool(behind.mean() <= error)

    return min(number for number, score in scores.items() if good_enough(score))


@dataclass(frozen=True)
class Paths:
    """Posterior samples of the objective, in its normalised units."""

    objective: Float[Tensor, "time trial n_objective"]
    mask: Bool[Tensor, "trial time"]


def _sampled_paths(model: NeuroModel, cohort: Cohort, picks: Picks, inference: Inference) -> Paths:
    """Of evenly spaced trials, each `_SAMPLES` times, with nothing hidden from the encoder."""
    some = picks[:: max(1, -(-len(picks) // _MOST_TRIALS))]
    batch = cohort.batch(np.tile(some, (_SAMPLES, 1))).to(model.loop.initial_mean.device)
    show_neural, show_body = shown(batch, inference)
    view = model.encoder.view(batch, show_neural=show_neural, show_body=show_body)
    generator = torch.Generator(batch.mask.device).manual_seed(_SEED)
    noise = draw_noise(model, batch.mask.shape[1], len(batch.session), generator)
    path = sample_posterior(model, batch, view, noise).objective
    assert path is not None
    assert model.loop.objective is not None
    return Paths(model.loop.objective.normalise(path), batch.mask)


def fit_law(paths: Paths, number: int, objective: Objective) -> PrototypeLaw:
    """A law of `number` prototypes: k-means, then a few rounds of soft assignment by the law itself."""
    assert objective.prototypes is not None
    step_variance = objective.transition().variance / objective.sd.square()
    rows = paths.objective.transpose(0, 1)[paths.mask]
    rows = rows[:: max(1, len(rows) // _MOST_BINS)]
    position = _k_means(rows, number)
    nearest = position[torch.cdist(rows, position).argmin(1)]
    first = PrototypeLaw(
        position,
        _spread((rows - nearest).square().mean(0), step_variance),
        step_variance,
        step_variance.new_tensor(objective.jump_probability),
    )
    law = first
    for _ in range(_ROUNDS):
        law = _improved(law, paths, first.leave)
    return law


def _k_means(rows: Float[Tensor, "bin n_objective"], number: int) -> Float[Tensor, "state n_objective"]:
    from sklearn.cluster import KMeans  # scikit-learn takes a second to import

    distinct = min(number, len(torch.unique(rows, dim=0)))
    centres = KMeans(distinct, n_init=10, random_state=0).fit(rows.cpu().numpy().astype(np.float64)).cluster_centers_
    found = torch.from_numpy(centres).to(rows)
    return torch.cat([found, found[:1].expand(number - distinct, -1)])


def _spread(variance: Tensor, step_variance: Tensor) -> Tensor:
    """A spread is wider than the drift within it."""
    return torch.maximum(variance, 3 * step_variance).sqrt()


def _improved(law: PrototypeLaw, paths: Paths, usual: Tensor) -> PrototypeLaw:
    """One round: which prototype each bin is near, then moments of the bins of each, the most visited first.

    The rate of leaving counts one change more than was seen, at the rate that the spec calls usual.
    """
    path, mask = paths.objective, paths.mask
    steps = law.log_steps(path, mask)
    filtered = forward(law.log_first(path), steps)
    share = smoothed(filtered, steps) * mask.T[:, :, None]
    visited = share.sum((0, 1))
    nearby = share * law.log_nearby(path).exp()  # bins on the way between prototypes have no say in where they lie
    weight = nearby.sum((0, 1))
    mean = torch.einsum("tnk,tnd->kd", nearby, path) / weight.clamp(min=1e-9)[:, None]
    position = torch.where(weight[:, None] > 1e-6, mean, law.position)
    off = (path[:, :, None] - position).square()
    variance = torch.einsum("tnk,tnkd->d", nearby, off) / weight.sum().clamp(min=1e-9)
    inside = mask.T[1:]
    left = ((1 - stays(filtered, steps)) * inside).sum()
    leave = (left + 1) / (inside.sum() + 1 / usual)
    order = visited.argsort(descending=True)
    return PrototypeLaw(position[order], _spread(variance, law.step_variance), law.step_variance, leave)


def densities(law: PrototypeLaw, paths: Paths) -> Float[Tensor, " trial"]:
    """Log density of each path under a law, in nats."""
    evidence = law.filtered(paths.objective, paths.mask).log_evidence
    return (evidence * paths.mask.T).sum(0)
