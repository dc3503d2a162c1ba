"""From the spec and the layout of the data to the parts of the model, and their wiring."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch

from ncyber_cli import spec as specs
from ncyber_cli.data.recording import TRAIN
from ncyber_cli.model.body import PointMass
from ncyber_cli.model.brain import Areas, Brain
from ncyber_cli.model.build_controller import build_controller
from ncyber_cli.model.closed_loop import ClosedLoop
from ncyber_cli.model.controller import Controller
from ncyber_cli.model.drift import Drift
from ncyber_cli.model.emission import DEFAULT_EMISSION, EMISSIONS, Emission, Gaussian
from ncyber_cli.model.environment import DelayLine
from ncyber_cli.model.layout import Layout
from ncyber_cli.model.linear_body import LinearBody
from ncyber_cli.model.messages import Price, Wiring, wiring
from ncyber_cli.model.meta import Individuals
from ncyber_cli.model.mixed_emission import Mixed
from ncyber_cli.model.objective import Objective
from ncyber_cli.model.readout_uncertainty import ReadoutUncertainty
from ncyber_cli.model.silencing import Silencing
from ncyber_cli.model.slow_and_fast import SlowAndFast

_LATENT_GOAL_DIMENSIONS = 2  # without a body and without a word in the spec


def build_model(spec: specs.Model, layout: Layout, generator: torch.Generator) -> ClosedLoop:
    """The untrained model; random weights come from `generator` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        return _build(spec, layout)


def _build(spec: specs.Model, layout: Layout) -> ClosedLoop:
    areas = Areas(tuple(layout.area_names), tuple(layout.area_latents))
    n_animal = len(layout.animals)
    body = _body(spec.body, layout)
    objective = _objective(spec, layout, body)
    n_control = 0
    controller: Controller | None = None
    if objective is not None and not isinstance(spec.controller, specs.NoController):
        controller = build_controller(spec.controller, layout, areas, objective, body)
        n_control = controller.n_control
    environment = None
    if body is not None and spec.environment.kind == "feedback":
        n_residual = body.residual.scale.shape[1]
        lead = 0.5 if controller is not None and controller.looks_ahead else 0.0
        environment = DelayLine(spec.environment.delay_s, layout.bin_s, n_animal, body.n_body, n_residual, lead)
    brain = Brain(
        spec.brain.kind,
        areas,
        hidden=areas.size if spec.brain.kind == "linear" else spec.brain.hidden,
        wiring=_wiring(spec.brain, layout),
        n_control=n_control,
        n_feedback=0 if environment is None else environment.n_body,
        n_input=len(layout.input_names),
        n_objective=objective.size if objective is not None and spec.brain.objective_drive else 0,
        individuals=Individuals(n_animal, len(layout.sessions), layout.animal_embedding, layout.session_embedding),
        rank=spec.animals.rank,
        leak=layout.bin_s / spec.brain.time_constant_s if spec.brain.kind == "low_rank_rnn" else 0.0,
        context_columns=layout.context_columns,
        input_areas=_input_areas(layout),
    )
    brain.standardise_inputs(torch.tensor(layout.input_mean), torch.tensor(layout.input_sd))
    if controller is not None:
        brain.standardise(controller.control_scale, torch.tensor(layout.body_mean), torch.tensor(layout.body_sd))
    emission = _emission(spec, layout, areas)
    silencing = _silencing(layout, areas)
    return ClosedLoop(brain, emission, controller, objective, body, environment, layout.bin_s, silencing)


def _wiring(brain: specs.ResidualMLP | specs.LinearBrain | specs.LowRankRNN, layout: Layout) -> Wiring:
    price = None if brain.price is None else Price(brain.price.kind, brain.price.weight)
    known, edges = brain.connectome, brain.edges
    if known is None:
        return wiring(layout.area_names, brain.messages, layout.bin_s, edges, brain.delay_s, price)
    if isinstance(known, str) or known.edges is None:
        raise ValueError("a connectome's file is read before a model is built: see pipeline.connectome")
    if known.absent == "off":
        edges = [f"{edge.source}:{edge.target}" for edge in known.edges]
    return _as_known(wiring(layout.area_names, brain.messages, layout.bin_s, edges, brain.delay_s, price), known)


def _as_known(wired: Wiring, connectome: specs.Connectome) -> Wiring:
    """With the signs and strengths of a connectome, where it gives any; strengths are relative to their mean."""
    rows = {(edge.source, edge.target): edge for edge in connectome.edges or ()}
    given = [edge.strength for edge in rows.values() if edge.strength is not None]
    signs = strengths = None
    if any(edge.sign is not None for edge in rows.values()):
        named = {"excitatory": 1, "inhibitory": -1, None: 0}
        signs = tuple(named[rows[edge].sign] if edge in rows else 0 for edge in wired.edges)
    if given or connectome.absent != "off":
        usual = sum(given) / len(given) if given else 1.0
        absent = 1.0 if connectome.absent == "off" else connectome.absent
        strengths = tuple((rows[edge].strength or usual) / usual if edge in rows else absent for edge in wired.edges)
    return replace(wired, signs=signs, strengths=strengths)


