"""How the brain turns an objective into a command."""

from ncyber_cli.model.controller.lqr import Lqr
from ncyber_cli.model.controller.mlp import MLPController
from ncyber_cli.model.controller.protocol import Belief, Controller
from ncyber_cli.model.controller.setpoint import Setpoint

__all__ = ["Belief", "Controller", "Lqr", "MLPController", "Setpoint"]
