"""The spec lines that would read a file: a guess from names, types and shapes, for the lab to correct."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ncyber_cli.checks.holding import FileHoldings, Holding

_MOST_CHANNELS = 16  # more columns than that are neurons or pixels, not a movement
_USUAL_WINDOW, _SHORTEST_WINDOW, _ENOUGH_WINDOWS = 60, 10, 40  # bins, bins, windows: split between training and tests
_FORCE = re.compile(r"force|torque|perturb", re.IGNORECASE)
_SILENCING = re.compile(r"silenc|inactivat|inhibit", re.IGNORECASE)
_STIMULUS = re.compile(r"stim|opto|laser|current", re.IGNORECASE)
_ACTIVITY = re.compile(r"gcamp|trace|neur|dff|calcium|spike|rate|activity", re.IGNORECASE)
_EVENTS = re.compile(r"deconv|event|spike", re.IGNORECASE)
_TRUTH = re.compile(r"target|goal", re.IGNORECASE)
_MEANINGS = (("position", re.compile(r"pos", re.IGNORECASE)), ("velocity", re.compile(r"vel", re.IGNORECASE)))


def spec_lines(held: FileHoldings) -> list[str]:
    """Give the lines of a spec's `data:` that would read the file, other possibilities as comments."""
    lines = ["data:", f"  sessions: [{_quoted(str(held.path))}]"]
    if held.nwb and not held.animal:
        lines.append(f"  animal_of: {{{_quoted(held.path.name)}: {_quoted(held.session or held.path.stem)}}}")
    lines += _nwb_lines(held.objects) if held.nwb else _hdf5_lines(held.objects)
    return lines


def _nwb_lines(objects: Sequence[Holding]) -> list[str]:
    neural = [(_neural_kind(held), held) for held in objects]
    found = sorted(
        [(kind, held) for kind, held in neural if kind], key=lambda pair: not _is_preferred(pair[1], objects)
    )
    kind = next((kind for kind in ("spikes", "calcium", "lfp") for known, _ in found if known == kind), "")
    frames = [held.rate_hz for known, held in found if known == kind == "calcium" and held.rate_hz]
    bin_s = 0.02 if kind == "spikes" else 1 / min(frames) if frames else 0.1
    lines = [f"  bin_s: {bin_s:.3g}", *_trial_lines(objects), "  neural:"]
    for known, held in found:
        line = f"    - {{source: {_name(held, objects)}, kind: {known}{_area(held)}}}"
        if known == kind and _is_preferred(held, objects):
            lines.append(line)
        else:
            lines.append(f"#{line[1:]}    # or {'beside it, with an area of its own' if known != kind else 'this'}")
    if not found:
        lines.append("    # no units, calcium or LFP found: name a series below and its kind")
    moving = [held for held in objects if _neural_kind(held) == "" and _is_movement(held)]
    return lines + _signal_lines(moving, lambda held: f"source: {_name(held, objects)}")


