"""The body: kinematics that the command moves, scored one step ahead, with heavy-tailed residuals.

Force pulses and motor noise are outliers of the body, not goals: the residual is Student-t, and its
scale is updated in closed form so that the objective is never the cheapest place for a residual.
A body is `at(animal)` once a batch and `predict(...)` in every bin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ncyber_cli.model.meta import Pooled

_DEGREES_OF_FREEDOM = 3.0
_SCALE_RATE = 0.05  # share of the closed-form update taken per step
_SCALE_FLOOR = 1e-3  # of the starting scale; below it the body would be fitted exactly


class StudentScale(nn.Module):
    """Scale per animal and feature of a Student-t residual; starts at the data's own and moves by EM."""

    scale: Tensor
    floor: Tensor

    def __init__(self, start: Float[Tensor, "n_animal feature"]) -> None:
        super().__init__()
        self.register_buffer("scale", start.clone())
        self.register_buffer("floor", _SCALE_FLOOR * start)

    def log_density(
        self,
        residual: Tensor,
        animal: Int[Tensor, " trial"],
        recorded: Tensor,
        bins_ahead: Int[Tensor, "trial time"] | None = None,
    ) -> Float[Tensor, "trial time"]:
        """Student-t log density of (trial, time, feature) residuals, summed over recorded features.

        Residuals of a prediction several bins ahead have added up: their scale grows with the root of its reach.
        """
        nu, scale = _DEGREES_OF_FREEDOM, self.scale[animal][:, None]
        if bins_ahead is not None:
            scale = scale * bins_ahead[:, :, None].to(scale.dtype).sqrt()
        constant = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
        density = constant - scale.log() - (nu + 1) / 2 * torch.log1p((residual / scale).square() / nu)
        return (density * recorded).sum(-1)

    @torch.no_grad()
    def update(self, residual: Tensor, animal: Int[Tensor, " trial"], recorded: Tensor) -> None:
        """One damped EM step: scale^2 <- mean of w r^2 with w = (nu + 1) / (nu + r^2 / scale^2)."""
        nu, scale = _DEGREES_OF_FREEDOM, self.scale[animal][:, None]
        square = residual.detach().square()
        weighted = ((nu + 1) / (nu + square / scale.square()) * square * recorded).sum(1)
        total = torch.zeros_like(self.scale).index_add_(0, animal, weighted)
        count = torch.zeros_like(self.scale).index_add_(0, animal, recorded.sum(1).to(weighted.dtype))
        fitted = torch.where(count > 0, total / count.clamp(min=1), self.scale.square())
        fitted = torch.where(torch.isfinite(fitted), fitted, self.scale.square())
        self.scale.copy_(torch.lerp(self.scale.square(), fitted, _SCALE_RATE).sqrt().maximum(self.floor))

    def sample(self, animal: Int[Tensor, " trial"], standard_noise: Tensor, gamma: Tensor) -> Tensor:
        """Residuals of (time, trial, feature): normals over the root of chi-square / nu (`gamma`, positive)."""
        return self.scale[animal] * standard_noise / gamma.sqrt()


@dataclass(frozen=True)
class Part:
    """A fixed part of a bin as a linear plant, column vectors: body - origin <- A (body - origin) + B actuator."""

    transition: Float[Tensor, "trial n_body n_body"]
    drive: Float[Tensor, "trial n_body n_control"]
    origin: Float[Tensor, " n_body"]


@runtime_checkable
class Body(Protocol):
    n_body: int
    n_control: int
    residual: StudentScale
    lag: Pooled | None

    def at(self, animal: Int[Tensor, " trial"]) -> Any: ...

    def believed(self, animal: Int[Tensor, " trial"]) -> Any | None:
        """The terms that the brain goes by where they are no longer its body's own; None: they are."""
        ...

    def predict(self, here: Any, body: Tensor, actuator: Tensor) -> Tensor: ...

    def part(self, animal: Int[Tensor, " trial"], parts: int) -> Part:
        """One of `parts` equal parts of a bin, as the brain knows its body."""
        ...

    def force_effect(self, here: Any, force: Tensor) -> Tensor: ...

    def position(self, body: Tensor) -> Tensor: ...

    def velocity(self, body: Tensor) -> Tensor: ...

    def add_residual(self, predicted: Tensor, residual: Tensor) -> Tensor: ...

    def residual_of(self, recorded: Tensor, predicted: Tensor) -> Tensor: ...

    def echoes(self, n_bin: int) -> Float[Tensor, "bin n_residual n_body"]: ...

    def log_prior(self) -> Tensor: ...


@dataclass(frozen=True)
class PointMassTerms:
    command_gain: Float[Tensor, "trial 1"]  # from actuator to acceleration
    inverse_mass: Float[Tensor, "trial 1"]


