"""What of a spec is about inference, training and teachers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ncyber_cli.spec.part import Fraction, Part, Seconds


class Masking(Part):
    """Spans in which the encoder is blind and the model runs on its own."""

    probability: Annotated[float, Field(ge=0, le=1)] = Field(0.5, description="share of trials with a span")
    span_bins: Annotated[tuple[int, int], Field(strict=False)] = (3, 15)
    closed_loop: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="share of trials, rising to this over training, in which the model's own body is fed back in "
        "place of the recorded one from a random bin on",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Masking:
        if not 1 <= self.span_bins[0] <= self.span_bins[1]:
            raise ValueError("span_bins must be [shortest, longest] with 1 <= shortest <= longest")
        return self


class Dropout(Part):
    """Neural entries that the encoder is not shown in training."""

    kind: Literal["input", "coordinated"] = Field(
        "input", description="input: every entry is scored; coordinated: of the seen neurons only the hidden entries"
    )
    share: Fraction = 0.2


class Inference(Part):
    encoder: Literal["bidirectional", "causal"] = "bidirectional"
    inputs: Annotated[list[Literal["neural", "behavior"]], Field(min_length=1)] = ["neural", "behavior"]
    hidden: Annotated[int, Field(ge=1, le=4096)] = 64
    masking: Masking = Masking()
    dropout: Dropout = Dropout()
    samples: Annotated[int, Field(ge=1, le=10000)] = Field(
        32, description="posterior samples behind written means and sds"
    )


class Teacher(Part):
    """Other models, from which a fit learns besides its data."""

    rates: list[str] = Field(
        default_factory=list,
        description="runs of ncyber, which make up fresh trials: training trials whose activity they draw anew; or "
        "HDF5 files of rates of the training trials themselves, of several the mean. Relative to this file, or "
        "--teacher on the command line",
    )
    weight: Annotated[float, Field(gt=0, le=100)] = Field(
        4.0, description="of rates from files beside the data, at first; it fades to nothing until the end"
    )
    fresh: Annotated[float, Field(gt=0, le=100)] = Field(
        3.0, description="fresh trials of runs in a step, for each training trial in it"
    )


DEFAULT_BATCH = 64  # a power of two: halves of it follow one another without a rest


class Training(Part):
    epochs: Annotated[int, Field(ge=1)] = 150
    batch: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        DEFAULT_BATCH,
        description=f"trials per step, over all animals; auto: {DEFAULT_BATCH}, and half of it whenever memory does "
        "not suffice",
    )
    window_s: Seconds | None = Field(
        None,
        description="train on windows of this length, drawn anew in every epoch from trials that are longer; "
        "all else sees whole trials",
    )
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-2
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-4
    hold_controller: Fraction = Field(
        0.0,
        description="share of training before gains and gate of the controller move; about 0.2 where trials are few or "
        "begin with the movement, so that the objective is found first (stiffness fell to nothing: hold it)",
    )
    patience: Annotated[int, Field(ge=1)] = Field(
        40, description="epochs without a better validation ELBO before the early stop"
    )
    starts: Annotated[int, Field(ge=1, le=100)] = Field(
        1, description="independent starts, compared on the validation ELBO"
    )
    teacher: Teacher | None = None
    dtype: Literal["float32", "float64"] = "float32"

    @property
    def first_batch(self) -> int:
        """Trials per step to begin with."""
        return DEFAULT_BATCH if self.batch == "auto" else self.batch

    def batch_of(self, examples: int) -> int | Literal["auto"]:
        """`batch`, but no more than there are to train on."""
        return "auto" if self.batch == "auto" else min(self.batch, examples)
