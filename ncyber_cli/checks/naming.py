"""How findings name units and trials: the first few of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.recording import NeuralStream


def units_where(stream: NeuralStream, chosen: NDArray[np.bool_]) -> list[str]:
    return [unit for unit, wanted in zip(stream.unit_id, chosen, strict=True) if wanted]


def some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
