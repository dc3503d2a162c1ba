"""What of a spec is about the brain: its kind, its areas, and who speaks to whom."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ncyber_cli.spec.part import Part, Seconds


class Price(Part):
    """What messages between areas cost, so that an edge that the data do not need carries nothing."""

    kind: Literal["kl", "l1"] = Field(
        "l1",
        description="kl: the nats that a message moves its target's next state by; l1: their root mean square over "
        "a batch, which takes small messages to zero",
    )
    weight: Annotated[float, Field(gt=0, le=1000)] = Field(
        0.01, description="of these nats a bin beside those of the likelihood"
    )


class ConnectomeEdge(Part):
    """A directed edge of a connectome."""

    source: str
    target: str
    weight: Annotated[float, Field(gt=0)] | None = Field(None, description="what its learned strength is compared with")
    sign: Literal["excitatory", "inhibitory"] | None = None
    strength: Annotated[float, Field(gt=0)] | None = Field(
        None, description="how strong it may become: its weights' prior sd is in proportion; default of every edge 1"
    )


class Connectome(Part):
    """Which areas speak to which, from anatomy: a CSV file, whose rows the run keeps."""

    file: str | None = Field(
        None,
        description="CSV relative to this file: source, target and any of weight or synapses, sign, strength; counts "
        "between classes of neurons where each class is an area with one latent",
    )
    edges: list[ConnectomeEdge] | None = Field(None, description="the same rows, written out")
    sha256: str | None = Field(None, description="of the file that edges were read from; a run notes it")
    absent: Literal["off"] | Annotated[float, Field(gt=0, lt=1)] = Field(
        "off", description="edges that are not in it: off, or their strength, as a share of that of a usual edge"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Connectome:
        if (self.file is None) == (self.edges is None):
            raise ValueError("a connectome is a file or edges, write one of them")
        return self


Edge = Annotated[str, Field(pattern=r"^[^:]+:[^:]+$", description="FROM:TO, two areas")]
_DelayS = Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)]


class _Brain(Part):
    latents: int | dict[str, int] = Field(8, description="latents, in all or per area")
    objective_drive: bool = Field(True, description="the objective also drives the brain, so that planning can show it")
    messages: Annotated[int, Field(ge=1, le=64)] = Field(
        2, description="width of the bottleneck from one area to another"
    )
    edges: list[Edge] | None = Field(None, description="FROM:TO, which areas may speak to which; default all to all")
    delay_s: _DelayS | dict[Edge, _DelayS] | Literal["learned"] = Field(
        0.0, description="axons' delay beyond the step from bin to bin: for all edges, for each, or learned for each"
    )
    price: Price | None = Field(None, description="what messages cost; default nothing")
    connectome: str | Connectome | None = Field(
        None, description="a CSV file of the edges that anatomy knows, or {file: ..., absent: ...}; in place of edges"
    )

    @model_validator(mode="after")
    def _positive(self) -> _Brain:
        counts = self.latents.values() if isinstance(self.latents, dict) else [self.latents]
        if not counts or any(not 1 <= n <= 512 for n in counts):
            raise ValueError("latents must be between 1 and 512, in every area")
        return self

    @model_validator(mode="after")
    def _connectome_joins_areas(self) -> _Brain:
        if self.connectome is not None and self.edges is not None:
            raise ValueError("connectome and edges both say who speaks to whom, write one of them")
        if self.connectome is not None and not (isinstance(self.latents, dict) and len(self.latents) > 1):
            raise ValueError("a connectome joins areas, name them: latents: {M1: 8, PMd: 8}")
        return self

    @model_validator(mode="after")
    def _edges_join_areas(self) -> _Brain:
        areas = list(self.latents) if isinstance(self.latents, dict) else []
        known = [f"{source}:{target}" for source in areas for target in areas if source != target]
        named = [*(self.edges or ()), *(self.delay_s if isinstance(self.delay_s, dict) else ())]
        for edge in named:
            if edge not in known:
                remedy = (
                    f"write some of {', '.join(known)}" if known else "name several areas, latents: {M1: 8, PMd: 8}"
                )
                raise ValueError(f"{edge} joins no two areas of this brain, {remedy}")
        return self


class ResidualMLP(_Brain):
    kind: Literal["residual_mlp"] = "residual_mlp"
    hidden: Annotated[int, Field(ge=1, le=4096)] = Field(64, description="hidden units, over all areas")


class LinearBrain(_Brain):
    kind: Literal["linear"]


class LowRankRNN(_Brain):
    kind: Literal["low_rank_rnn"]
    hidden: Annotated[int, Field(ge=1, le=4096)] = Field(
        128, description="rate units; the rank is the number of latents"
    )
    time_constant_s: Seconds = 0.1
