"""A body whose dynamics are learned: linear, stable whatever the weights, of every recorded channel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ncyber_cli.model.body import Part, StudentScale, lag_log_prior, muscle_lag


@dataclass(frozen=True)
class LinearTerms:
    transition: Float[Tensor, "n_body n_body"]
    drive: Float[Tensor, "n_control n_body"]
    force: Float[Tensor, "n_force n_body"]


class LinearBody(nn.Module):
    """b_t = A b_{t-1} + B m_t in standardised units, A = exp(bin_s (S - L L')) always stable.

    Goals are for the first `n_position` channels, all of them by default; `has_velocity` says that as many
    velocities follow. Further channels move along and are no goals.
    """

    mean: Tensor
    sd: Tensor

    def __init__(
        self,
        mean: Tensor,
        sd: Tensor,
        n_control: int,
        n_animal: int,
        bin_s: float,
        residual_start: Tensor,
        lag_s: float | None,
        n_force: int,
        n_position: int | None = None,
        has_velocity: bool = False,
    ) -> None:
        super().__init__()
        self.n_body, self.n_control, self.bin_s = len(mean), n_control, bin_s
        self.n_position, self.has_velocity = n_position or self.n_body, has_velocity
        self.register_buffer("mean", mean)
        self.register_buffer("sd", sd)
        self.rotation = nn.Parameter(torch.zeros(self.n_body, self.n_body))
        self.decay = nn.Parameter(torch.eye(self.n_body))
        start = torch.eye(n_control, self.n_body).roll(self.n_position if has_velocity else 0, 1)
        self.drive = nn.Parameter(start + 0.1 * torch.randn(n_control, self.n_body))
        self.force = nn.Parameter(torch.zeros(n_force, self.n_body))
        self.lag = muscle_lag(lag_s, n_animal)
        self.residual = StudentScale(residual_start)

    def transition(self, parts: int = 1) -> Float[Tensor, "n_body n_body"]:
        """A, acting on row vectors from the right; that of a part of a bin where `parts` is above 1."""
        decay = self.decay.tril()
        generator = self.rotation - self.rotation.T - decay @ decay.T
        transition: Tensor = torch.linalg.matrix_exp(self.bin_s / parts * generator)
        return transition.T

    def at(self, animal: Int[Tensor, " trial"]) -> LinearTerms:
        return LinearTerms(self.transition(), self.bin_s * self.drive * self.sd, self.bin_s * self.force * self.sd)

    def believed(self, animal: Int[Tensor, " trial"]) -> None:
        return None

    def force_effect(
        self, here: LinearTerms, force: Float[Tensor, "time trial n_force"]
    ) -> Float[Tensor, "time trial n_residual"]:
        """What a recorded force adds to the body in each bin, by a learned map."""
        return force @ here.force

    def predict(self, here: LinearTerms, body: Tensor, actuator: Tensor) -> Tensor:
        standard = (body - self.mean) / self.sd
        return self.mean + self.sd * (standard @ here.transition) + actuator @ here.drive

    def part(self, animal: Int[Tensor, " trial"], parts: int) -> Part:
        transition, n_trial = self.transition(parts), len(animal)
        power = torch.eye(self.n_body, device=transition.device, dtype=transition.dtype)
        repeated = torch.zeros_like(power)
        for _ in range(parts):  # a constant actuator does in so many parts what it does in a bin
            repeated, power = repeated + power, power @ transition
        drive = torch.linalg.solve(repeated, self.bin_s * self.drive, left=False)
        return Part(
            (transition / self.sd[:, None] * self.sd).T.expand(n_trial, -1, -1),
            (drive * self.sd).T.expand(n_trial, -1, -1),
            self.mean,
        )

    def position(self, body: Tensor) -> Tensor:
        return body[..., : self.n_position]

    def velocity(self, body: Tensor) -> Tensor:
        if self.has_velocity:
            return body[..., self.n_position : 2 * self.n_position]
        return torch.zeros_like(self.position(body))

    def add_residual(self, predicted: Tensor, residual: Tensor) -> Tensor:
        return predicted + residual

    def residual_of(self, recorded: Tensor, predicted: Tensor) -> Tensor:
        return recorded - predicted

    def echoes(self, n_bin: int) -> Float[Tensor, "bin n_residual n_body"]:
        """Powers of A: a residual of j bins ago times A^j, in the body's units."""
        transition = self.transition()
        powers = [torch.eye(self.n_body, device=transition.device, dtype=transition.dtype)]
        for _ in range(n_bin - 1):
            powers.append(powers[-1] @ transition)
        return torch.stack(powers) / self.sd[:, None] * self.sd

    def pseudo_inverse(self) -> Float[Tensor, "n_control n_position"]:
        """B+: what control changes the velocity, else the position, as wanted (row vectors, body units)."""
        first = self.n_position if self.has_velocity else 0
        moved = slice(first, first + self.n_position)
        inverse: Tensor = torch.linalg.pinv((self.drive * self.sd)[:, moved])
        return inverse.T

    def log_prior(self) -> Tensor:
        prior = -0.5 * (self.drive.square().sum() + self.rotation.square().sum())
        return prior if self.lag is None else prior + lag_log_prior(self.lag)
