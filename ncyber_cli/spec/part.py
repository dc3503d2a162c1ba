"""What every record of the spec is: frozen, exact, closed to what it does not know."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=1e5, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Window = Annotated[tuple[float, float], Field(strict=False)]
Axis = Literal["trial", "time", "unit", "feature"]


class Part(BaseModel):
    """A piece of the spec: immutable, exact about types, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
