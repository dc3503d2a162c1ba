"""Signs that need no truth of the cheap optimum, in which a fast objective stands in for every residual of the body.

A good ELBO does not rule it out, so that it is looked for after every fit.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ncyber_cli.data.batches import Batch, Cohort, Picks
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.posterior import posterior_moments
from ncyber_cli.inference.trial_noise import TrialKey
from ncyber_cli.model.body import Body, recorded_residuals
from ncyber_cli.model.controller import Belief, Controller
from ncyber_cli.model.objective import Objective
from ncyber_cli.spec import Inference

_LARGEST_SHARE = 0.05
_SHORTEST_S = 2.0
_LEAST_PULL = 0.05
# Share of bins left out, those where moving the objective moves the body most: changes of mind are what it is for,
# and an inferred one is spread over the bins in which it may have happened. Noise is chased everywhere. Where the
# prior's rate of changes alone asks for more it gets more, up to a limit: beyond, chasing could hide behind the rate.
_CHANGES_OF_MIND, _MOST_CHANGES = 0.1, 0.3
_CHANGE_S = 0.3  # how long an inferred change moves the body: as far as it is spread, and the muscle's lag
_SAMPLES, _SEED, _TRIALS = 8, 1, 128
_MOST_BINS = 1_000_000  # torch's quantile takes no more than 16 million


@dataclass(frozen=True)
class Signs:
    """None where the model has no such part."""

    residual_share: float | None  # of the body's one-step residual variance, explained by the objective's innovations
    time_constant_s: float | None  # of the objective's drift, the shortest of its dimensions
    pull: float | None = None  # rms change of the command had another trial's objective been pursued, over its own rms

    def warnings(self) -> list[str]:
        """What is wrong, in words; empty where every sign is good."""
        found = self.noise_chased()
        if self.pull is not None and not self.pull >= _LEAST_PULL:
            found.append(
                f"another trial's objective would change the command by {self.pull:.0%} of its size (less than "
                f"{_LEAST_PULL:.0%}): the objective moves nothing, do not read it as a goal; where there is one, try "
                "training.hold_controller=0.2"
            )
        return found

    def noise_chased(self) -> list[str]:
        """The warnings of the cheap optimum, into which another start need not fall."""
        found = []
        if self.residual_share is not None and not self.residual_share <= _LARGEST_SHARE:
            found.append(
                f"the objective's innovations explain {self.residual_share:.0%} of the body's one-step residuals "
                f"(more than {_LARGEST_SHARE:.0%}): it may be chasing noise; do not read it as a goal, "
                "try training.starts"
            )
        if self.time_constant_s is not None and not self.time_constant_s >= _SHORTEST_S:
            found.append(
                f"the objective drifts within {self.time_constant_s:.1f} s (less than {_SHORTEST_S:.0f} s): "
                "it may be a command rather than a goal; do not read it as a goal, try training.starts"
            )
        return found

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


@torch.no_grad()
def signs_of(model: NeuroModel, cohort: Cohort, picks: Picks, inference: Inference) -> Signs:
    """Compute the signs on the named trials."""
    objective, loop = model.loop.objective, model.loop
    if objective is None:
        return Signs(None, None)
    time_constant_s = objective.drift_s()
    if loop.body is None or loop.controller is None:
        return Signs(None, time_constant_s)
    sums, pulls = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for start in range(0, len(picks), _TRIALS):
        chosen = picks[start : start + _TRIALS]
        batch = cohort.batch(chosen).to(loop.initial_mean.device)
        moments = posterior_moments(model, batch, inference, trial_keys(cohort, chosen), samples=_SAMPLES, seed=_SEED)
        means = {name: group.mean for name, group in moments.items()}
        sums += _residual_squares(model, batch, means, loop.body, loop.controller).cpu()
        pulls += _pull_squares(batch, means, loop.controller).cpu()
    with_objective, without = sums.tolist()
    share = 1 - with_objective / without if without > 0 else math.nan
    changed, own = pulls.tolist()
    return Signs(max(share, 0.0), time_constant_s, math.sqrt(changed / own) if own > 0 else math.nan)


def trial_keys(cohort: Cohort, picks: Picks) -> list[TrialKey]:
    """Names of the picked trials, which their noise belongs to."""
    named = ((cohort.sessions[index], int(trial)) for index, trial in picks)
    return [TrialKey(session.animal, session.session, session.trial_id[trial]) for session, trial in named]


def _pull_squares(batch: Batch, means: dict[str, Tensor], controller: Controller) -> Tensor:
    """Squared commands summed: what each trial's neighbour's objective would change, and the commands themselves."""
    command = _Command(controller, batch, means)
    own, other = command(means["objectives"]), command(means["objectives"].roll(1, 0))
    both = (batch.mask & batch.mask.roll(1, 0))[:, 1:, None]
    return torch.stack([((other - own) * both).square().sum(), (own * both).square().sum()]).double()


def _residual_squares(
    model: NeuroModel, batch: Batch, means: dict[str, Tensor], body: Body, controller: Controller
) -> Tensor:
    """One-step residuals squared and summed: as they are, and had the objective held still for a muscle lag."""
    loop, n_trial = model.loop, len(batch.session)
    lag_s = torch.zeros(n_trial, device=batch.mask.device) if body.lag is None else body.lag(batch.animal)
    follow = torch.ones_like(lag_s) if body.lag is None else 1 - torch.exp(-loop.bin_s / lag_s)
    behind = 1 + math.ceil(float(lag_s.max()) / loop.bin_s)
    terms = body.at(batch.animal.repeat_interleave(batch.mask.shape[1] - 1))
    objective = means["objectives"]
    earlier = torch.cat([objective[:, :1].expand(-1, behind, -1), objective[:, :-behind]], 1)[:, : objective.shape[1]]
    command = _Command(controller, batch, means)
    effect = _through_the_muscle(command(objective) - command(earlier), follow[:, None])
    push = 0.5 * (means["actuator"][:, :-1] + means["actuator"][:, 1:])
    before, recorded = means["body"][:, :-1], batch.body[:, 1:]
    led = body.predict(terms, before.flatten(0, 1), push.flatten(0, 1)).view_as(before)
    held = body.predict(terms, before.flatten(0, 1), (push - effect).flatten(0, 1)).view_as(before)
    residual, residual_held = body.residual_of(recorded, led), body.residual_of(recorded, held)
    if batch.force.shape[2]:
        force = 0.5 * (batch.force[:, :-1] + batch.force[:, 1:]).flatten(0, 1)
        pushed = body.force_effect(terms, force[None])[0].view_as(residual)
        residual, residual_held = residual - pushed, residual_held - pushed
    both = batch.body_recorded[:, 1:] & batch.body_recorded[:, :-1]
    assert loop.objective is not None
    ordinary = _ordinary(effect, batch.mask[:, 1:], changes_of_mind(loop.objective))
    counted = recorded_residuals(both, residual.shape[2]) & ordinary[:, :, None]
    scale = body.residual.scale[batch.animal][:, None]
    squares = [torch.where(counted, r / scale, 0.0).square().sum() for r in (residual, residual_held)]
    return torch.stack(squares).double()


class _Command:
    """The controller's command of bins 1, 2, ... for any objective, (trial, time - 1, n_control).

    The recorded body stands for what the brain knows of it.
    """

    def __init__(self, controller: Controller, batch: Batch, means: dict[str, Tensor]) -> None:
        n_trial, n_time = batch.mask.shape
        self.controller, self.shape = controller, (n_trial, n_time - 1, -1)
        self.here = controller.at(batch.animal.repeat_interleave(n_time - 1))
        latent, known, actuator = (means[name][:, :-1].flatten(0, 1) for name in ("latents", "body", "actuator"))
        self.latent, self.belief = latent, Belief(known, actuator)

    def __call__(self, objective: Tensor) -> Tensor:
        command, _ = self.controller.command(self.here, self.latent, objective[:, 1:].flatten(0, 1), self.belief)
        return command.view(self.shape)


def _through_the_muscle(command: Tensor, follow: Tensor) -> Tensor:
    """What a change of command (trial, time, n_control) changes between the centres of each bin and the one before."""
    actuator = [torch.zeros_like(command[:, 0])]
    for change in command.unbind(1):
        actuator.append(torch.lerp(actuator[-1], change, follow.expand_as(change)))
    path = torch.stack(actuator, 1)
    return 0.5 * (path[:, :-1] + path[:, 1:])


def changes_of_mind(objective: Objective) -> float:
    """The share of bins in which a change of mind may move the body."""
    expected = objective.jump_probability * _CHANGE_S / objective.bin_s
    return min(_MOST_CHANGES, max(_CHANGES_OF_MIND, expected))


def _ordinary(effect: Tensor, mask: Tensor, changes: float) -> Tensor:
    """Bins (trial, time) without the share `changes` in which moving the objective affects the body most.

    The objective's own size of change would not do: before the gate opens it may change as it likes.
    """
    size = effect.square().sum(-1)
    limit = torch.quantile(size[mask][:_MOST_BINS], 1 - changes)
    return mask & (size <= limit)
