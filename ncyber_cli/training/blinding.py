"""What the encoder is denied in training, so that the model has to know: spans, entries, whole modalities.

Correction masking: in random spans the encoder is blind and the chain runs on the prior alone, while
everything in the span is still scored. Closed loop: in a share of trials, which rises as training goes, the
model's own body takes the recorded one's place in the loop from a random bin on, and is scored on the recorded
one; the encoder sees what it sees. Blind as well, a model that cannot know the goal yet learned to want nothing
(objective R2 .90 -> .71 - .79 on a reach animal). Dropout: entries that the encoder has to do without; with
coordinated dropout (Keshtkaran & Pandarinath 2019) they alone are scored. On Lorenz spikes plain
input dropout reached in 60 epochs what coordinated dropout reached in 130. Modality dropout: so that
one run infers from neurons, from behaviour, or from both.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ncyber_cli.data.batches import Batch
from ncyber_cli.spec import Inference

_NO_NEURAL, _NO_BODY = 0.1, 0.2  # share of trials without the modality


@dataclass(frozen=True)
class Blinding:
    visible: Bool[Tensor, "trial time"]
    own_body: Bool[Tensor, "trial time"]  # bins in which the model's own body is fed back
    keep: Bool[Tensor, "trial time unit"] | None
    keep_scale: float
    scored: Float[Tensor, "trial time unit"]  # weight of each entry's likelihood
    show_neural: Bool[Tensor, " trial"]
    show_body: Bool[Tensor, " trial"]


def shown(batch: Batch, inference: Inference) -> tuple[Bool[Tensor, " trial"], Bool[Tensor, " trial"]]:
    """The modalities that the spec lets the encoder see, for every trial."""
    always = torch.ones_like(batch.session, dtype=torch.bool)
    return always & ("neural" in inference.inputs), always & ("behavior" in inference.inputs)


def draw_shown(
    batch: Batch, inference: Inference, generator: torch.Generator | None
) -> tuple[Bool[Tensor, " trial"], Bool[Tensor, " trial"]]:
    """As `shown`, but for some trials in which one of two modalities is hidden."""
    show_neural, show_body = shown(batch, inference)
    if len(inference.inputs) < 2:
        return show_neural, show_body
    lot = torch.rand(len(batch.session), generator=generator, device=batch.observation.device)
    return show_neural & (lot >= _NO_NEURAL), show_body & (lot < 1 - _NO_BODY)


def draw_blinding(
    batch: Batch, inference: Inference, generator: torch.Generator | None, progress: float = 1.0
) -> Blinding:
    """Random blinding of one training step; `progress` is the share of training that is done.

    The share of closed-loop trials rises linearly: a model that knows nothing yet has nothing to feed back.
    """
    n_trial, n_time = batch.mask.shape
    device, dtype = batch.observation.device, batch.observation.dtype

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=device)

    shortest, longest = inference.masking.span_bins
    length = shortest + torch.floor(uniform(n_trial) * (longest - shortest + 1))
    start = torch.floor(uniform(n_trial) * (batch.mask.sum(1) - length + 1).clamp(min=1))
    bins = torch.arange(n_time, device=device)
    span = (bins >= start[:, None]) & (bins < (start + length)[:, None])
    span = span & (uniform(n_trial) < inference.masking.probability)[:, None]
    closed = uniform(n_trial) < inference.masking.closed_loop * progress
    begin = 1 + torch.floor(uniform(n_trial) * (batch.mask.sum(1) - 1))
    own_body = closed[:, None] & (bins >= begin[:, None])
    show_neural, show_body = draw_shown(batch, inference, generator)
    share = inference.dropout.share
    scored = batch.observed.to(dtype)
    if share == 0:
        return Blinding(~span, own_body, None, 1.0, scored, show_neural, show_body)
    keep = uniform(*batch.observed.shape) >= share
    if inference.dropout.kind == "coordinated":
        # An entry the encoder saw is not scored; one it did not see stands for 1 / share of them.
        could_see = batch.encodable[:, None] & ~span[:, :, None] & show_neural[:, None, None]
        scored = scored * torch.where(could_see, (~keep).to(dtype) / share, torch.ones((), device=device, dtype=dtype))
    return Blinding(~span, own_body, keep, 1 / (1 - share), scored, show_neural, show_body)
