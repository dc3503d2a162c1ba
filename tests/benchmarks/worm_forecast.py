"""How far ahead a worm's neurons are foreseen, beside persistence and each neuron's own AR(1).

R2 = 1 - squared error / squared deviation from the training mean, pooled over the neurons that the encoder sees, on
test windows. Every forecast starts from the same bins, at several places of a window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.recording import TEST, TRAIN, Session

HORIZONS = (1, 5, 10, 20)  # frames
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OwnAR1:
    """x_{t+1} - mean = slope (x_t - mean) + noise, neuron by neuron, least squares on training windows."""

    mean: Floats  # (unit,)
    slope: Floats  # (unit,)

    @classmethod
    def fit(cls, windows: Floats) -> OwnAR1:
        """From complete windows (window, time, unit)."""
        mean = windows.mean(axis=(0, 1))
        now, later = windows[:, :-1] - mean, windows[:, 1:] - mean
        return cls(mean, (now * later).sum(axis=(0, 1)) / np.square(now).sum(axis=(0, 1)))

    def forecast(self, last: Floats, horizon: int) -> Floats:
        """`horizon` bins after the values `last` (window, unit)."""
        ahead: Floats = self.mean + self.slope**horizon * (last - self.mean)
        return ahead


def forecast_scores(session: Session, forecasts: dict[int, NDArray[np.float32]]) -> dict[str, list[float]]:
    """R2 at each of HORIZONS of the model, persistence and AR(1).

    `forecasts` holds, for each number of seen bins, what `infer --until-s` wrote: (window, time, unit).
    """
    units = ~session.held_out
    recorded = session.observation[..., units].astype(np.float64)
    own = OwnAR1.fit(recorded[session.split == TRAIN])
    test = session.split == TEST
    scores: dict[str, list[float]] = {"model": [], "persistence": [], "ar1": []}
    for horizon in HORIZONS:
        errors = dict.fromkeys(scores, 0.0)
        deviation = 0.0
        for seen, written in forecasts.items():
            last, truth = recorded[test, seen - 1], recorded[test, seen - 1 + horizon]
            estimates = {
                "model": written[test, seen - 1 + horizon][:, units],
                "persistence": last,
                "ar1": own.forecast(last, horizon),
            }
            deviation += float(np.square(truth - own.mean).sum())
            for name, estimate in estimates.items():
                errors[name] += float(np.square(truth - estimate).sum())
        for name, error in errors.items():
            scores[name].append(round(1.0 - error / deviation, 4))
    return scores
