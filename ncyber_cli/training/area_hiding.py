"""Where some sessions lack an area: others hide it now and then, so that the encoder learns to do without.

Nothing would teach it else: in a session without an area no likelihood depends on the area's latents, and where the
area is recorded its own units say more of them than all others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from ncyber_cli.data.batches import Batch, Cohort
from ncyber_cli.training.activity import unit_area_index
from ncyber_cli.training.blinding import Blinding

_SHARE = 0.3  # of the trials of sessions with several areas
_NO_UNIT = -1


@dataclass(frozen=True)
class AreaHiding:
    """The area of each unit."""

    area: Int[Tensor, "session unit"]
    n_area: int

    def applied(self, blinding: Blinding, batch: Batch, generator: torch.Generator | None) -> Blinding:
        """Hide one area of some trials from the encoder, all of it and all along; it is scored all the same."""
        device, n_trial = batch.observation.device, len(batch.session)
        area = self.area[batch.session]
        recorded = torch.stack([(area == each).any(1) for each in range(self.n_area)], 1)
        lot = torch.rand(n_trial, self.n_area, generator=generator, device=device).masked_fill(~recorded, -1.0)
        wanted = torch.rand(n_trial, generator=generator, device=device) < _SHARE
        hides = wanted & (recorded.sum(1) > 1)
        hidden = (hides[:, None] & (area == lot.argmax(1)[:, None]))[:, None]
        keep = torch.ones_like(batch.observed) if blinding.keep is None else blinding.keep
        scored = torch.where(hidden, batch.observed.to(blinding.scored.dtype), blinding.scored)
        return replace(blinding, keep=keep & ~hidden, scored=scored)


def area_hiding(cohort: Cohort, names: tuple[str, ...], device: torch.device) -> AreaHiding | None:
    """None where every session has every area that any has."""
    table = torch.full((len(cohort.sessions), cohort.n_unit), _NO_UNIT)
    for row, session in zip(table, cohort.sessions, strict=True):
        row[: len(session.unit_id)] = torch.from_numpy(unit_area_index(session.unit_area, names))
    recorded = torch.stack([(table == each).any(1) for each in range(len(names))], 1)
    lacking = recorded.any(0) & ~recorded.all(0)
    return AreaHiding(table.to(device), len(names)) if lacking.any() else None
