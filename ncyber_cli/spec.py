"""The spec: every choice of a run, as frozen records that refuse what they do not know.

Keys are the words of the field; `kind` chooses a part and decides which other keys are legal;
times end in `_s`, rates in `_hz`. `spec_file` reads these records from YAML and names the line of
each problem.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

Seconds = Annotated[float, Field(gt=0, le=1e5, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Window = Annotated[tuple[float, float], Field(strict=False)]
Axis = Literal["trial", "time", "unit", "feature"]


class Part(BaseModel):
    """A piece of the spec: immutable, exact about types, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


# ---------------------------------------------------------------------------------------- data


class Series(Part):
    """A sampled signal of a file: NWB object name or path, or HDF5 dataset path."""

    source: Annotated[str, Field(min_length=1, description="NWB object name or path; HDF5 dataset path")]
    time: str | None = Field(None, description="HDF5 dataset with the time of each sample, in s")
    rate_hz: Annotated[float, Field(gt=0)] | None = Field(
        None, description="samples per second, where no times are stored"
    )
    axes: list[Axis] | None = Field(None, description="HDF5 axis order; default [time, unit] or [time, feature]")


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
        return self


# --------------------------------------------------------------------------------------- model


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
    """Individual variation: embeddings shift the shared brain by low-rank deltas; one animal has nothing to differ by."""

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


# ----------------------------------------------------------------------- inference and training


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
    """Rates of other models, which a fit learns on its training trials beside the data."""

    rates: list[str] = Field(
        default_factory=list,
        description="runs of ncyber, or HDF5 files of rates, relative to this file, or --teacher on the command line; "
        "of several the mean is learned",
    )
    weight: Annotated[float, Field(gt=0, le=100)] = Field(
        4.0, description="of the teacher's rates beside the data, at first; it fades to nothing until the end"
    )


class Training(Part):
    epochs: Annotated[int, Field(ge=1)] = 150
    batch: Annotated[int, Field(ge=1)] = Field(64, description="trials per step, over all animals")
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


# ------------------------------------------------------------------- environments of others


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


class Spec(Part):
    version: Literal[1]
    data: Data
    model: Model = Model()
    inference: Inference = Inference()
    training: Training = Training()
    gym: Gym | None = None

    @model_validator(mode="after")
    def _emissions_suit_their_kinds(self) -> Spec:
        for kind in dict.fromkeys(source.kind for source in self.data.neural):
            chosen = self.model.emission_of(kind)
            if kind != "spikes" and chosen is not None and chosen.kind in ("poisson", "negative_binomial"):
                raise ValueError(
                    f"model.emission {chosen.kind} scores counts, and data.neural has a source of kind {kind}; "
                    f"write emission: {{{kind}: {{kind: gaussian}}}}, or leave it out"
                )
        return self

    @model_validator(mode="after")
    def _observed_signals_exist(self) -> Spec:
        known = dict.fromkeys([*self.data.behavior, *(["velocity"] if self.model.body.kind == "point_mass" else [])])
        for name in self.gym.observation if self.gym is not None else ():
            if name not in known:
                raise ValueError(f"gym.observation.{name} is no signal of the body, write {' or '.join(known)}")
        return self

    @model_validator(mode="after")
    def _areas_of_inputs_exist(self) -> Spec:
        latents = self.model.brain.latents
        known = list(latents) if isinstance(latents, dict) else []
        for name, given in self.data.inputs.items():
            if given.area is not None and given.area not in known:
                remedy = (
                    f"write {' or '.join(known)}" if known else "name its areas, model.brain.latents: {M1: 8, PMd: 8}"
                )
                raise ValueError(f"data.inputs.{name}: the brain has no area {given.area}, {remedy}")
        return self

    @model_validator(mode="after")
    def _body_is_recorded(self) -> Spec:
        behavior = self.data.behavior
        if self.model.body.kind == "point_mass" and "position" not in behavior:
            raise ValueError("body point_mass needs data.behavior.position, name the recorded position")
        if self.model.body.kind == "linear" and not behavior:
            raise ValueError("body linear needs at least one signal under data.behavior")
        if self.model.objective is not None and self.model.objective.prior == "moving" and "position" not in behavior:
            raise ValueError("moving goals need data.behavior.position, name the recorded position")
        if self.inference.inputs == ["behavior"] and not behavior:
            raise ValueError("inference.inputs: [behavior] needs data.behavior")
        return self
