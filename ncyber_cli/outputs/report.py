"""The believability report: one HTML page that needs nothing else, from what metrics.json holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}
.verdict{font-size:1.15em;padding:.8em 1em;border-left:6px solid #999;background:#f4f4f4}
.yes{border-color:#009e73}.no{border-color:#d55e00}.by-behavior{border-color:#e69f00}
table{border-collapse:collapse;margin:.5em 0}td,th{padding:.2em .8em .2em 0;text-align:left;vertical-align:top}
th{border-bottom:1px solid #999}svg{max-width:100%;height:auto}.note{color:#555}
"""
_ARMS = {
    "objective": "the inferred objective, frozen",
    "none": "no objective: the loop pursues the mean of the prior",
    "shuffled": "what was inferred in another trial of the animal",
    "motion": "no loop: the best linear laws of the body alone",
    "mlp": "a refit with an unstructured controller",
    "midway": "the middle between none and mlp",
    "behavior": "the objective inferred without neurons",
}


def report_html(metrics: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    """The page. `figures` are SVG text by name: gains, distance, and recovery of each session."""
    parts = [_verdict(metrics), _foresight(metrics, figures), _held_out(metrics), _edges(metrics), _signs(metrics)]
    parts += [_agreement(metrics), _recovery(metrics, figures), _provenance(metrics)]
    title = f"ncyber: {escape(str(metrics['run']))}"
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{"".join(parts)}</body></html>\n'


def _verdict(metrics: Mapping[str, Any]) -> str:
    whole = metrics["verdict"]["all"]
    rows = [
        {"animal": animal, "supported": one["supported"], "why": one["sentence"]}
        for animal, one in metrics["verdict"].items()
        if animal != "all"
    ]
    kind = str(whole["supported"]).replace(" ", "-")
    return (
        "<h1>Does the objective earn its place?</h1>"
        f'<p class="verdict {kind}">{escape(whole["sentence"])}</p>' + _table(rows)
    )


def _foresight(metrics: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    gains = metrics["gains"]
    if not gains:
        return ""
    settings = metrics["settings"]
    text = (
        f"From {len(settings['starts'])} starts in each test trial the closed loop runs on with the objective frozen "
        f"at what was inferred by then, and foretells the body from {settings['first_horizon_s']:g} s to "
        f"{settings['horizon_s']:g} s ahead. Gains are nats a bin of predictive density, whose width every arm learns "
        "on validation trials; intervals are a bootstrap over test trials and seeds. The lower end has to exceed "
        f"{settings['worth_nats']:g} nats over none, shuffled and behavior, and zero over motion and midway."
    )
    rows = [
        {"animal": animal, "over": arm, "gain": _interval(each), "trials": one["trials"], "seeds": one["seeds"]}
        for animal, one in gains.items()
        for arm, each in one["over"].items()
    ]
    meanings = [{"arm": arm, "what it is": what} for arm, what in _ARMS.items()]
    shown = "".join(figures[name] for name in ("gains", "distance") if name in figures)
    return f"<h2>What the objective foretells</h2><p>{text}</p>{shown}{_table(rows)}{_table(meanings)}"


def _held_out(metrics: Mapping[str, Any]) -> str:
    return "<h2>Held-out likelihood</h2>" + _table(metrics["held_out"])


def _edges(metrics: Mapping[str, Any]) -> str:
    if not metrics["edges"]:
        return ""
    note = (
        "By how many nats a bin the messages along each directed edge move their target's next state, at most. The "
        "standard error is over test trials: another fit may differ by more, and without a price of messages "
        "(model.brain.price) an edge that is not needed may carry some all the same."
    )
    page = f'<h2>What passes from area to area</h2><p class="note">{note}</p>' + _table(metrics["edges"])
    names = {
        "rank_correlation": "rank correlation of learned with given strengths",
        "share_on_given": "share of learned strength on given edges",
    }
    against = [{"": names[name], **score} for name, score in metrics["connectome"].items() if score is not None]
    if against:
        note = "The connectome beside what was learned; the null is the same numbers over shuffled edges."
        page += f'<p class="note">{note}</p>' + _table(against)
    return page


def _signs(metrics: Mapping[str, Any]) -> str:
    warnings = metrics["warnings"]
    text = "".join(f"<li>{escape(warning)}</li>" for warning in warnings) or "<li>none</li>"
    return f"<h2>Signs that need no truth</h2><ul>{text}</ul>" + _table([metrics["signs"] or {}])


def _agreement(metrics: Mapping[str, Any]) -> str:
    rows = [
        {"animal": animal, **{name: _cell(value) for name, value in one.items()}}
        for animal, one in metrics["agreement"].items()
    ]
    note = "Concordance of the objectives of every two seeds, 1 where they are equal."
    if not rows:
        note = "Only one seed was fitted, so that nothing can be said of what another would have found."
    loose = [{"animal": animal, "what": what} for animal, one in metrics["not_told_apart"].items() for what in one]
    said = _table(loose) if loose else "<p>Nothing was found that the data could not tell apart.</p>"
    return (
        f"<h2>Agreement across seeds</h2><p>{note}</p>{_table(rows)}"
        f"<h2>What the data cannot tell apart</h2>{said}{_constants(metrics['constants'])}"
    )


def _constants(constants: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        {"animal": animal, "constant": name, "seeds": _cell(each["values"]), "unit": each["unit"]}
        for animal, one in constants.items()
        for name, each in one.items()
    ]
    return _table(rows)


def _recovery(metrics: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    found = metrics["recovery"]
    if not found:
        return '<h2>Recovery</h2><p class="note">The truth of these animals is not known.</p>'
    parts = ["<h2>Recovery of the known truth</h2><p>R2 on test trials in the truth's own units, nothing fitted to it "
             "unless it says mapped.</p>"]  # fmt: skip
    for session, one in found.items():
        scores = {name: _cell(one[name]) for name in ("control_r2", "actuator_r2") if name in one}
        rows = [{"what": name, "R2": _cell(value)} for name, value in one.get("objective_r2", {}).items()]
        cover = (
            [{"output": name, **{k: _cell(v) for k, v in each.items()}} for name, each in one["calibration"].items()]
            if "calibration" in one
            else []
        )
        parts.append(f"<h3>{escape(session)}</h3>{figures.get('recovery ' + session, '')}")
        parts += [_table(rows), _table([scores] if scores else []), _table(cover)]
    return "".join(parts)


def _provenance(metrics: Mapping[str, Any]) -> str:
    rows = [{"file": path, "sha256": digest[:16]} for path, digest in metrics["provenance"]["input_sha256"].items()]
    return f"<h2>Made from</h2><p><code>{escape(metrics['provenance']['command'])}</code></p>" + _table(rows)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if not columns:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    lines = ["".join(f"<td>{escape(_cell(row.get(name)))}</td>" for name in columns) for row in rows]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _interval(gain: Mapping[str, float]) -> str:
    return f"{gain['mean']:+.2f} [{gain['low']:.2f}, {gain['high']:.2f}]"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value)
    return str(value)
