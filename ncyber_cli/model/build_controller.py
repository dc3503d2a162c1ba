"""From the spec to the controller, with gains or weights that begin at an ordinary reach."""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from ncyber_cli import spec as specs
from ncyber_cli.errors import SpecError
from ncyber_cli.model.body import LinearBody, PointMass
from ncyber_cli.model.brain import Areas
from ncyber_cli.model.controller import Lqr, MLPController, Setpoint
from ncyber_cli.model.controller.setpoint import DAMPING, STIFFNESS
from ncyber_cli.model.layout import Layout
from ncyber_cli.model.plant import plant_of

_FIRST_ORDER = 0.2  # of the way in a bin, where velocity is no state of the body
Recorded = PointMass | LinearBody | None


def build_controller(
    spec: specs.Setpoint | specs.Lqr | specs.MLPController,
    layout: Layout,
    areas: Areas,
    n_objective: int,
    body: Recorded,
) -> Setpoint | Lqr | MLPController:
    """Raises SpecError where `areas` of the spec are not among the brain's."""
    if isinstance(spec, specs.MLPController):
        n_control = n_objective if body is None else body.n_control
        return MLPController(areas.size, n_objective, n_control, spec.hidden, layout.control_scale)
    gate_areas = _gate_areas(spec.areas, areas)
    if isinstance(spec, specs.Lqr):
        assert body is not None, "the spec refuses lqr without a body"
        return _lqr(spec, layout, areas, gate_areas, body)
    return _setpoint(layout, areas, gate_areas, n_objective, body)


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


def _setpoint(layout: Layout, areas: Areas, gate_areas: Tensor, n_objective: int, body: Recorded) -> Setpoint:
    moving = isinstance(body, PointMass) or (isinstance(body, LinearBody) and body.has_velocity)
    return Setpoint(
        n_objective,
        areas.size,
        len(layout.animals),
        layout.control_scale,
        gate_areas,
        projection=body.pseudo_inverse if isinstance(body, LinearBody) else None,
        n_control=n_objective if body is None else body.n_control,
        stiffness=STIFFNESS if moving else _FIRST_ORDER / layout.bin_s,
    )


def _lqr(spec: specs.Lqr, layout: Layout, areas: Areas, gate_areas: Tensor, body: PointMass | LinearBody) -> Lqr:
    position, velocity = _first_weights(body, layout)
    return Lqr(
        partial(plant_of, body, len(layout.animals), layout.bin_s),
        areas.size,
        len(layout.animals),
        body.n_control,
        layout.control_scale,
        gate_areas,
        position,
        velocity,
        spec.horizon_s,
    )


def _first_weights(body: PointMass | LinearBody, layout: Layout) -> tuple[Tensor, Tensor]:
    """Weights of position and velocity that lead to the usual stiffness and damping: q = K^2, w = D^2 - 2 K.

    In controls: what a unit of control moves, in units of the body, divides them.
    """
    sd, n = torch.tensor(layout.body_sd), layout.n_position
    if isinstance(body, LinearBody) and not body.has_velocity:
        return (_FIRST_ORDER / layout.bin_s / sd[: body.n_position]).square(), torch.zeros(0)
    if isinstance(body, LinearBody):
        effect = sd[n : 2 * n]
    else:
        effect = 1 / body.mass.log_shared.detach().exp().expand(n) if body.command_in_newtons else torch.ones(n)
    return (STIFFNESS / effect).square(), (DAMPING**2 - 2 * STIFFNESS) / effect.square()
