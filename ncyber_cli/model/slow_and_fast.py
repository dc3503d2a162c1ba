"""Private noise of two speeds: each unit has a level of its own that wanders slowly, and a fast fluctuation about it.

One AR(1), fitted one bin ahead, is drawn to the fluctuation and forgets the level: 10 frames ahead it foretells .23 -
.42 of the variance of worms' neurons, and these two .37 - .54. What is known of both is a Kalman filter of two states a
unit, exact over gaps; how much it knows does not depend on the data.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ncyber_cli.model.emission import Gaussian, ar1_noise

# Medians over four worms, in bins of 0.6 s: levels that last 60 bins, fluctuations that last one and a half.
_FIRST_LOGIT_SLOW, _FIRST_LOGIT_RATIO, _FIRST_LOGIT_SHARE = 4.0, 0.0, 0.5
_LEAST_SHARE = 1e-4  # of the stationary variance that is new in a bin


class SlowAndFast(Gaussian):
    """Gaussian with n_t = level_t + fluctuation_t, two independent AR(1); `variance` is the stationary one of n."""

    def __init__(self, n_session: int, n_unit: int, n_latent: int) -> None:
        super().__init__(n_session, n_unit, n_latent)
        first = torch.tensor([_FIRST_LOGIT_SLOW, _FIRST_LOGIT_RATIO])
        self.raw_rho = nn.Parameter(first.expand(n_session, n_unit, 2).clone())
        self.raw_share = nn.Parameter(torch.full((n_session, n_unit), _FIRST_LOGIT_SHARE))

    def speeds(
        self,
    ) -> tuple[Float[Tensor, "session unit"], Float[Tensor, "session unit"], Float[Tensor, "session unit"]]:
        """Autocorrelation of the level and, never larger, of the fluctuation; the level's share of the variance.

        Each is (session, unit).
        """
        slow, ratio = torch.sigmoid(self.raw_rho).unbind(-1)
        return slow, slow * ratio, torch.sigmoid(self.raw_share)

    def sample(self, predictor: Tensor, session: Tensor, generator: torch.Generator | None) -> Tensor:
        slow, fast, share = (table[session] for table in self.speeds())
        shape = (2, *predictor.shape)
        own = torch.randn(shape, generator=generator, device=predictor.device, dtype=predictor.dtype)
        level = share.sqrt()[:, None] * ar1_noise(own[0], slow)
        fluctuation = (1 - share).sqrt()[:, None] * ar1_noise(own[1], fast)
        return predictor + self.variance.sqrt()[session][:, None] * (level + fluctuation)

    def private(
        self, observation: Tensor, observed: Bool[Tensor, "trial time unit"], predictor: Tensor, session: Tensor
    ) -> tuple[Tensor, Tensor]:
        slow, fast, share = (table[session] for table in self.speeds())
        new_level, new_fluctuation = share * (1 - slow.square()), (1 - share) * (1 - fast.square())
        level, fluctuation = torch.zeros_like(share), torch.zeros_like(share)
        var_level, var_fluctuation, cov = share, 1 - share, torch.zeros_like(share)
        residual = (observation - predictor) * observed
        expected, unknown = [], []
        for value, told in zip(residual.unbind(1), observed.to(residual.dtype).unbind(1), strict=True):
            with_level, with_fluctuation = var_level + cov, var_fluctuation + cov  # covariances with their sum
            total = (with_level + with_fluctuation).clamp(min=_LEAST_SHARE)
            expected.append(level + fluctuation)
            unknown.append(total)
            surprise = value - expected[-1]
            to_level, to_fluctuation = told * with_level / total, told * with_fluctuation / total
            level = slow * (level + to_level * surprise)
            fluctuation = fast * (fluctuation + to_fluctuation * surprise)
            cov = slow * fast * (cov - to_level * with_fluctuation)
            var_level = slow.square() * (var_level - to_level * with_level) + new_level
            var_fluctuation = fast.square() * (var_fluctuation - to_fluctuation * with_fluctuation) + new_fluctuation
        return torch.stack(expected, 1), torch.stack(unknown, 1)

    def information(self, predictor: Tensor, session: Tensor) -> Tensor:
        slow, fast, share = self.speeds()
        repeated = share * (1 + slow) / (1 - slow) + (1 - share) * (1 + fast) / (1 - fast)
        return (1 / (repeated * self.variance))[session][:, None].expand_as(predictor)