def _hdf5_lines(objects: Sequence[Holding]) -> list[str]:
    names = {held.path for held in objects}
    for layout, mark in (("lfads_torch", "train_encod_data"), ("nlb", "train_spikes_heldin")):
        if mark in names:
            return _benchmark_lines(layout, names)
    clocks = [held for held in objects if held.rising and re.search("time|clock", held.path, re.IGNORECASE)]
    sampled = [(held, clock) for held in objects for clock in clocks if held.shape[:1] == clock.shape]
    numeric = [(held, clock) for held, clock in sampled if held.kind not in ("text", "other") and held is not clock]
    wide = [(held, clock) for held, clock in numeric if len(held.shape) == 2 and held.shape[1] > _MOST_CHANNELS]
    if not wide:
        return [
            "  bin_s: 0.02",
            "  windows: {length_s: 4.0}",
            "  neural:",
            "    # no array of (time, unit) with times of its own found: name one, with axes and rate_hz",
        ]
    wide.sort(key=lambda pair: (not _ACTIVITY.search(pair[0].path), -pair[0].shape[1]))
    neural, clock = wide[0]
    bin_s = 1 / clock.rate_hz if clock.rate_hz else 0.02
    kind = "spikes" if neural.counts else "calcium"
    length = min(_USUAL_WINDOW, max(_SHORTEST_WINDOW, neural.shape[0] // _ENOUGH_WINDOWS))
    lines = [f"  bin_s: {bin_s:.3g}", f"  windows: {{length_s: {length * bin_s:.3g}}}", "  neural:"]
    for held, known in wide:
        line = f"    - {{source: {held.path}, time: {known.path}, kind: {kind}}}"
        lines.append(line if held is neural else f"#{line[1:]}    # or this")
    moving = [held for held, known in numeric if known is clock and len(held.shape) == 1 and not held.rising]
    return lines + _signal_lines(moving, lambda held: f"source: {held.path}, time: {clock.path}")


def _benchmark_lines(layout: str, names: set[str]) -> list[str]:
    lines = [
        f"  layout: {layout}",
        "  bin_s: 0.005    # the file does not say: as its makers binned it",
        "  neural:",
        "    - {source: spikes, kind: spikes}",
        "  held_out: {column: heldout}",
        "  split: {column: split}",
    ]
    return lines + ["  behavior:", "    behavior: {source: behavior}"] * ("train_behavior" in names)


def _trial_lines(objects: Sequence[Holding]) -> list[str]:
    tables = [held for held in objects if held.is_intervals and held.shape[0] > 1]
    tables.sort(key=lambda held: (not held.path.endswith("trials"), held.path.endswith("epochs"), -held.shape[0]))
    lines = [f"  trials: {{table: {table.path.rsplit('/', 1)[-1]}, align: {_events(table)}" for table in tables]
    return [f"#{line[1:]}" if place else line for place, line in enumerate(lines)] or ["  windows: {length_s: 4.0}"]


def _events(table: Holding) -> str:
    """Close a `trials` line with the event to align to, and name the others."""
    events = [column for column in table.columns if column.endswith("_time") and column != "stop_time"]
    events.sort(key=lambda column: (not column.startswith("go"), column != "start_time"))
    others = f"    # or align to {', '.join(events[1:])}" if events[1:] else ""
    return f"{(events or ['start_time'])[0]}}}{others}"


def _signal_lines(moving: Sequence[Holding], address: Callable[[Holding], str]) -> list[str]:
    behavior, inputs = [], []
    names = _signal_names([held for held in moving if not held.empty])
    for held in moving:
        last = _last(held)
        if held.empty:
            behavior.append(f"  # {_quoted(last)}: all NaN")
            continue
        if _TRUTH.search(last):  # what the animal is after is never an input, it is what the model has to find
            continue
        if _SILENCING.search(last):
            area = f", area: {_quoted(last.rpartition('_')[2])}"  # a guess: silencing_M1
            inputs.append(f"    {_quoted(last)}: {{{address(held)}, kind: silencing{area}}}")
            continue
        if kind := "force" if _FORCE.search(last) else "stimulation" if _STIMULUS.search(last) else "":
            inputs.append(f"    {_quoted(last)}: {{{address(held)}, kind: {kind}}}")
            continue
        unit = f", unit: {_quoted(held.unit)}" if held.unit else ""
        behavior.append(f"    {_quoted(names[held.path])}: {{{address(held)}{unit}}}")
    named = any(not line.startswith("  #") for line in behavior)
    return (["  behavior:"] * named + behavior if behavior else []) + (["  inputs:", *inputs] if inputs else [])


def _signal_names(moving: Sequence[Holding]) -> dict[str, str]:
    """Call the signals by their own names, but the likeliest position and velocity so: a point mass asks for them."""
    names = {held.path: _last(held) for held in moving}
    for word, known in _MEANINGS:
        alike = sorted((held.path for held in moving if known.search(_last(held))), key=lambda p: names[p] != word)
        if alike:
            names[alike[0]] = word
    return names


def _neural_kind(held: Holding) -> str:
    if held.is_units:
        return "spikes"
    if held.kind == "RoiResponseSeries":
        return "events" if _EVENTS.search(_last(held)) else "calcium"
    return "lfp" if held.kind == "ElectricalSeries" and "LFP" in held.above else ""


def _is_preferred(held: Holding, objects: Sequence[Holding]) -> bool:
    """Traces are offered in one form: dF/F where there is any, else the raw fluorescence; other sources always."""
    if held.kind != "RoiResponseSeries":
        return True
    relative = any("DfOverF" in other.above for other in objects)
    return ("DfOverF" in held.above) == relative


def _area(held: Holding) -> str:
    if not held.is_units or "electrodes" in held.columns:
        return ", area: from_electrodes"
    column = next((column for column in held.columns if column in ("location", "area", "brain_area", "region")), None)
    return f", area_column: {column}" if column else ""


def _is_movement(held: Holding) -> bool:
    if held.kind not in ("TimeSeries", "SpatialSeries") or held.path.startswith(("analysis", "scratch", "stimulus")):
        return False
    if held.kind == "TimeSeries" and held.path.startswith("acquisition") and held.unit in ("", "NA", "n.a.", "unknown"):
        return False  # markers and identifiers, not a movement
    return len(held.shape) == 1 or (len(held.shape) == 2 and held.shape[1] <= _MOST_CHANNELS)


def _name(held: Holding, objects: Sequence[Holding]) -> str:
    """Give the object's own name where no other object of the file shares it, else its path."""
    shared = sum(_last(other) == _last(held) for other in objects) > 1
    return _quoted(held.path if shared else _last(held))


def _last(held: Holding) -> str:
    return held.path.rsplit("/", 1)[-1]


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w./*-]*[A-Za-z_/][\w./*-]*|[\w]+( [\w]+)*", text) else f'"{text}"'
