"""What `simulate` is asked to do to an animal, checked against its run and turned into a changed model and scene."""

from __future__ import annotations

import math
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.errors import UsageError
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.rollout import Scene, set_objective
from ncyber_cli.model.closed_loop import ClosedLoop
from ncyber_cli.model.interventions import cut_edges, latents_of, silence_units, with_embedding_of
from ncyber_cli.pipeline.body_changes import change_body, change_delay
from ncyber_cli.pipeline.objective_schedule import INFERRED, TRIAL, Schedule, read_schedule
from ncyber_cli.pipeline.open_run import OpenRun
from ncyber_cli.pipeline.pulses import Pulse, read_pulse, total
from ncyber_cli.pipeline.recorded_trials import RecordedTrials
from ncyber_cli.pipeline.scenes import SomeTrials, Source

_SEVERAL_AREAS = "tell areas apart with model.brain.latents: {AREA: n, ...} and fit again"


@dataclass(frozen=True)
class Interventions:
    """As written on the command line; empty where nothing is done."""

    silence: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    objective: str | None = None
    perturb: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    delay_s: float | None = None
    embedding_of: str | None = None

    def written(self) -> dict[str, str]:
        """What is done, in the words of the command line."""
        words = {
            "silence": " ".join(self.silence),
            "cut": " ".join(self.cut),
            "objective": self.objective or "",
            "perturb": " ".join(self.perturb),
            "body": " ".join(self.body),
            "delay_s": "" if self.delay_s is None else f"{self.delay_s:g}",
            "embedding_of": self.embedding_of or "",
        }
        return {name: text for name, text in words.items() if text}


@dataclass(frozen=True)
class Plan:
    """What is rolled out: a model, and what is done to the scenes it is put into."""

    name: str
    model: NeuroModel
    silent: Bool[Tensor, " n_latent"] | None = None
    pulses: tuple[Pulse, ...] = ()
    schedule: Schedule | None = None
    like_trial: str | None = None  # the objective is the one inferred in this trial
    held: bool = False  # the objective stays the one that was inferred where the rollouts begin

    def check(self, source: Source) -> None:
        """Raises UsageError where a pulse or another trial's objective has no place in this session."""
        if self.like_trial is not None:
            assert isinstance(source, RecordedTrials)
            source.check_trial(self.like_trial)
        _, time_s = source.clock(slice(None))
        time_s = time_s[source.own_bins()]
        for pulse in self.pulses:
            if not pulse.over_bins(time_s, source.header.bin_s).any():
                raise UsageError(
                    "falls into no bin that is rolled out",
                    where=f"--perturb {pulse.text}",
                    remedy=f"rollouts of {source.header.session} go from {time_s.min():g} to {time_s.max():g} s",
                )

    def scene(self, source: Source, some: SomeTrials, *, seed: int, sample: int) -> Scene:
        """Where these trials begin, with everything done to them that is done to a scene."""
        scene = replace(source.scene(some, seed=seed, sample=sample), silent=self.silent)
        bins, time_s = source.clock(some.rows)
        bin_s = source.header.bin_s

        def with_pulses(before: Tensor, *, forces: bool) -> Tensor:
            pulses = [pulse for pulse in self.pulses if pulse.force == forces]
            return before + scene.from_here(before.new_tensor(total(pulses, time_s, bin_s, before.shape[2])))

        scene = replace(
            scene, force=with_pulses(scene.force, forces=True), input=with_pulses(scene.input, forces=False)
        )
        if self.held:
            return set_objective(scene, scene.objective[:, :1])
        schedule = self.schedule
        if self.like_trial is not None:
            assert isinstance(source, RecordedTrials)
            schedule = source.objective_of(self.like_trial, seed=seed, sample=sample)
        if schedule is None:
            return scene
        return set_objective(scene, scene.from_here(scene.objective.new_tensor(schedule.at(bins, time_s))))


