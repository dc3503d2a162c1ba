"""One step of an ordinary differential equation, for worlds whose dynamics are one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def runge_kutta(flow: Callable[[Floats], Floats], state: Floats, duration: float) -> Floats:
    """The classical fourth-order step, any shape to the same; `flow` gives the time derivative of a state."""
    k1 = flow(state)
    k2 = flow(state + 0.5 * duration * k1)
    k3 = flow(state + 0.5 * duration * k2)
    k4 = flow(state + duration * k3)
    return state + duration / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
