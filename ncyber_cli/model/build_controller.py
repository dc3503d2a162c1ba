"""From the spec to the controller, with gains or weights that begin at an ordinary reach."""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from ncyber_cli import spec as specs
from ncyber_cli.errors import SpecError
from ncyber_cli.model.body import PointMass
from ncyber_cli.model.brain import Areas
from ncyber_cli.model.controller import Lqr, MLPController, Setpoint
from ncyber_cli.model.controller.lqr import FirstWeights
from ncyber_cli.model.controller.setpoint import DAMPING, STIFFNESS, Pull
from ncyber_cli.model.layout import Layout
from ncyber_cli.model.linear_body import LinearBody
from ncyber_cli.model.objective import Objective
from ncyber_cli.model.plant import plant_of

_FIRST_ORDER = 0.2  # of the way in a bin, where velocity is no state of the body
Recorded = PointMass | LinearBody | None


def build_controller(
    spec: specs.Setpoint | specs.Lqr | specs.MLPController,
    layout: Layout,
    areas: Areas,
    objective: Objective,
    body: Recorded,
) -> Setpoint | Lqr | MLPController:
    """Raises SpecError where `areas` of the spec are not among the brain's."""
    if isinstance(spec, specs.MLPController):
        n_control = objective.size if body is None else body.n_control
        return MLPController(areas.size, objective.size, n_control, spec.hidden, layout.control_scale)
    gate_areas = _gate_areas(spec.areas, areas)
    if isinstance(spec, specs.Lqr):
        assert body is not None, "the spec refuses lqr without a body"
        return _lqr(spec, layout, areas, gate_areas, body, objective.moving)
    return _setpoint(layout, areas, gate_areas, objective, body)


def _gate_areas(named: list[str] | None, areas: Areas) -> Float[Tensor, " n_latent"]:
    if named is None:
        return torch.ones(areas.size)
    if not named or not set(named) <= set(areas.names):
        raise SpecError(
            f"{', '.join(named) or 'none'} cannot open the gate, the brain's areas are {', '.join(areas.names)}",
            where="model.controller.areas",
            remedy="name areas that model.brain.latents lists, latents: {AREA: n, ...}",
        )
    return torch.tensor([name in named for name in areas.names])[areas.latent_area()].float()


def _setpoint(layout: Layout, areas: Areas, gate_areas: Tensor, objective: Objective, body: Recorded) -> Setpoint:
    linear = body if isinstance(body, LinearBody) else None
    has_velocity = isinstance(body, PointMass) or (linear is not None and linear.has_velocity)
    pull = Pull(
        n_body=objective.size if body is None else body.n_body,
        n_control=objective.size if body is None else body.n_control,
        has_velocity=has_velocity,
        projection=None if linear is None else linear.pseudo_inverse,
        moving_goals=objective.moving,
    )
    stiffness = STIFFNESS if has_velocity else _FIRST_ORDER / layout.bin_s
    sizes = objective.n_axis, areas.size, len(layout.animals)
    return Setpoint(*sizes, layout.control_scale, gate_areas, pull, stiffness)


def _lqr(
    spec: specs.Lqr, layout: Layout, areas: Areas, gate_areas: Tensor, body: PointMass | LinearBody, moving: bool
) -> Lqr:
    plant = partial(plant_of, body, len(layout.animals), layout.bin_s)
    sizes = areas.size, len(layout.animals), body.n_control
    return Lqr(plant, *sizes, layout.control_scale, gate_areas, _first_weights(body, layout), spec.horizon_s, moving)


def _first_weights(body: PointMass | LinearBody, layout: Layout) -> FirstWeights:
    """Weights of position and velocity that lead to the usual stiffness and damping: q = K^2, w = D^2 - 2 K.

    In controls: what a unit of control moves, in units of the body, divides them.
    """
    sd, n = torch.tensor(layout.body_sd), layout.n_position
    if isinstance(body, LinearBody) and not body.has_velocity:
        return FirstWeights((_FIRST_ORDER / layout.bin_s / sd[: body.n_position]).square(), torch.zeros(0))
    if isinstance(body, LinearBody):
        effect = sd[n : 2 * n]
    else:
        effect = 1 / body.mass.log_shared.detach().exp().expand(n) if body.command_in_newtons else torch.ones(n)
    return FirstWeights((STIFFNESS / effect).square(), (DAMPING**2 - 2 * STIFFNESS) / effect.square())
