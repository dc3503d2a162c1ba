"""Where the brain is in a bin within a trial of which nothing earlier is seen: where training windows begin.

p(x_1) is of trial starts. A window that begins later has a law of its own, one normal law over all bins of all trials:
what the encoder makes of the window's first bin is neither charged as an odd trial start nor free of charge, and the
ELBO of a window stays a lower bound of its evidence. Only training asks for it.
"""

from __future__ import annotations

import torch
from torch import nn


class WindowStart(nn.Module):
    """The law of x in the first bin of windows that begin within a trial."""

    def __init__(self, n_latent: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(n_latent))
        self.log_variance = nn.Parameter(torch.zeros(n_latent))
