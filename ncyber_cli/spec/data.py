"""What of a spec is about the recordings: where things are, how they are cut, which trials and neurons do what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ncyber_cli.spec.part import Axis, Fraction, Part, Seconds, Window


class Series(Part):
    """A sampled signal of a file: NWB object name or path, or HDF5 dataset path."""

    source: Annotated[str, Field(min_length=1, description="NWB object name or path; HDF5 dataset path")]
    time: str | None = Field(None, description="HDF5 dataset with the time of each sample, in s")
    rate_hz: Annotated[float, Field(gt=0)] | None = Field(
        None, description="samples per second, where no times are stored"
    )
    axes: list[Axis] | None = Field(None, description="HDF5 axis order; default [time, unit] or [time, feature]")

    @model_validator(mode="after")
    def _one_clock(self) -> Series:
        if self.time is not None and self.rate_hz is not None:
            raise ValueError("time and rate_hz exclude each other, write one of them")
        return self


class NeuralSource(Series):
    """Where neural activity is, what it is, and which brain area it comes from."""

    kind: Literal["spikes", "calcium", "events", "lfp"]
    area: str | None = Field(None, description="`from_electrodes`, or one area name for every unit")
    area_column: str | None = Field(None, description="units column (NWB) or dataset (HDF5) with each unit's area")
    labels: str | None = Field(None, description="units column (NWB) or dataset (HDF5) with each unit's identity")
    where: str | None = Field(None, description="keep this source's units for which this holds; as units.where for all")
    band_hz: Annotated[tuple[float, float], Field(strict=False)] | None = Field(
        None, description="kind lfp: log power in this band, [low, high], in place of the potential itself"
    )

    @model_validator(mode="after")
    def _one_area(self) -> NeuralSource:
        if self.area is not None and self.area_column is not None:
            raise ValueError("area and area_column exclude each other, write one of them")
        if self.band_hz is not None and self.kind != "lfp":
            raise ValueError(f"band_hz is for field potentials, kind is {self.kind}: write kind: lfp, or leave it out")
        if self.band_hz is not None and not 0 < self.band_hz[0] < self.band_hz[1] < float("inf"):
            raise ValueError("band_hz must be [low, high] with 0 < low < high")
        return self

    @property
    def name(self) -> str:
        """What the source is called beside others: one series may be read in several bands."""
        return self.source if self.band_hz is None else f"{self.source} {self.band_hz[0]:g}-{self.band_hz[1]:g} Hz"


class BehaviorSource(Series):
    """A recorded movement signal; `position` and `velocity` are the names a point mass needs."""

    unit: str = Field("a.u.", description="unit of the recorded values, e.g. m or m/s")
    columns: list[Annotated[int, Field(ge=0)]] | None = Field(None, description="columns to keep; default all")


class InputSource(Part):
    """What is given to the animal: a series, or columns of the trial table."""

    kind: Literal["force", "stimulation", "silencing", "stimulus", "cue", "context"]
    area: str | None = Field(
        None, description="the brain area that a stimulation, silencing, stimulus or cue reaches; default all of them"
    )
    source: str | None = None
    column: str | None = Field(
        None, description="trial column: an event time (cue), a label (context), an onset (stimulation, silencing)"
    )
    until: str | None = Field(None, description="trial column with the time at which a stimulation or silencing ends")
    time: str | None = None
    rate_hz: Annotated[float, Field(gt=0)] | None = None
    axes: list[Axis] | None = None
    columns: list[Annotated[int, Field(ge=0)]] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> InputSource:
        if (self.source is None) == (self.column is None):
            raise ValueError("an input needs exactly one of source (a series) and column (of the trial table)")
        if self.column is not None and self.kind in ("force", "stimulus"):
            raise ValueError(
                "a trial column is a cue (an event time), a context (a label), "
                "or the onset of a stimulation or silencing"
            )
        lasts = self.column is not None and self.kind in ("stimulation", "silencing")
        if lasts != (self.until is not None):
            remedy = "write until: the trial column with its end" if lasts else "leave until out"
            raise ValueError(f"an onset of stimulation or silencing has an end, and nothing else has, {remedy}")
        return self

    @model_validator(mode="after")
    def _where_it_acts(self) -> InputSource:
        if self.area is not None and self.kind in ("force", "context"):
            what = "acts on the body" if self.kind == "force" else "holds for the whole brain"
            raise ValueError(f"a {self.kind} {what}, leave area out")
        if self.area is None and self.kind == "silencing":
            raise ValueError("silencing needs the area that falls silent, write area: M1 or the like")
        return self


class Trials(Part):
    """Cut the recording at the rows of an interval table."""

    table: str = Field("trials", description="name of the interval table")
    align: str = Field("start_time", description="column with the event time that becomes 0 s")
    window_s: Window | None = Field(None, description="start and end around the event; default start_time to stop_time")
    where: str | None = Field(None, description="keep rows for which this holds, e.g. \"outcome == 'hit'\"")

    @model_validator(mode="after")
    def _ordered(self) -> Trials:
        if self.window_s is not None and self.window_s[0] >= self.window_s[1]:
            raise ValueError("window_s must be [start, end] with start < end")
        return self


class Windows(Part):
    """Cut a continuous recording into contiguous windows."""

    length_s: Seconds
    random: Annotated[int, Field(ge=0, le=100)] = Field(
        0, description="windows drawn at random places, for each that trains; none of them reaches validation or test"
    )


class UnitSelection(Part):
    where: str | None = Field(None, description="keep units for which this holds, e.g. \"quality == 'good'\"")
    min_rate_hz: Annotated[float, Field(ge=0)] = 0.0


class HeldOut(Part):
    """Neurons that are decoded and never encoded: what co_bps is scored on."""

    fraction: Fraction | None = None
    units: list[str] | None = Field(None, description="unit ids")
    column: str | None = Field(None, description="boolean units column, e.g. heldout")

    @model_validator(mode="after")
    def _one_rule(self) -> HeldOut:
        if sum(rule is not None for rule in (self.fraction, self.units, self.column)) != 1:
            raise ValueError("held_out needs exactly one of fraction, units and column")
        return self


class Split(Part):
    """Which trials train, which choose, which are only ever scored."""

    by: Literal["trial", "block"] = "trial"
    validation: Fraction = 0.1
    test: Fraction = 0.2
    seed: Annotated[int, Field(ge=0)] = 0
    column: str | None = Field(None, description="trial column that says train, validation or test")

    @model_validator(mode="after")
    def _leaves_training(self) -> Split:
        if self.validation + self.test >= 1:
            raise ValueError("validation + test must be below 1, training needs the rest")
        return self


class Data(Part):
    sessions: list[str] = Field(default_factory=list, description="files or globs, relative to the spec")
    bin_s: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
    layout: Literal["lfads_torch", "nlb"] | None = Field(
        None, description="of trial-aligned HDF5 with train_encod_data ... or train_spikes_heldin ...; source: spikes"
    )
    animal: str | None = Field(
        None, description="HDF5 dataset or attribute with the animal's name; default the file name"
    )
    animal_of: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict, description="the animal's name by file name or pattern, whatever the file says"
    )
    trials: Trials | None = None
    windows: Windows | None = None
    neural: Annotated[list[NeuralSource], Field(min_length=1)]
    behavior: dict[str, BehaviorSource] = Field(default_factory=dict)
    inputs: dict[str, InputSource] = Field(default_factory=dict)
    units: UnitSelection = UnitSelection()
    held_out: HeldOut | None = None
    split: Split = Split()

    @model_validator(mode="after")
    def _consistent(self) -> Data:
        aligned = self.layout is not None or any("trial" in (source.axes or ()) for source in self.neural)
        if (self.trials is not None) + (self.windows is not None) + aligned != 1:
            raise ValueError("write one of trials (a table), windows, layout, or a source with a trial axis")
        for name in self.inputs:
            if "=" in name:
                raise ValueError(f"inputs.{name}: = stands between a context and its label, choose a name without it")
        return self
