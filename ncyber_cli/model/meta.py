"""What animals share and how they differ: values pooled around a shared one, and embeddings with a posterior."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

_FIRST_LOG_SD = -2.0  # of z; as wide as the prior it would drown what tells members apart while that is small


class Pooled(nn.Module):
    """A positive quantity per animal, log-normal around a shared value.

    With one animal the deviation is fixed at zero, so that a single fit is the shared value.
    """

    def __init__(self, start: Tensor | float, n_animal: int, sd: float = 0.3, *, fixed: bool = False) -> None:
        super().__init__()
        start = torch.as_tensor(start, dtype=torch.get_default_dtype())
        self.sd = sd
        self.log_shared = nn.Parameter(start.log(), requires_grad=not fixed)
        self.deviation = nn.Parameter(torch.zeros(n_animal, *start.shape), requires_grad=n_animal > 1 and not fixed)

    def forward(self, animal: Int[Tensor, " trial"]) -> Tensor:
        """The value of each trial's animal, shape (trial, ...)."""
        return torch.exp(self.log_shared + self.sd * self.deviation[animal])

    @torch.no_grad()
    def scale(self, factor: float) -> None:
        """Multiply the value of every animal."""
        self.log_shared.add_(math.log(factor))

    @torch.no_grad()
    def hold(self, value: float) -> None:
        """Give every animal this value."""
        self.log_shared.fill_(math.log(value))
        self.deviation.zero_()

    def log_prior(self) -> Float[Tensor, ""]:
        """log N(deviation; 0, 1) up to a constant (deviations are in units of sd)."""
        return -0.5 * self.deviation.square().sum()


class Embedding(nn.Module):
    """q(z) = N(mean, diag(sd^2)) of every member, be they animals or sessions; prior N(0, I).

    What z moves vanishes at z = 0, so that a member of whom the data say nothing is like all others.
    """

    def __init__(self, n_member: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.mean = nn.Parameter(torch.zeros(n_member, size))
        self.log_sd = nn.Parameter(torch.full((n_member, size), _FIRST_LOG_SD))

    def forward(
        self, member: Int[Tensor, " trial"], noise: Float[Tensor, "trial size"] | None = None
    ) -> Float[Tensor, "trial size"]:
        """A sample for each trial, or the posterior mean without noise."""
        mean = self.mean[member]
        return mean if noise is None else mean + self.log_sd.exp()[member] * noise

    def log_prior(self) -> Float[Tensor, ""]:
        """Minus KL of the posterior from the prior, in nats, over all members."""
        return 0.5 * (1 + 2 * self.log_sd - self.mean.square() - (2 * self.log_sd).exp()).sum()


class Individuals(nn.Module):
    """The embedding of each trial's animal and session, side by side; either may have no size."""

    def __init__(self, n_animal: int, n_session: int, animal_size: int, session_size: int) -> None:
        super().__init__()
        self.animals, self.sessions = Embedding(n_animal, animal_size), Embedding(n_session, session_size)
        self.size = animal_size + session_size

    def forward(
        self,
        animal: Int[Tensor, " trial"],
        session: Int[Tensor, " trial"],
        noise: Float[Tensor, "trial size"] | None = None,
    ) -> Float[Tensor, "trial size"]:
        """A sample for each trial, or the posterior mean without noise.

        Every trial draws its own: the ELBO is a sum over trials, so its expectation is that of one draw an animal.
        """
        if noise is None:
            return torch.cat([self.animals(animal), self.sessions(session)], -1)
        own = torch.split(noise, [self.animals.size, self.sessions.size], -1)
        return torch.cat([self.animals(animal, own[0]), self.sessions(session, own[1])], -1)

    def log_prior(self) -> Float[Tensor, ""]:
        return self.animals.log_prior() + self.sessions.log_prior()
