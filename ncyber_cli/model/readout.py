"""From latents to what was recorded: one readout per session; what is emitted given it is said by subclasses.

Every emission has the predictor eta = C x + d of each unit, the expected observation `rate(eta)`
per bin, and a log density per (trial, time, unit). Parameters are (session, unit) tables, padded to
the widest session, and gathered per trial: sessions of any size share one batched product.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ncyber_cli.model.drift import Drift
from ncyber_cli.model.readout_uncertainty import ReadoutUncertainty


class Emission(nn.Module):
    """Readout C, d of every session; subclasses add the likelihood.

    With a `drift` the offset of a unit changes from trial to trial: d(t) = d + what the drift says of the trial's time.
    """

    kind: str
    counts = False  # it emits whole numbers, whose likelihood is measured in bits per spike
    log_linear = False  # eta is the logarithm of a rate
    has_variance = False  # whether `update_variance` has anything to do
    latent_mask: Tensor

    def __init__(self, n_session: int, n_unit: int, n_latent: int) -> None:
        super().__init__()
        self.n_unit = n_unit
        self.drift: Drift | None = None
        self.uncertainty: ReadoutUncertainty | None = None  # of sessions with few trials
        self.register_buffer("latent_mask", torch.ones(n_session, n_unit, n_latent))  # a unit reads its own area
        self.readout = nn.Parameter(0.1 * torch.randn(n_session, n_unit, n_latent) / math.sqrt(n_latent))
        self.offset = nn.Parameter(torch.zeros(n_session, n_unit))

    def predictor(
        self,
        latent: Float[Tensor, "trial time n_latent"],
        session: Int[Tensor, " trial"],
        when: Float[Tensor, " trial"] | None = None,
    ) -> Float[Tensor, "trial time unit"]:
        """eta = C x + d. `when` is a trial's time in its session; without it the readout is the session's mean one."""
        readout, offset = (self.readout * self.latent_mask)[session], self.offset[session]
        if self.drift is not None and when is not None:
            offset = offset + self.drift(session, when)
        return torch.baddbmm(offset[:, None], latent, readout.transpose(1, 2))

    def rate(self, predictor: Tensor, session: Tensor) -> Float[Tensor, "trial time unit"]:
        """Expected observation per bin."""
        return predictor

    def sample(
        self, predictor: Tensor, session: Tensor, generator: torch.Generator | None
    ) -> Float[Tensor, "trial time unit"]:
        """An observation of every unit in every bin."""
        raise TypeError(f"{type(self).__name__} has no likelihood of its own")

    @torch.no_grad()
    def silence(self, units: Bool[Tensor, "session unit"]) -> None:
        """From now on these units emit nothing: their rate is zero whatever the latents do."""
        self.readout[units] = 0
        self.offset[units] = torch.where(self.counting(), -torch.inf, 0.0).to(self.offset.dtype)[units]
        if self.drift is not None:
            self.drift.weight[units] = 0

    def log_density(
        self, observation: Tensor, observed: Tensor, predictor: Tensor, session: Tensor
    ) -> Float[Tensor, "trial time unit"]:
        raise TypeError(f"{type(self).__name__} has no likelihood of its own")

    def expected_log_density(
        self, rate: Float[Tensor, "trial time unit"], predictor: Tensor, session: Tensor
    ) -> Float[Tensor, "trial time unit"]:
        """Log density of an observation whose mean is `rate`, up to a constant: largest where the rates agree."""
        raise TypeError(f"{type(self).__name__} has no likelihood of its own")

    def information(self, predictor: Tensor, session: Tensor) -> Float[Tensor, "trial time unit"]:
        """Expected information of each bin about a shift of eta in all bins of its trial."""
        raise TypeError(f"{type(self).__name__} has no likelihood of its own")

    def private(
        self, observation: Tensor, observed: Bool[Tensor, "trial time unit"], predictor: Tensor, session: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The noise of a unit's own that is expected in each bin before seeing it, and its share of variance left."""
        return torch.zeros_like(predictor), torch.ones_like(predictor)

    def counting(self) -> Bool[Tensor, "session unit"]:
        """Which units emit counts."""
        return torch.full(self.offset.shape, self.counts, device=self.offset.device)

    def log_linear_units(self) -> Bool[Tensor, "session unit"]:
        """Of which units eta is the logarithm of a rate."""
        return torch.full(self.offset.shape, self.log_linear, device=self.offset.device)

    def start_variance(self, session: int, variance: Float[Tensor, " unit"]) -> None:
        """Begin at the data's own variance; nothing to do for counts."""

    def at_floor(self) -> Bool[Tensor, "session unit"]:
        """Which units have no noise left to speak of."""
        return torch.zeros_like(self.offset, dtype=torch.bool)

    def update_variance(self, observation: Tensor, observed: Tensor, predictor: Tensor, session: Tensor) -> None:
        """Closed-form variance step after an optimiser step; nothing to do for counts."""

    def update_drift(self, observed: Tensor, predictor: Tensor, session: Tensor) -> None:
        """Closed-form step of how much the units drift, after an optimiser step."""
        if self.drift is not None:
            information = (self.information(predictor, session) * observed).sum(1)
            self.drift.update(information, session)
