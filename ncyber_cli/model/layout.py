"""Sizes and scales of a model: all that, besides the spec, is needed to build it again from a checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class SessionLayout:
    """What a readout belongs to."""

    animal: str
    session: str
    sha256: str
    unit_id: list[str]
    unit_area: list[str]
    unit_kind: list[str]  # spikes, calcium, events or lfp
    held_out: list[bool]
    trial_id: list[str]
    split: list[int]
    clock: list[float]  # when the first and the last training trial begin


@dataclass(frozen=True)
class Layout:
    """Plain numbers and names only, so that a checkpoint holds nothing executable."""

    bin_s: float
    animals: list[str]
    sessions: list[SessionLayout]
    n_unit: int
    area_names: list[str]
    area_latents: list[int]
    neural_kinds: list[str]  # those of the spec's sources
    input_names: list[str]
    n_force: int
    force_size: list[float]  # rms of each column while it acts
    body_names: list[str] = field(default_factory=list)
    body_units: list[str] = field(default_factory=list)
    body_mean: list[float] = field(default_factory=list)
    body_sd: list[float] = field(default_factory=list)
    body_step_sd: list[float] = field(default_factory=list)  # of the change from bin to bin
    objective_mean: list[float] = field(default_factory=list)
    objective_sd: list[float] = field(default_factory=list)
    control_scale: float = 1.0
    residual_scale: list[list[float]] = field(default_factory=list)  # (animal, residual)
    body_start: list[list[float]] = field(default_factory=list)  # (animal, n_body), where trials begin
    animal_embedding: int = 0  # numbers in which an animal differs from the others
    session_embedding: int = 0  # and a session from others of its animal
    context_columns: list[int] = field(default_factory=list)  # inputs that are contexts of trials
    input_mean: list[float] = field(default_factory=list)  # 0 but for contexts
    input_sd: list[float] = field(default_factory=list)  # 1 but for contexts
    latent_basis: list[dict[str, Any]] = field(default_factory=list)  # of each area, once a fit is done (for `adapt`)

    input_area: list[str | None] = field(default_factory=list)  # the one that an input reaches; None: all of them
    silencing_columns: list[int] = field(default_factory=list)  # inputs that silence their area
    floor: list[list[float]] = field(default_factory=list)  # (session, unit) per bin while silenced, if any ever is
    uncertain_readouts: bool = False  # whether what is not known of them is a part of the model (`adapt`)

    @property
    def n_position(self) -> int:
        return sum(name.startswith("position_") for name in self.body_names)

    @property
    def has_velocity(self) -> bool:
        """Whether every axis of position has its velocity, in the same order, right after."""
        return 0 < self.n_position == sum(name.startswith("velocity_") for name in self.body_names)

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Layout:
        return cls(**{**plain, "sessions": [SessionLayout(**s) for s in plain["sessions"]]})
