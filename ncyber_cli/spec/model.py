"""What of a spec is about the model around the brain: controller, objective, body, environment, emission, animals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from ncyber_cli.spec.brain import LinearBrain, LowRankRNN, ResidualMLP
from ncyber_cli.spec.part import Part, Seconds


class NoController(Part):
    kind: Literal["none"] = "none"


class Setpoint(Part):
    """A saturating feedback controller towards a goal in the body's own units."""

    kind: Literal["setpoint"]
    areas: list[str] | None = Field(None, description="brain areas that open the gate; default all")


class Lqr(Part):
    """An optimal controller whose cost weights are learned: what the animal minimises, up to a common scale."""

    kind: Literal["lqr"]
    horizon_s: Seconds | None = Field(None, description="how far ahead the animal always plans; default without end")
    areas: list[str] | None = Field(None, description="brain areas that open the gate; default all")


class MLPController(Part):
    """The unstructured controller: predicts as well and means nothing; the ablation."""

    kind: Literal["mlp"]
    hidden: Annotated[int, Field(ge=1, le=4096)] = 32


_Number = Annotated[int, Field(ge=2, le=64)]
_USUAL_NUMBERS = [2, 3, 4, 5, 6]


class Objective(Part):
    prior: Literal["slow", "jump", "static", "moving", "switching"] = Field(
        "slow", description="how it may change; moving: goals with a velocity, for bodies whose position is recorded"
    )
    dimensions: Annotated[int, Field(ge=1, le=64)] | None = Field(
        None, description="default: the controller's, i.e. the number of position axes"
    )
    jump_rate_hz: Annotated[float, Field(gt=0)] = Field(
        0.3, description="priors `jump`, `switching`: changes of mind per second; `switching` learns its own around it"
    )
    prototypes: _Number | Annotated[list[_Number], Field(min_length=1)] | None = Field(
        None,
        description="prior `switching`: how many goals there are, or numbers to choose from by held-out likelihood; "
        "default 2 to 6",
    )

    @model_validator(mode="after")
    def _only_switching_has_prototypes(self) -> Objective:
        if self.prototypes is not None and self.prior != "switching":
            raise ValueError(f"prior {self.prior} has no prototypes, write prior: switching or leave prototypes out")
        if isinstance(self.prototypes, list) and len(set(self.prototypes)) < len(self.prototypes):
            raise ValueError("prototypes names a number twice, name each once")
        return self

    @property
    def prototype_numbers(self) -> list[int]:
        """The numbers of prototypes to choose from, the smallest first; empty for other priors."""
        if self.prior != "switching":
            return []
        chosen = _USUAL_NUMBERS if self.prototypes is None else self.prototypes
        return sorted(chosen) if isinstance(chosen, list) else [chosen]


class NoBody(Part):
    kind: Literal["none"] = "none"


class PointMass(Part):
    """A mass that the command accelerates; needs `position` among the behaviour."""

    kind: Literal["point_mass"]
    muscle_lag_s: Literal["learned"] | Annotated[float, Field(ge=0, le=1)] = "learned"
    mass_kg: Annotated[float, Field(gt=0)] | None = Field(None, description="given: the command is in newtons")


class LinearBody(Part):
    """Learned stable linear dynamics of every behaviour channel; control is defined up to a linear map."""

    kind: Literal["linear"]
    controls: Annotated[int, Field(ge=1, le=64)] = 2
    muscle_lag_s: Literal["learned"] | Annotated[float, Field(ge=0, le=1)] = 0.0


class NoEnvironment(Part):
    kind: Literal["none"] = "none"


class Feedback(Part):
    kind: Literal["feedback"]
    delay_s: Annotated[float, Field(ge=0, le=2)] = 0.1


class Emission(Part):
    kind: Literal["poisson", "negative_binomial", "gaussian", "zero_inflated_gamma"]
    private_noise: Literal["ar1", "slow_and_fast", "white"] = Field(
        "ar1",
        description="gaussian only: noise of each unit's own; slow_and_fast: a level that wanders, and fluctuations "
        "about it: where units wander for minutes, so that forecasts keep the level",
    )