def _input_areas(layout: Layout) -> list[list[str] | None]:
    """The areas that each input drives, None for all; a silencing drives none."""
    named = [None if area is None else [area] for area in layout.input_area]
    return [[] if column in layout.silencing_columns else areas for column, areas in enumerate(named)]


def _silencing(layout: Layout, areas: Areas) -> Silencing | None:
    columns = layout.silencing_columns
    if not columns:
        return None
    latent_area = areas.latent_area()
    latents = torch.stack([latent_area == areas.names.index(str(layout.input_area[column])) for column in columns])
    units = torch.zeros(len(columns), len(layout.sessions), layout.n_unit, dtype=torch.bool)
    for index, session in enumerate(layout.sessions):
        for row, column in enumerate(columns):
            silenced = [area == layout.input_area[column] for area in session.unit_area]
            units[row, index, : len(silenced)] = torch.tensor(silenced)
    return Silencing(columns, latents, units, torch.tensor(layout.floor))


def _body(spec: specs.NoBody | specs.PointMass | specs.LinearBody, layout: Layout) -> PointMass | LinearBody | None:
    if isinstance(spec, specs.NoBody):
        return None
    lag = None if spec.muscle_lag_s == "learned" else spec.muscle_lag_s
    n_animal, start = len(layout.animals), torch.tensor(layout.residual_scale)
    if isinstance(spec, specs.PointMass):
        return PointMass(layout.n_position, n_animal, layout.bin_s, start, lag, spec.mass_kg)
    mean, sd, n = torch.tensor(layout.body_mean), torch.tensor(layout.body_sd), layout.n_position or None
    return LinearBody(
        mean, sd, spec.controls, n_animal, layout.bin_s, start, lag, layout.n_force, n, layout.has_velocity
    )


def _objective(spec: specs.Model, layout: Layout, body: PointMass | LinearBody | None) -> Objective | None:
    if spec.controller.kind == "none":
        return None
    chosen = spec.objective or specs.Objective()
    mean, sd = torch.tensor(layout.objective_mean), torch.tensor(layout.objective_sd)
    natural = len(mean) if body is not None else _LATENT_GOAL_DIMENSIONS
    in_body_units = spec.controller.kind != "mlp" and body is not None
    size = natural if chosen.dimensions is None or in_body_units else chosen.dimensions
    if chosen.prior == "moving":
        velocity = torch.tensor(layout.body_sd)[size : 2 * size]
        mean, sd = torch.cat([mean, torch.zeros(size)]), torch.cat([sd, velocity])
    elif size != len(mean):  # an abstract objective has no units of its own
        mean, sd = torch.zeros(size), torch.ones(size)
    most_prototypes = max(chosen.prototype_numbers, default=0)
    return Objective(chosen.prior, mean, sd, layout.bin_s, chosen.jump_rate_hz, most_prototypes)


def _emission(spec: specs.Model, layout: Layout, areas: Areas) -> Emission:
    kinds, n_session = layout.neural_kinds, len(layout.sessions)
    if len(kinds) == 1:
        emission = _of_kind(spec, kinds[0], n_session, layout.n_unit, areas.size)
    else:
        kind_of = torch.zeros(n_session, layout.n_unit, dtype=torch.long)
        for index, session in enumerate(layout.sessions):
            kind_of[index, : len(session.unit_kind)] = torch.tensor([kinds.index(kind) for kind in session.unit_kind])
        emission = Mixed({kind: partial(_of_kind, spec, kind) for kind in kinds}, kind_of, areas.size)
    if spec.drift:
        emission.drift = _drift(layout, emission)
    if layout.uncertain_readouts:
        emission.uncertainty = ReadoutUncertainty(n_session, layout.n_unit, areas.size)
    if len(areas.names) > 1:  # with a single area its name does not matter
        _read_own_area(emission, layout, areas)
    return emission


def _of_kind(spec: specs.Model, kind: str, n_session: int, n_unit: int, n_latent: int) -> Emission:
    """What the units of a kind of source emit."""
    asked = spec.emission_of(kind) or specs.Emission(kind=DEFAULT_EMISSION[kind])
    if asked.kind == "gaussian" and asked.private_noise == "slow_and_fast":
        return SlowAndFast(n_session, n_unit, n_latent)
    if asked.kind == "gaussian":
        return Gaussian(n_session, n_unit, n_latent, asked.private_noise)
    return EMISSIONS[asked.kind](n_session, n_unit, n_latent)


def _drift(layout: Layout, emission: Emission) -> Drift:
    begin, end = torch.tensor([session.clock for session in layout.sessions]).unbind(1)
    n_trial = torch.tensor([float(session.split.count(TRAIN)) for session in layout.sessions])
    return Drift(emission.log_linear_units(), begin, end, n_trial)


def _read_own_area(emission: Emission, layout: Layout, areas: Areas) -> None:
    """A unit reads the latents of the area that it was recorded in."""
    latent_area = areas.latent_area()
    for index, session in enumerate(layout.sessions):
        unit_area = torch.tensor([areas.names.index(name) for name in session.unit_area], dtype=torch.long)
        emission.latent_mask[index, : len(unit_area)] = (unit_area[:, None] == latent_area).float()
