"""Prior `switching`: a goal that is one of K, held for a while, then exchanged for another.

The discrete path z is a Markov chain that stays with probability 1 - leave and moves to any other prototype
alike. Where z_t is z_{t-1}, the objective goes on from where it was: an AR(1) around mu_z that stays within the
prototype's spread and takes steps as small as those of `jump`. Where z changes, and as often where it does not, the
objective is drawn anew from N(mu_z, spread^2), or one time in ten from N(mu_z, 1): contaminated (Tukey 1960).
A change of mind therefore costs the odds of leaving AND has to land on a prototype, which leaves an objective that
chases noise nothing to gain. The rest is for bins on the way from one prototype to the next, over which an inferred
change is spread: each costs several nats, whichever prototype it counts for. Were they charged by N(mu_z, spread^2)
alone, a few prototypes wide enough to hold the way between them would win over those that are there.

All numbers are in the objective's normalised units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ncyber_cli.model.hidden_markov import Filtered, forward, smoothed

_FIRST_SPREAD = 0.1
_ASTRAY = 0.1  # share of what is drawn anew that lies anywhere, with the objective's own sd around the prototype
_LOG_RATE_SD = 0.5  # of the learned rate of changes around `jump_rate_hz`: a prior that pays for changes


@dataclass(frozen=True)
class PrototypeLaw:
    """The prior with its numbers filled in."""

    position: Float[Tensor, "state n_objective"]
    spread: Float[Tensor, " n_objective"]  # sd of the objective around its prototype
    step_variance: Float[Tensor, " n_objective"]  # of the objective's drift within a dwell, per bin
    leave: Float[Tensor, ""]  # probability per bin

    @property
    def keep(self) -> Float[Tensor, " n_objective"]:
        """The AR(1) coefficient with which the drift has the prototype's spread as its stationary sd."""
        return (1 - self.step_variance / self.spread.square()).sqrt()

    def log_moves(self) -> Float[Tensor, "state state"]:
        """Log transition probabilities, from a row to a column."""
        number = len(self.position)
        stay = torch.eye(number, dtype=torch.bool, device=self.position.device)
        return torch.where(stay, torch.log1p(-self.leave), torch.log(self.leave / (number - 1)))

    def log_first(self, path: Float[Tensor, "time trial n_objective"]) -> Float[Tensor, "trial state"]:
        """log p(z_0, o_0)."""
        return self._log_entry(path[0]) - math.log(len(self.position))

    def log_steps(
        self, path: Float[Tensor, "time trial n_objective"], mask: Bool[Tensor, "trial time"] | None = None
    ) -> Float[Tensor, "steps trial state state"]:
        """log p(z_t, o_t | z_{t-1}, o_{t-1}) of bins 1, 2, ...; bins outside `mask` say nothing."""
        held = _log_normal(path[1:, :, None], self.held_mean(path[:-1]), self.step_variance)
        density = self.by_step(held, self._log_entry(path[1:]))
        if mask is not None:
            density = torch.where(mask.T[1:, :, None, None], density, 0.0)
        return self.log_moves() + density

    def entry(self, nearby: Float[Tensor, "*batch"], anywhere: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The log density of what is drawn anew, from those of its two parts."""
        return torch.logaddexp(math.log1p(-_ASTRAY) + nearby, math.log(_ASTRAY) + anywhere)

    def held_mean(self, before: Float[Tensor, "*batch n_objective"]) -> Float[Tensor, "*batch state n_objective"]:
        """Where the objective is expected one bin later if each prototype is kept."""
        return self.position + self.keep * (before[..., None, :] - self.position)

    def by_step(
        self, held: Float[Tensor, "*batch state"], entered: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state state"]:
        """[from, to]: `entered` where the two differ; mostly `held` where they are one, rarely `entered`."""
        stay = torch.eye(held.shape[-1], dtype=torch.bool, device=held.device)
        stayed = torch.logaddexp(torch.log1p(-self.leave) + held, torch.log(self.leave) + entered)
        return torch.where(stay, stayed[..., None, :], entered[..., None, :])

    def filtered(self, path: Tensor, mask: Bool[Tensor, "trial time"] | None = None) -> Filtered:
        """The prototypes given a path up to each bin, and the path's exact log density, z summed out."""
        return forward(self.log_first(path), self.log_steps(path, mask))

    def smoothed(self, path: Tensor, mask: Bool[Tensor, "trial time"]) -> Float[Tensor, "time trial state"]:
        """p(z_t | the whole path)."""
        steps = self.log_steps(path, mask)
        return smoothed(forward(self.log_first(path), steps), steps)

    def sample(
        self,
        standard_noise: Float[Tensor, "time trial n_objective"],
        uniform: Float[Tensor, "time trial"],
        held: Float[Tensor, "time trial n_objective"],
    ) -> Float[Tensor, "time trial n_objective"]:
        """Paths from the prior; where `held` is not NaN they take its value, and the prototype nearest to it."""
        number, path = len(self.position), list[Tensor]()
        for noise, lot, value in zip(standard_noise, uniform, held, strict=True):
            # A lot is uniform, and so is what is left of it once it has decided something: it decides the next thing.
            if not path:
                state, rest = _choice(lot, number)
                drawn = self._drawn_anew(state, rest, noise)
            else:
                leaves, again = lot < self.leave, (lot - self.leave) / (1 - self.leave)
                ahead, rest = _choice(lot / self.leave, number - 1)
                state = torch.where(leaves, (state + 1 + ahead) % number, state)
                kept = self.held_mean(path[-1]).take_along_dim(state[:, None, None], 1)[:, 0]
                drawn = kept + self.step_variance.sqrt() * noise
                anew = self._drawn_anew(state, torch.where(leaves, rest, again / self.leave), noise)
                drawn = torch.where((again < self.leave)[:, None], anew, drawn)
            path.append(torch.where(value.isnan(), drawn, value))
            state = torch.where(value.isnan().any(-1), state, self.nearest(path[-1]))
        return torch.stack(path)

    def _drawn_anew(self, state: Int[Tensor, " trial"], lot: Float[Tensor, " trial"], noise: Tensor) -> Tensor:
        return self.position[state] + torch.where((lot < _ASTRAY)[:, None], 1.0, self.spread) * noise

    def nearest(self, objective: Float[Tensor, "*batch n_objective"]) -> Int[Tensor, "*batch"]:
        """The prototype that an objective most likely belongs to, whatever came before it."""
        return self._log_entry(objective).argmax(-1)

    def log_nearby(self, path: Float[Tensor, "*batch n_objective"]) -> Float[Tensor, "*batch state"]:
        """Log probability that an objective drawn anew here lies near its prototype, not just anywhere."""
        nearby = _log_normal(path[..., None, :], self.position, self.spread.square())
        return math.log1p(-_ASTRAY) + nearby - self._log_entry(path)

    def _log_entry(self, path: Float[Tensor, "*batch n_objective"]) -> Float[Tensor, "*batch state"]:
        nearby, anywhere = (
            _log_normal(path[..., None, :], self.position, variance)
            for variance in (self.spread.square(), torch.ones_like(self.spread))
        )
        return self.entry(nearby, anywhere)


class Prototypes(nn.Module):
    """Learned positions of the prototypes, their common spread and the rate of changes.

    How many there are is decided in training, once the objective has been found without them (`place`); until then
    `number` is 0 and the prior is `jump`.
    """

    placed_number: Tensor

    def __init__(self, most: int, n_objective: int, rate_hz: float, bin_s: float) -> None:
        super().__init__()
        self.most, self.rate_hz, self.bin_s = most, rate_hz, bin_s
        self.position = nn.Parameter(torch.zeros(most, n_objective))
        self.log_spread = nn.Parameter(torch.full((n_objective,), math.log(_FIRST_SPREAD)))
        self.log_rate = nn.Parameter(torch.zeros(()))  # of the rate over `rate_hz`
        self.number = 0
        self.register_buffer("placed_number", torch.zeros((), dtype=torch.long))
        self.register_load_state_dict_post_hook(_read_number)  # type: ignore[no-untyped-call]

    def place(self, law: PrototypeLaw) -> None:
        """Go on from `law`."""
        self.number = len(law.position)
        with torch.no_grad():
            self.placed_number.fill_(self.number)
            self.position[: self.number] = law.position
            drift = 2 * law.step_variance
            self.log_spread.copy_(0.5 * torch.log((law.spread.square() - drift).clamp(min=1e-6)))
            self.log_rate.copy_(torch.log(-torch.log1p(-law.leave) / (self.bin_s * self.rate_hz)))

    def law(self, step_variance: Float[Tensor, " n_objective"]) -> PrototypeLaw:
        """The prior, for a drift of this variance per bin; a spread is always wider than the drift."""
        spread = (torch.exp(2 * self.log_spread) + 2 * step_variance).sqrt()
        leave = -torch.expm1(-self.bin_s * self.rate_hz * torch.exp(self.log_rate))
        return PrototypeLaw(self.position[: self.number], spread, step_variance, leave)

    def log_prior(self) -> Float[Tensor, ""]:
        """log N(log rate; log `rate_hz`, 0.5) and N(position; 0, 1), up to a constant."""
        pulled = self.position[: self.number].square().sum()
        return -0.5 * ((self.log_rate / _LOG_RATE_SD).square() + pulled)


def _read_number(module: Any, _: Any) -> None:
    """The number is asked for in every step: a plain one needs no wait for the device."""
    module.number = int(module.placed_number)


def _choice(lot: Float[Tensor, " trial"], number: int) -> tuple[Int[Tensor, " trial"], Float[Tensor, " trial"]]:
    """One of `number` by a uniform lot, and what is left of it: uniform again, and independent of the choice."""
    scaled = lot * number
    chosen = scaled.long().clamp(max=number - 1)
    return chosen, scaled - chosen


def _log_normal(values: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Log density of independent normals, summed over the last axis."""
    return -0.5 * ((values - mean).square() / variance + torch.log(2 * math.pi * variance)).sum(-1)
