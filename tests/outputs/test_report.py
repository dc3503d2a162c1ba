from html.parser import HTMLParser
from typing import Any

import pytest

from ncyber_cli.outputs.figures import distance_figure, gains_figure, recovery_figure
from ncyber_cli.outputs.report import report_html

GAIN = {"mean": 1.0, "low": 0.5, "high": 1.5}
COURSE = {"at_s": [0.0, 0.1], "trials": [3, 3], "model, causal": [0.2, 0.9], "hand position": [None, 0.1]}


def _metrics() -> dict[str, Any]:
    verdict = {"supported": "yes", "sentence": "Yes: <it> does.", "failed": [], "not_judged": []}
    return {
        "run": "runs/a & b",
        "verdict": {"m": verdict, "all": verdict},
        "gains": {"all": {"trials": 3, "seeds": 1, "channels": 4, "over": {"none": GAIN}, "by_start": {}}},
        "held_out": [{"animal": "m", "trials": 3, "co_bps": None}],
        "edges": [{"from": "M1", "to": "PMd", "nats_per_bin": 0.5, "standard_error": 0.1, "delay_s": 0.02}],
        "connectome": {"rank_correlation": {"score": 0.8, "shuffled": 0.0, "p": 0.01}, "share_on_given": None},
        "agreement": {"m": {"objective": [0.9]}},
        "constants": {"m": {"mass": {"values": [1.0, 2.0], "unit": "kg"}}},
        "not_told_apart": {"m": ["mass differs between seeds"]},
        "recovery": {"m s": {"objective_r2": {"model": 0.9}, "calibration": {"causal": {"90%": 0.88}}}},
        "signs": {"residual_share": 0.01},
        "warnings": [],
        "settings": {"starts": [0.2], "first_horizon_s": 0.2, "horizon_s": 1.0, "worth_nats": 0.2},
        "provenance": {"input_sha256": {"a.nwb": "ab" * 32}, "command": "ncyber evaluate"},
    }


class _Reader(HTMLParser):
    """Checks that tags close in order, and gathers what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        links = [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.loads += [link for link in links if not link.startswith("#")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def figures() -> dict[str, str]:
    return {
        "gains": gains_figure({"all": {"none": GAIN, "mlp": GAIN}}, 0.2),
        "distance": distance_figure({"objective": [0.1, 0.2], "none": [0.3, None]}, [0.1, 0.2], "m"),
        "recovery m s": recovery_figure({"go": COURSE, "cue": COURSE}),
    }


def test_one_page_that_loads_nothing(figures: dict[str, str]) -> None:
    reader = _Reader()
    reader.feed(report_html(_metrics(), figures))
    assert reader.open == []
    assert reader.loads == []


def test_the_verdict_comes_first_and_text_is_escaped(figures: dict[str, str]) -> None:
    page = report_html(_metrics(), figures)
    assert "Yes: &lt;it&gt; does." in page
    assert "<it>" not in page
    assert page.index("Yes: ") < page.index("<svg")
    assert "a &amp; b" in page


def test_what_is_not_known_is_said() -> None:
    page = report_html({**_metrics(), "agreement": {}, "recovery": {}, "gains": {}}, {})
    assert "Only one seed" in page
    assert "truth of these animals is not known" in page


def test_the_same_figure_is_the_same_text(figures: dict[str, str]) -> None:
    assert gains_figure({"all": {"none": GAIN, "mlp": GAIN}}, 0.2) == figures["gains"]
    assert all(svg.startswith("<svg") for svg in figures.values())