def planned(run: OpenRun, name: str, wanted: Interventions, *, recorded: bool) -> Plan:
    """The plan of what is wanted of a run. Raises UsageError for anything that does not apply to it."""
    _once("--body", [text.partition("=")[0] for text in wanted.body])
    loop, silent = run.model.loop, None
    if wanted.silence:
        silent = _silent(run, wanted.silence)
        loop = silence_units(loop, _units(run, wanted.silence))
    if wanted.cut:
        loop = cut_edges(loop, [_edge(loop, text) for text in wanted.cut])
    for text in wanted.body:
        loop = change_body(loop, run.layout, text)
    if wanted.delay_s is not None:
        loop = change_delay(loop, wanted.delay_s)
    if wanted.embedding_of is not None:
        loop = _with_embedding(run, loop, wanted.embedding_of)
    pulses = tuple(read_pulse(text, run.spec.data, run.layout) for text in wanted.perturb)
    model = deepcopy(run.model)
    model.loop = loop
    return _with_objective(Plan(name, model, silent, pulses), run, wanted.objective, recorded=recorded)


def _silent(run: OpenRun, areas: tuple[str, ...]) -> Bool[Tensor, " n_latent"]:
    known = run.layout.area_names
    for area in areas:
        if area not in known:
            remedy = did_you_mean(area, known) + (f"; {_SEVERAL_AREAS}" if len(known) == 1 else "")
            raise UsageError(f"this run's brain has no area {area!r}", where="--silence", remedy=remedy)
    return latents_of(run.model.loop, areas)


def _units(run: OpenRun, areas: tuple[str, ...]) -> Bool[Tensor, "session unit"]:
    """The units of these areas; with a single area every unit is one of it, whatever its electrode says."""
    silent = torch.zeros(len(run.layout.sessions), run.layout.n_unit, dtype=torch.bool)
    for index, session in enumerate(run.layout.sessions):
        for unit, area in enumerate(session.unit_area):
            silent[index, unit] = len(run.layout.area_names) == 1 or area in areas
    return silent.to(run.device)


def _edge(loop: ClosedLoop, text: str) -> tuple[str, str]:
    edges = {f"{source}:{target}": (source, target) for source, target in loop.brain.edges}
    if text in edges:
        return edges[text]
    if not edges:
        what = f"this run's brain is one area, {loop.brain.areas.names[0]}, and has no edges"
        raise UsageError(what, where=f"--cut {text}", remedy=_SEVERAL_AREAS)
    raise UsageError("is no edge of this run's brain", where=f"--cut {text}", remedy=did_you_mean(text, edges))


def _with_embedding(run: OpenRun, loop: ClosedLoop, text: str) -> ClosedLoop:
    """The embedding of ANIMAL, or of A:B:SHARE, which lies that share of the way from A to B."""
    where, known = f"--embedding-of {text}", run.layout.animals
    first, *rest = [text] if text in known else text.split(":")
    if len(rest) not in (0, 2) or (rest and not _is_number(rest[1])):
        remedy = "write ANIMAL, or A:B:SHARE with a number for SHARE, e.g. 0.5"
        raise UsageError("names no animal and no place between two", where=where, remedy=remedy)
    for name in (first, *rest[:1]):
        if name not in known:
            raise UsageError(f"{name} is no animal of this run", where=where, remedy=did_you_mean(name, known))
    if run.model.loop.brain.individuals.animals.size == 0:
        remedy = "fit several animals, with model.animals.embedding above 0"
        raise UsageError("this run's animals have no embedding", where=where, remedy=remedy)
    if not rest:
        return with_embedding_of(loop, known.index(first))
    return with_embedding_of(loop, known.index(first), known.index(rest[0]), float(rest[1]))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _with_objective(plan: Plan, run: OpenRun, text: str | None, *, recorded: bool) -> Plan:
    """The plan with the objective that is written, whichever way."""
    if text is None:
        return plan
    objective = run.model.loop.objective
    if objective is None:
        raise UsageError("this run's model has no objective", where="--objective", remedy="leave it out")
    if text != INFERRED and not text.startswith(TRIAL):
        return replace(plan, schedule=read_schedule(text, objective.size))
    if not recorded:
        remedy = "give the recording that it is inferred from"
        raise UsageError("without DATA there are no trials", where=f"--objective {text}", remedy=remedy)
    if text == INFERRED:
        return replace(plan, held=True)
    return replace(plan, like_trial=text.removeprefix(TRIAL))


def _once(option: str, names: list[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise UsageError(f"{name} is given {times} times", where=option, remedy="give it once")
