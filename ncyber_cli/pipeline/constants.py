"""What a fit has learned of each animal's physics, in readable units, and the variances that stand at their floor."""

from __future__ import annotations

from typing import Any

import torch

from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.model.body import PointMass
from ncyber_cli.model.closed_loop import LOG_VARIANCE_FLOOR, ClosedLoop
from ncyber_cli.model.controller import Lqr, Setpoint
from ncyber_cli.model.layout import Layout
from ncyber_cli.training.identify import Identified

_TOUCHING = 1.001  # a value this close to its floor has hit it


@torch.no_grad()
def animal_constants(
    model: NeuroModel, layout: Layout, animal: int, identified: Identified | None = None
) -> dict[str, dict[str, Any]]:
    """Value and unit of every constant of an animal, by name; only those that the model has.

    With what is `identified` of it also the standard deviation of each logarithm, `log_sd`: what more trials of this
    animal would change, not what a better model would. Cost weights are ratios to that of effort; of stiffness, a
    matrix, the uncertainty is that of its scale.
    """
    loop, index = model.loop, torch.tensor([animal], device=model.loop.initial_mean.device)
    found: dict[str, tuple[torch.Tensor, str]] = {}
    if isinstance(loop.controller, Setpoint):
        units = _gain_units(loop, layout)
        found["stiffness"] = loop.controller.stiffness_of(index)[0], units[0]
        found["damping"] = loop.controller.damping(index)[0], units[1]
        found["bound"] = loop.controller.bound(index)[0], units[2]
    if isinstance(loop.controller, Lqr):
        unit = _weight_units(loop, layout)
        found["position_weight"] = loop.controller.position_weight(index)[0], unit[0]
        found["velocity_weight"] = loop.controller.velocity_weight(index)[0], unit[1]
        found["bound"] = loop.controller.bound(index)[0], _gain_units(loop, layout)[2]
    if loop.body is not None and loop.body.lag is not None:
        found["muscle_lag"] = loop.body.lag(index)[0], "s"
    if isinstance(loop.body, PointMass) and (layout.n_force or loop.body.command_in_newtons):
        found["mass"] = loop.body.mass(index)[0], "kg"
    if loop.environment is not None:
        found["feedback_delay"] = loop.environment.delay_bins(index)[0] * layout.bin_s, "s"
    constants: dict[str, dict[str, Any]] = {
        name: {"value": value.tolist(), "unit": unit} for name, (value, unit) in found.items()
    }
    if identified is not None:
        for name, constant in constants.items():
            constant["log_sd"] = identified.log_sd_of(name)
    return constants


def _weight_units(loop: ClosedLoop, layout: Layout) -> tuple[str, str]:
    """Units of the weights of position and velocity over that of effort."""
    if not isinstance(loop.body, PointMass):
        return "a.u.", "a.u."
    return ("N^2/m^2", "N^2 s^2/m^2") if loop.body.command_in_newtons else ("1/s^4", "1/s^2")


def _gain_units(loop: ClosedLoop, layout: Layout) -> tuple[str, str, str]:
    """Units of stiffness, damping and bound."""
    if not isinstance(loop.body, PointMass):
        return "a.u.", "a.u.", "a.u."
    length = layout.body_units[0]
    if loop.body.command_in_newtons:
        return f"N/{length}", f"N s/{length}", "N"
    return "1/s^2", "1/s", f"{length}/s^2"


@torch.no_grad()
def floors_hit(model: NeuroModel, layout: Layout) -> list[str]:
    """Variances that stand at their floor, in words: the model fits something there exactly, which is suspicious."""
    loop, found = model.loop, []
    brain = int((loop.log_process_variance <= LOG_VARIANCE_FLOOR).sum())
    if brain:
        found.append(f"process noise of {brain} of {len(loop.log_process_variance)} latents")
    if loop.body is not None:
        scale, names = loop.body.residual, layout.body_names
        hit = scale.scale <= _TOUCHING * scale.floor
        names = names[len(names) - hit.shape[1] :]
        for animal, feature in hit.nonzero().tolist():
            found.append(f"residual of {names[feature]} of {layout.animals[animal]}")
    hit = loop.emission.at_floor()
    for index, session in enumerate(layout.sessions):
        units = [session.unit_id[unit] for unit in hit[index, : len(session.unit_id)].nonzero()[:, 0].tolist()]
        if units:
            found.append(f"noise of {len(units)} units of {session.animal} {session.session} ({units[0]}, ...)")
    return found
