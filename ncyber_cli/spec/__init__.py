"""The spec: every choice of a run, as frozen records that refuse what they do not know.

Keys are the words of the field; `kind` chooses a part and decides which other keys are legal;
times end in `_s`, rates in `_hz`. `spec_file` reads these records from YAML and names the line of
each problem.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from ncyber_cli.spec.brain import Connectome, ConnectomeEdge, LinearBrain, LowRankRNN, ResidualMLP
from ncyber_cli.spec.data import (
    BehaviorSource,
    Data,
    HeldOut,
    InputSource,
    NeuralSource,
    Series,
    Split,
    Trials,
    UnitSelection,
    Windows,
)
from ncyber_cli.spec.gym import Actions, Entries, Gym, InfoGoal
from ncyber_cli.spec.model import (
    Emission,
    EmissionByKind,
    LinearBody,
    Lqr,
    MLPController,
    Model,
    NoBody,
    NoController,
    Objective,
    PointMass,
    Setpoint,
)
from ncyber_cli.spec.part import Part
from ncyber_cli.spec.training import Inference, Teacher, Training

__all__ = [
    "Actions",
    "BehaviorSource",
    "Connectome",
    "ConnectomeEdge",
    "Data",
    "Emission",
    "EmissionByKind",
    "Entries",
    "Gym",
    "HeldOut",
    "Inference",
    "InfoGoal",
    "InputSource",
    "LinearBody",
    "LinearBrain",
    "LowRankRNN",
    "Lqr",
    "MLPController",
    "Model",
    "NeuralSource",
    "NoBody",
    "NoController",
    "Objective",
    "PointMass",
    "ResidualMLP",
    "Series",
    "Setpoint",
    "Spec",
    "Split",
    "Teacher",
    "Trials",
    "UnitSelection",
    "Windows",
]


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

    @property
    def window_bins(self) -> int | None:
        """Bins of the windows that training is done on; None: on whole trials."""
        return None if self.training.window_s is None else max(1, round(self.training.window_s / self.data.bin_s))

    @model_validator(mode="after")
    def _windows_hold_blind_spans(self) -> Spec:
        longest = self.inference.masking.span_bins[1]
        if self.window_bins is not None and self.window_bins <= longest:
            raise ValueError(
                f"training.window_s is {self.window_bins} bins of data.bin_s, and inference.masking.span_bins hides up "
                f"to {longest} in a row: write a longer window_s, or shorter spans"
            )
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
