"""An animal of three areas, one of which is never silenced in its recordings, and what silencing it would truly do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from kept_steps import synthesised
from numpy.typing import NDArray

from ncyber_cli.worlds.area_network import AREAS, BIN_S, STEP_S, TRIAL_S, Network, draw_network, run_network
from ncyber_cli.worlds.areas import NOBODY, bin_means, draw_disturbed, draw_events

TRIALS, UNITS = 240, 72
FROM_S, CONTINUATIONS = 0.6, 8
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AreaAnimal:
    seed: int
    network: Network
    spared: str  # the area that speaks to most others, the first of those

    @property
    def others(self) -> list[str]:
        return [area for area in AREAS if area != self.spared]

    def has(self, edge: tuple[str, str]) -> bool:
        source, target = (AREAS.index(area) for area in edge)
        return bool(self.network.edge[target, source])

    def recorded(self, folder: Path, silenced: Sequence[str]) -> Path:
        """Its recording in which these areas are silenced in some trials; all areas are stimulated in others."""
        words = [word for area in silenced or [NOBODY] for word in ("--silenced", area)]
        sizes = ["--trials", str(TRIALS), "--units", str(UNITS)]
        (file,) = synthesised(folder, "areas", "--seed", str(self.seed), *sizes, *words)
        return file

    @cache  # noqa: B019 - a script's animals live as long as the script
    def true_change(self, silenced: tuple[str, ...]) -> Floats:
        """Expected counts per bin with the spared area silenced from FROM_S on, less those without.

        Trials of the recording in which `silenced` are silenced go on from where they truly were at FROM_S; the mean
        over CONTINUATIONS of the noise from there on, which nobody can know at FROM_S.
        """
        off, on = draw_disturbed(TRIALS, silenced, AREAS, np.random.default_rng([self.seed, 0, 12]))
        events = draw_events(TRIALS, off, on, np.random.default_rng([self.seed, 0, 13]))
        first = round(FROM_S / STEP_S)
        also = events.silenced.copy()
        also[:, first:, AREAS.index(self.spared)] = True
        total = np.zeros((TRIALS, round(TRIAL_S / BIN_S), UNITS))
        for continuation in range(CONTINUATIONS):
            rates = []
            for each in (events, replace(events, silenced=also)):
                noise = np.random.default_rng([self.seed, 0, 14])
                later = np.random.default_rng([self.seed, 0, 16, continuation])
                rates.append(run_network(self.network, each, noise, (first, later)).rate_hz)
            total += BIN_S * bin_means(rates[1] - rates[0])
        return total / CONTINUATIONS


def draw_area_animal(seed: int) -> AreaAnimal:
    """The animal of `ncyber synth areas --seed`."""
    network = draw_network(np.random.default_rng([seed, 0, 11]), UNITS)
    return AreaAnimal(seed, network, AREAS[int(network.edge.sum(0).argmax())])
