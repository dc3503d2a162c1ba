"""How the encoder reads a neuron follows from what the neuron reads: a law of known neurons, and a prior for others.

A standardised observation of a neuron says of the latents, to first order, its tuning: its score's gradient. Weights
into the encoder times the number of neurons are linear in it, with a spread that the known neurons show. It keeps the
encoder of few trials from learning them by heart; many trials overrule it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ncyber_cli.inference.encoder import Encoder, ReadIn
from ncyber_cli.model.closed_loop import ClosedLoop

_RIDGE = 0.05  # as a share of the tuning's variance
_LEAST_SPREAD = 0.05  # of a column's mean square: few known neurons are fitted better than others would be
HeldOut = Sequence[Sequence[bool]]  # of each session, (unit)


@runtime_checkable
class EncodingModel(Protocol):
    """A model with an encoder."""

    loop: ClosedLoop
    encoder: Encoder

    def modules(self) -> Iterator[nn.Module]: ...


class ReadInLaw(nn.Module):
    """weight = tuning @ matrix / n_unit, give or take a spread, for every table of weights. No part of a checkpoint."""

    kept: Bool[Tensor, "session unit"]  # of the new sessions
    n_unit: Float[Tensor, " session"]

    def __init__(self, known: EncodingModel, known_held_out: HeldOut, held_out: HeldOut, n_unit: int) -> None:
        """`known` is a fitted model; the new sessions' tables are padded to `n_unit`."""
        super().__init__()
        encodable = [~torch.tensor(each) for each in known_held_out]
        tuning = _tuning(known).detach().double()
        inputs = torch.cat([tuning[session, : len(rows)][rows] for session, rows in enumerate(encodable)])
        self.n_table = 0
        for table in _tables(known):
            source = table.detach().double()
            wanted = [len(rows) * source[session, : len(rows)][rows] for session, rows in enumerate(encodable)]
            self._keep(inputs, torch.cat(wanted), table.dtype)
        for index, part in enumerate(_read_ins(known)):
            self.register_buffer(f"offset_{index}", part.offset.detach().mean(0), persistent=False)
        kept = torch.zeros(len(held_out), n_unit, dtype=torch.bool)
        for session, each in enumerate(held_out):
            kept[session, : len(each)] = ~torch.tensor(each)
        self.register_buffer("kept", kept, persistent=False)
        sizes = torch.tensor([float(len(each)) for each in held_out]).to(known.loop.initial_mean)
        self.register_buffer("n_unit", sizes, persistent=False)

    def _keep(self, inputs: Float[Tensor, "neuron n_latent"], wanted: Tensor, dtype: torch.dtype) -> None:
        """Fit the law of one table and note its spread, column by column."""
        gram, n = inputs.T @ inputs, len(inputs)
        penalty = _RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
        matrix = torch.linalg.solve(gram + penalty, inputs.T @ wanted)
        square = (wanted - inputs @ matrix).square().sum(0) / max(1, n - len(gram))
        least = _LEAST_SPREAD * wanted.square().mean(0) + 1e-12
        self.register_buffer(f"matrix_{self.n_table}", matrix.to(dtype), persistent=False)
        self.register_buffer(f"variance_{self.n_table}", square.maximum(least).to(dtype), persistent=False)
        self.n_table += 1

    @torch.no_grad()
    def predict(self, model: EncodingModel) -> None:
        """Set every weight into `model`'s encoder and causal reader to what the law says of its present readouts."""
        tuning = _tuning(model) * self.kept[:, :, None]
        for index, table in enumerate(_tables(model)):
            table.copy_(tuning @ self.get_buffer(f"matrix_{index}") / self.n_unit[:, None, None])
        for index, part in enumerate(_read_ins(model)):
            part.offset.copy_(self.get_buffer(f"offset_{index}").expand_as(part.offset))

    def log_density(self, model: EncodingModel) -> Float[Tensor, ""]:
        """Log density of the weights into the encoder given the readouts, up to a constant; padded units cost nothing.

        Readouts are what data say of them, not what their read-ins would like; readers learn from simulated trials, of
        which there are enough.
        """
        tuning = _tuning(model).detach()
        total = tuning.new_zeros(())
        for index, table in enumerate(_tables(model)[:2]):
            apart = self.n_unit[:, None, None] * table - tuning @ self.get_buffer(f"matrix_{index}")
            square = apart.square() / self.get_buffer(f"variance_{index}")
            total = total - 0.5 * (square * self.kept[:, :, None]).sum()
        return total


def _read_ins(model: EncodingModel) -> list[ReadIn]:
    """The encoder's, then those of the readers."""
    return [part for part in model.modules() if isinstance(part, ReadIn)]


def _tables(model: EncodingModel) -> list[Tensor]:
    """(session, unit, ...) weights: two of the encoder, then those of readers."""
    return [model.encoder.latent_path, *(part.weight for part in _read_ins(model))]


def _tuning(model: EncodingModel) -> Float[Tensor, "session unit n_latent"]:
    """What a standardised observation of each neuron says of the latents: its score, to first order."""
    emission, scale = model.loop.emission, model.encoder.unit_scale
    readout = emission.readout * emission.latent_mask
    return readout * torch.where(emission.log_linear_units(), scale, 1 / scale)[:, :, None]
