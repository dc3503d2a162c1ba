"""Figures of the believability report, as SVG text: readable anywhere, without a network and without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = Sequence[float | None]
# Colours of Okabe & Ito, told apart by everyone; an arm has one colour in every figure.
COLORS = {
    "objective": "#0072B2",
    "none": "#999999",
    "shuffled": "#E69F00",
    "behavior": "#009E73",
    "motion": "#000000",
    "mlp": "#D55E00",
}
_MORE = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#999999", "#CC79A7", "#D55E00")


def gains_figure(gains: Mapping[str, Mapping[str, Any]], worth: float) -> str:
    """Gains over each arm with their intervals; `gains` by animal, then by arm: mean, low and high, nats a bin."""
    arms = list(dict.fromkeys(arm for over in gains.values() for arm in over))
    figure, axes = _figure(7.0, 1.0 + 0.32 * len(arms) * max(1, len(gains)))
    labels, row = [], 0
    for animal, over in gains.items():
        for arm in arms:
            if arm in over:
                low, mean, high = (over[arm][key] for key in ("low", "mean", "high"))
                axes.plot([low, high], [row, row], color=COLORS.get(arm, "#CC79A7"), linewidth=3)
                axes.plot([mean], [row], "o", color=COLORS.get(arm, "#CC79A7"))
                labels.append(f"{animal}: over {arm}")
                row += 1
    axes.axvline(0, color="black", linewidth=0.8)
    axes.axvline(worth, color="black", linewidth=0.8, linestyle=":")
    axes.set_yticks(range(row), labels)
    axes.invert_yaxis()
    axes.set_xlabel("gain of the inferred objective, nats a bin (dotted: what is worth something)")
    return _svg(figure)


def distance_figure(distances: Mapping[str, Curve], horizons_s: Sequence[float], unit: str) -> str:
    """Distance between forecast and recorded body over the horizon, one line an arm."""
    figure, axes = _figure(5.0, 3.2)
    for arm, far in distances.items():
        axes.plot(horizons_s, _numbers(far), "o-", markersize=3, color=COLORS.get(arm, "#CC79A7"), label=arm)
    axes.set_xlabel("time from the start of the forecast (s)")
    axes.set_ylabel(f"median distance ({unit})")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return _svg(figure)


def recovery_figure(courses: Mapping[str, Mapping[str, Any]]) -> str:
    """R2 of the objective over time from each event, the model's beside the nulls'."""
    figure, grid = _figure(max(5.0, 3.3 * len(courses)), 3.8, columns=len(courses))
    panels = np.atleast_1d(np.asarray(grid, object))
    for axes, (event, course) in zip(panels, courses.items(), strict=True):
        names = [name for name in course if name not in ("at_s", "trials")]
        for name, color in zip(names, _MORE, strict=False):
            style = "o-" if name.startswith("model") else "--"
            axes.plot(course["at_s"], _numbers(course[name]), style, markersize=3, color=color, label=name)
        axes.set_ylim(-0.5, 1.02)
        axes.axvline(0, color="black", linewidth=0.6)
        axes.set_xlabel(f"time from {event} (s)")
    panels[0].set_ylabel("R2 of the objective, raw")
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=4, frameon=False, fontsize=7)
    return _svg(figure)


def _figure(width: float, height: float, columns: int = 1) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    made: Axes = figure.subplots(1, columns)
    for axes in np.atleast_1d(np.asarray(made, object)):
        axes.spines[["top", "right"]].set_visible(False)
    return figure, made


def _svg(figure: Figure) -> str:
    """The same figure gives the same text."""
    import matplotlib

    text = StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "ncyber", "svg.fonttype": "none", "font.size": 9}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _numbers(values: Curve) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)