class PointMass(nn.Module):
    """Position is the integral of velocity; velocity changes by (actuator + force / mass) per second.

    Bins hold means, so increments run from bin centre to bin centre and every integral is a
    trapezoid: the actuator and force given here are averages of this bin and the one before.

    State: (position_0.., velocity_0..). Residuals live on the velocity. Without `mass_kg` the
    command is an acceleration (m/s^2) and the mass is only what a recorded force reveals.

    `load`, the mass over what it was, is set by hand (see model/interventions.py): the same command and the same
    force move a loaded body less, and its brain still goes by the mass that it had.
    """

    load: Float[Tensor, " n_animal"] | None

    def __init__(
        self,
        n_axis: int,
        n_animal: int,
        bin_s: float,
        residual_start: Tensor,
        lag_s: float | None,
        mass_kg: float | None,
    ) -> None:
        super().__init__()
        self.n_axis, self.n_body, self.n_control, self.bin_s = n_axis, 2 * n_axis, n_axis, bin_s
        self.command_in_newtons = mass_kg is not None
        self.mass = Pooled(mass_kg or 1.0, n_animal, fixed=mass_kg is not None)
        self.lag = muscle_lag(lag_s, n_animal)
        self.residual = StudentScale(residual_start)
        self.register_buffer("load", None, persistent=False)

    def at(self, animal: Int[Tensor, " trial"]) -> PointMassTerms:
        own = self._unloaded(animal)
        if self.load is None:
            return own
        load = self.load[animal][:, None]
        return PointMassTerms(own.command_gain / load, own.inverse_mass / load)

    def believed(self, animal: Int[Tensor, " trial"]) -> PointMassTerms | None:
        return None if self.load is None else self._unloaded(animal)

    def _unloaded(self, animal: Int[Tensor, " trial"]) -> PointMassTerms:
        inverse = (1 / self.mass(animal))[:, None]
        return PointMassTerms(inverse if self.command_in_newtons else torch.ones_like(inverse), inverse)

    def predict(self, here: PointMassTerms, body: Tensor, actuator: Tensor) -> Tensor:
        """Where the command alone leads in one bin."""
        before = body[:, self.n_axis :]
        velocity = torch.addcmul(before, here.command_gain, actuator, value=self.bin_s)
        position = torch.add(body[:, : self.n_axis], before + velocity, alpha=0.5 * self.bin_s)
        return torch.cat([position, velocity], -1)

    def part(self, animal: Int[Tensor, " trial"], parts: int) -> Part:
        step_s, gain = self.bin_s / parts, self._unloaded(animal).command_gain[:, :, None]
        one = torch.eye(self.n_axis, device=gain.device, dtype=gain.dtype)
        none = torch.zeros_like(one)
        transition = torch.cat([torch.cat([one, step_s * one], 1), torch.cat([none, one], 1)])
        drive = torch.cat([0.5 * step_s**2 * one, step_s * one])
        return Part(transition.expand(len(animal), -1, -1), gain * drive, none.new_zeros(self.n_body))

    def force_effect(
        self, here: PointMassTerms, force: Float[Tensor, "time trial n_force"]
    ) -> Float[Tensor, "time trial n_residual"]:
        """What a recorded force (N) adds to the velocity in each bin."""
        return self.bin_s * here.inverse_mass * force

    def position(self, body: Tensor) -> Tensor:
        return body[..., : self.n_axis]

    def velocity(self, body: Tensor) -> Tensor:
        return body[..., self.n_axis :]

    def add_residual(self, predicted: Tensor, residual: Tensor) -> Tensor:
        return predicted + torch.cat([0.5 * self.bin_s * residual, residual], -1)

    def residual_of(self, recorded: Tensor, predicted: Tensor) -> Tensor:
        return recorded[..., self.n_axis :] - predicted[..., self.n_axis :]

    def echoes(self, n_bin: int) -> Float[Tensor, "bin n_residual n_body"]:
        """How a velocity residual of j bins ago shows in the body now: v + r, p + (j + 1/2) bin_s r."""
        identity = torch.eye(self.n_axis, device=self.residual.scale.device, dtype=self.residual.scale.dtype)
        age = (torch.arange(n_bin, device=identity.device, dtype=identity.dtype)[:, None, None] + 0.5) * self.bin_s
        return torch.cat([age * identity, identity.expand(n_bin, -1, -1)], -1)

    def log_prior(self) -> Tensor:
        prior = self.mass.log_prior()
        return prior if self.lag is None else prior + lag_log_prior(self.lag)


_LAG_PRIOR = (math.log(0.05), 0.5)  # muscles low-pass at a few Hz: 20 - 140 ms


def muscle_lag(lag_s: float | None, n_animal: int) -> Pooled | None:
    """First-order lag of the muscle: None where it is zero, learned where lag_s is negative."""
    if lag_s == 0:
        return None
    learned = lag_s is None
    return Pooled(0.05 if lag_s is None else lag_s, n_animal, fixed=not learned)


def lag_log_prior(lag: Pooled) -> Float[Tensor, ""]:
    centre, sd = _LAG_PRIOR
    return lag.log_prior() - 0.5 * ((lag.log_shared - centre) / sd).square().sum()


def recorded_residuals(
    recorded: Bool[Tensor, "trial time n_body"], n_residual: int
) -> Bool[Tensor, "trial time n_residual"]:
    """A residual is scored where its own features are recorded (they are the last of the body's)."""
    return recorded[:, :, recorded.shape[2] - n_residual :]
