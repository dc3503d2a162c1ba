"""What of a spec is about environments of others, which `simulate --env` makes the body's world."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ncyber_cli.spec.part import Part


class Entries(Part):
    """Which entries of an environment's vector carry a signal, and its units: signal = scale * entry + offset."""

    entries: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = Field(
        description="positions in the vector, in the order of the signal's axes"
    )
    scale: float | list[float] = Field(1.0, description="one number, or one an entry")
    offset: float | list[float] = Field(0.0, description="one number, or one an entry")

    @model_validator(mode="after")
    def _one_each(self) -> Entries:
        for name in ("scale", "offset"):
            value = getattr(self, name)
            if isinstance(value, list) and len(value) != len(self.entries):
                raise ValueError(f"{name} has {len(value)} numbers for {len(self.entries)} entries, write as many")
        return self


class Actions(Entries):
    """Which entries of the action carry the command: entry = scale * command + offset, clipped to the action space."""

    send: Literal["actuator", "control"] = Field(
        "actuator", description="actuator: after the model's muscle; control: the environment has a muscle of its own"
    )


class InfoGoal(Part):
    """The goal under a key of the environment's info."""

    info: Annotated[str, Field(min_length=1)]
    scale: float | list[float] = 1.0
    offset: float | list[float] = 0.0


class Gym(Part):
    """How a Gymnasium environment becomes the body's world in `ncyber simulate --env`; a fit does not read it."""

    observation: Annotated[dict[str, Entries], Field(min_length=1)] = Field(
        description="entries of each signal of data.behavior; a point mass without velocity gets differences"
    )
    action: Actions
    objective: Entries | InfoGoal | None = Field(
        None, description="where the first observation, or info, holds the goal: for --objective env"
    )
    make: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="keyword arguments of the environment"
    )
    steps_per_bin: Annotated[int, Field(ge=1, le=1000)] = Field(1, description="steps of the environment in a bin")
    flatten: bool = Field(False, description="flatten observations that are a Dict or a Tuple into one vector")
