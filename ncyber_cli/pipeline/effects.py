"""What an intervention did: rollouts against those without it, which share their noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.pipeline.open_run import OpenRun, objective_in_body_units
from ncyber_cli.spec import PointMass

COLUMNS = ["end_moved", "peak_moved", "farther_from_goal", "rates_changed"]
_BAND = (5.0, 95.0)  # percent
Values = dict[str, NDArray[np.float32]]  # by group, (trial, time, feature)


@dataclass
class Effects:
    """Effects of every trial and sample, gathered a piece at a time.

    `end_moved` and `peak_moved` are distances between the two bodies, in the last bin and at their widest;
    `farther_from_goal` is how much farther from its objective the body ends; `rates_changed` is the mean absolute
    change of the rates, as a share of the mean rate without the intervention.
    """

    run: OpenRun
    found: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)

    def add(self, without: Values, with_it: Values, mask: NDArray[np.bool_]) -> None:
        """Compare some trials; `mask` (trial, time) is False after a trial's end."""
        last = last_bin(mask)
        trials = np.arange(len(mask))
        here = np.where(mask, 1.0, np.nan)
        place = place_columns(self.run)
        if place:
            apart = np.linalg.norm(_change(without, with_it, "body")[:, :, place], axis=2)
            self._keep("end_moved", apart[trials, last])
            self._keep("peak_moved", np.nanmax(apart * here, axis=1))
        distances = [end_distance(self.run, values, mask) for values in (without, with_it)]
        if len(distances[0]):
            self._keep("farther_from_goal", distances[1] - distances[0])
        rates = np.nanmean(np.abs(_change(without, with_it, "rates")).mean(2) * here, axis=1)
        usual = np.nanmean(np.abs(without["rates"]).mean(2) * here, axis=1)
        self._keep("rates_changed", rates / np.maximum(usual, np.finfo(np.float32).tiny))

    def bands(self) -> dict[str, dict[str, float]]:
        """Median and the band that holds nine tenths of all trials and samples, by effect."""
        bands = {}
        for name, parts in self.found.items():
            low, median, high = np.percentile(np.concatenate(parts), (_BAND[0], 50.0, _BAND[1]))
            bands[name] = {"median": float(median), "low": float(low), "high": float(high)}
        return bands

    def _keep(self, name: str, values: NDArray[Any]) -> None:
        self.found.setdefault(name, []).append(values.astype(np.float64))


def in_words(bands: dict[str, dict[str, float]]) -> dict[str, str]:
    """Bands as a table shows them."""
    return {name: f"{band['median']:.3g} [{band['low']:.3g}, {band['high']:.3g}]" for name, band in bands.items()}


def end_distance(run: OpenRun, values: Values, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How far from its objective each body ends, (trial,); empty where the two have no unit in common."""
    if not (objective_in_body_units(run) and isinstance(run.spec.model.body, PointMass)):
        return np.zeros(0)
    trials, last = np.arange(len(mask)), last_bin(mask)
    n_axis = run.layout.n_position
    gap = values["body"][trials, last, :n_axis] - values["objectives"][trials, last, :n_axis]
    distance: NDArray[np.float64] = np.linalg.norm(gap.astype(np.float64), axis=1)
    return distance


def place_columns(run: OpenRun) -> list[int]:
    """The columns of the body in which a distance makes sense: positions, or all of them where they share a unit."""
    layout = run.layout
    if run.model.loop.body is None:
        return []
    if layout.n_position:
        return [i for i, name in enumerate(layout.body_names) if name.startswith("position_")]
    return list(range(len(layout.body_names))) if len(set(layout.body_units)) == 1 else []


def last_bin(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The last bin of each trial, (trial,)."""
    return np.asarray(mask.shape[1] - 1 - np.argmax(mask[:, ::-1], axis=1))


def _change(without: Values, with_it: Values, group: str) -> NDArray[np.float64]:
    return with_it[group].astype(np.float64) - without[group]
