"""Units of several kinds in one model: spikes here, calcium there, band power of field potentials elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ncyber_cli.model.readout import Emission


class Mixed(Emission):
    """One readout for all units, and for each unit the likelihood of its own kind.

    Every likelihood is worked out for all units at once and kept where it is the unit's own: two or three masked
    products, whatever the number of sessions.
    """

    kind = "mixed"
    own: Tensor  # (kind, session, unit)

    def __init__(
        self,
        parts: Mapping[str, Callable[[int, int, int], Emission]],
        part_of: Int[Tensor, "session unit"],
        n_latent: int,
    ) -> None:
        """`part_of` says which of `parts`, in their order, a unit is of."""
        n_session, n_unit = part_of.shape
        super().__init__(n_session, n_unit, n_latent)
        # The parts know nothing of latents: they are handed the predictor.
        self.kinds = nn.ModuleDict({name: make(n_session, n_unit, 0) for name, make in parts.items()})
        self.register_buffer("own", torch.stack([part_of == part for part in range(len(parts))]))
        for part in self._parts():
            part.offset.requires_grad_(False)
        self.has_variance = any(part.has_variance for part in self._parts())

    def _parts(self) -> list[Emission]:
        return list(self.kinds.values())  # type: ignore[arg-type]

    def _of(self, session: Int[Tensor, " trial"]) -> Iterator[tuple[Emission, Bool[Tensor, "trial 1 unit"]]]:
        """Each part, and which units of each trial are its own."""
        for part, own in zip(self._parts(), self.own, strict=True):
            yield part, own[session][:, None]

    def rate(self, predictor: Tensor, session: Tensor) -> Tensor:
        return self._chosen(predictor, session, lambda part: part.rate(predictor, session))

    def sample(self, predictor: Tensor, session: Tensor, generator: torch.Generator | None) -> Tensor:
        return self._chosen(predictor, session, lambda part: part.sample(predictor, session, generator))

    def expected_log_density(self, rate: Tensor, predictor: Tensor, session: Tensor) -> Tensor:
        return self._chosen(predictor, session, lambda part: part.expected_log_density(rate, predictor, session))

    def information(self, predictor: Tensor, session: Tensor) -> Tensor:
        return self._chosen(predictor, session, lambda part: part.information(predictor, session))

    def _chosen(self, like: Tensor, session: Tensor, ask: Callable[[Emission], Tensor]) -> Tensor:
        """What each unit's own part answers."""
        found = torch.zeros_like(like)
        for part, own in self._of(session):
            found = torch.where(own, ask(part), found)
        return found

    def log_density(self, observation: Tensor, observed: Tensor, predictor: Tensor, session: Tensor) -> Tensor:
        found = torch.zeros_like(predictor)
        for part, own in self._of(session):
            # Zero is a value of every kind; a negative one has no likelihood as a count, and no gradient either.
            told = torch.where(own, observation, 0.0)
            found = torch.where(own, part.log_density(told, observed & own, predictor, session), found)
        return found

    def private(
        self, observation: Tensor, observed: Tensor, predictor: Tensor, session: Tensor
    ) -> tuple[Tensor, Tensor]:
        expected, share = torch.zeros_like(predictor), torch.ones_like(predictor)
        for part, own in self._of(session):
            its = part.private(observation, observed & own, predictor, session)
            expected, share = torch.where(own, its[0], expected), torch.where(own, its[1], share)
        return expected, share

    def silence(self, units: Bool[Tensor, "session unit"]) -> None:
        super().silence(units)
        for part in self._parts():
            part.silence(units)

    def start_variance(self, session: int, variance: Float[Tensor, " unit"]) -> None:
        for part in self._parts():
            part.start_variance(session, variance)

    def update_variance(self, observation: Tensor, observed: Tensor, predictor: Tensor, session: Tensor) -> None:
        for part, own in self._of(session):
            part.update_variance(observation, observed & own, predictor, session)

    def at_floor(self) -> Tensor:
        return self._table(lambda part: part.at_floor())

    def counting(self) -> Tensor:
        return self._table(lambda part: part.counting())

    def log_linear_units(self) -> Tensor:
        return self._table(lambda part: part.log_linear_units())

    def _table(self, ask: Callable[[Emission], Tensor]) -> Bool[Tensor, "session unit"]:
        """Which units' own part says yes."""
        said = torch.stack([ask(part) for part in self._parts()])
        return (said & self.own).any(0)