class EmissionByKind(Part):
    """Where sources are of several kinds: what each of them emits; kinds left out have the usual emission."""

    spikes: Emission | None = None
    calcium: Emission | None = None
    events: Emission | None = None
    lfp: Emission | None = None


def _one_or_by_kind(written: object) -> str:
    named = written.keys() if isinstance(written, dict) else getattr(written, "model_fields_set", ())
    return "by_kind" if named and "kind" not in named else "one"


class Animals(Part):
    """Individual variation: embeddings shift the shared brain by low-rank deltas; one animal alone has none."""

    embedding: Annotated[int, Field(ge=0, le=64)] = Field(2, description="numbers in which an animal differs")
    session_embedding: Annotated[int, Field(ge=0, le=64)] = Field(
        0, description="numbers in which a session of an animal differs from its others"
    )
    rank: Annotated[int, Field(ge=1, le=64)] = Field(
        4,
        description="rank of the deltas in every area, of contexts too: inputs of kind context shift the brain as well",
    )


class Model(Part):
    brain: Annotated[ResidualMLP | LinearBrain | LowRankRNN, Field(discriminator="kind")] = ResidualMLP()
    controller: Annotated[NoController | Setpoint | Lqr | MLPController, Field(discriminator="kind")] = NoController()
    objective: Objective | None = None
    body: Annotated[NoBody | PointMass | LinearBody, Field(discriminator="kind")] = NoBody()
    environment: Annotated[NoEnvironment | Feedback, Field(discriminator="kind")] = NoEnvironment()
    emission: (
        Annotated[
            Annotated[Emission, Tag("one")] | Annotated[EmissionByKind, Tag("by_kind")], Discriminator(_one_or_by_kind)
        ]
        | None
    ) = Field(
        None,
        description="one for all units, or one for each kind of source, {spikes: {kind: ...}, calcium: {kind: ...}}; "
        "default: spikes poisson, calcium and lfp gaussian, events zero_inflated_gamma",
    )
    drift: bool = Field(
        False,
        description="each unit's offset (of the log rate, for counts and events) changes slowly over a session",
    )
    animals: Animals = Animals()

    def emission_of(self, kind: str) -> Emission | None:
        """What the spec says of the emission of units of a kind of source; None: the usual one."""
        chosen: Emission | None = (
            getattr(self.emission, kind) if isinstance(self.emission, EmissionByKind) else self.emission
        )
        return chosen

    @model_validator(mode="before")
    @classmethod
    def _usual_brain(cls, written: object) -> object:
        """`brain: {latents: 8}` needs no kind: the usual one is meant."""
        if isinstance(written, dict) and isinstance(written.get("brain"), dict) and "kind" not in written["brain"]:
            return {**written, "brain": {"kind": "residual_mlp", **written["brain"]}}
        return written

    @model_validator(mode="after")
    def _closed(self) -> Model:
        if self.body.kind == "none" and self.environment.kind == "feedback":
            raise ValueError("environment feedback needs a body, write body: {kind: point_mass} or {kind: linear}")
        if self.body.kind != "none" and self.controller.kind == "none":
            raise ValueError(
                "a body needs a controller, write controller: {kind: setpoint}, {kind: lqr} or {kind: mlp}"
            )
        if self.body.kind == "none" and self.controller.kind == "lqr":
            raise ValueError("controller lqr needs a body, write body: {kind: point_mass} or {kind: linear}")
        moving = self.objective is not None and self.objective.prior == "moving"
        if moving and (self.body.kind == "none" or self.controller.kind == "mlp"):
            raise ValueError("moving goals need a body and controller: {kind: setpoint} or {kind: lqr}")
        if self.objective is not None and self.controller.kind == "none":
            raise ValueError("an objective needs a controller, write controller: {kind: setpoint} or {kind: lqr}")
        return self
