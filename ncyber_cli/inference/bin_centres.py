"""When a control holds: the recursion's step t leads from the centre of bin t-1 to that of bin t.

Its command and objective act in between, so that their values at the centre of a bin, which is where
every other signal is sampled and written, are the mean of the step that ends there and the one that begins.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def at_bin_centres(
    steps: Float[Tensor, "time trial feature"], mask: Bool[Tensor, "trial time"]
) -> Float[Tensor, "time trial feature"]:
    """What acts from bin centre to bin centre, at the centres; a trial's last bin keeps the step that ends there."""
    goes_on = mask.T[1:, :, None]
    centred = torch.where(goes_on, torch.lerp(steps[:-1], steps[1:], 0.5), steps[:-1])
    return torch.cat([centred, steps[-1:]])
