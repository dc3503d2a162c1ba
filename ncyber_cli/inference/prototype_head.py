"""The causal output of prior `switching`: which prototype is pursued, given nothing after a bin.

A categorical head on the encoder's forward state, trained by cross-entropy on the smoothed probabilities: like the
causal head of the latents it is charged for being wrong, never for changing its mind.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class PrototypeHead(nn.Module):
    """Log probabilities of the first `number` of `most` prototypes."""

    def __init__(self, hidden: int, most: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, most))

    def forward(self, state: Float[Tensor, "time trial hidden"], number: int) -> Float[Tensor, "time trial state"]:
        logits: Tensor = self.net(state)[..., :number]
        log_probability: Tensor = torch.log_softmax(logits, -1)
        return log_probability

    def log_likelihood(
        self, state: Float[Tensor, "time trial hidden"], probability: Float[Tensor, "time trial state"]
    ) -> Float[Tensor, "time trial"]:
        """Of prototypes drawn from the smoothed `probability`, which is not moved by it."""
        log_probability: Tensor = self(state, probability.shape[-1])
        return (probability.detach() * log_probability).sum(-1)
