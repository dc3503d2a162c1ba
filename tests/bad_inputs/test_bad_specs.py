"""Bad specs: each is refused by `validate` and `fit` alike, with exit code 3, the line, the fault and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import NWB_SPEC, assert_refused, ncyber

UNITS = "    - {source: units, kind: spikes, area: from_electrodes}\n"


def changed(before: str, after: str) -> str:
    assert before in NWB_SPEC
    return NWB_SPEC.replace(before, after)


SPECS: dict[str, tuple[str | bytes, str]] = {
    # what YAML would make of it
    "a tag that runs code": (
        changed("bin_s: 0.05", "bin_s: !!python/object/apply:os.system ['touch harm']"),
        "mouse.yaml:4:10: tag tag:yaml.org,2002:python/object/apply:os.system is not allowed in a spec",
    ),
    "anchors that grow": (
        "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\n",
        "mouse.yaml:1:4: anchor &a is not allowed in a spec, write the value where it is needed",
    ),
    "a key twice": (
        changed("  bin_s: 0.05\n", "  bin_s: 0.05\n  bin_s: 0.02\n"),
        "mouse.yaml:5:3 data.bin_s: written twice (first at 4:3), keep one of the two",
    ),
    "yes for true": (
        NWB_SPEC + "training: {drop: yes}\n",
        "mouse.yaml:15:12 training.drop: unknown key, write",
    ),
    "no for false": (changed("latents: 3", "latents: 3, objective_drive: no"), "is the word no, write false"),
    "a number in quotes": (
        changed("bin_s: 0.05", 'bin_s: "1e-3"'),
        'mouse.yaml:4:10 data.bin_s: is the text "1e-3", write a number',
    ),
    "octal": (changed("latents: 3", "latents: 010"), "is 010, write a whole number or a mapping, {name: value}"),
    "base sixty": (changed("bin_s: 0.05", "bin_s: 12:30"), "mouse.yaml:4:10 data.bin_s: is 12:30, write a number"),
    "not a number": (changed("bin_s: 0.05", "bin_s: .nan"), "mouse.yaml:4:10 data.bin_s: is .nan, write a number"),
    "beyond all numbers": (changed("bin_s: 0.05", "bin_s: 1e999"), "data.bin_s: is 1e999, write a number"),
    "a tab": (changed("  bin_s", "\tbin_s"), "mouse.yaml:4:1: not valid YAML: found character '\\t'"),
    "Latin-1": (NWB_SPEC.replace("mouse", "m\u00e4use").encode("latin-1"), "mouse.yaml: is not UTF-8 text"),
    "UTF-16": (NWB_SPEC.encode("utf-16"), "mouse.yaml: is not UTF-8 text; give the YAML first, then the data"),
    "a NUL": (changed("mouse", "mo\0use"), "mouse.yaml:3:16: character #x00 is not allowed in YAML"),
    "nothing": ("", "mouse.yaml:1:1: the file is empty, `ncyber init` writes a spec to start from"),
    "a comment alone": ("# nothing\n", "mouse.yaml:1:1: the file is empty"),
    "a list": ("- 1\n- 2\n", "mouse.yaml:1:1: is not a mapping, write version: 1 and data: at the left edge"),
    "two documents": (f"{NWB_SPEC}---\n{NWB_SPEC}", "mouse.yaml:15:1: not valid YAML: but found another document"),
    "a megabyte": ("#" + " " * 1_000_000, "mouse.yaml: is too large for a spec; give the YAML first, then the data"),
    "nested without end": ("[" * 200 + "]" * 200, "mouse.yaml:1:33: not valid YAML: nested deeper than 32 levels"),
    "a list as a key": (NWB_SPEC + "[a, b]: 3\n", "mouse.yaml:15:1: a key must be one word"),
    # keys and values
    "an unknown key": (changed("bin_s", "bin_sz"), "mouse.yaml:4:3 data.bin_sz: unknown key, did you mean bin_s?"),
    "another unit": (changed("window_s", "window_ms"), "data.trials.window_ms: unknown key, did you mean window_s?"),
    "a later version": (changed("version: 1", "version: 2"), "mouse.yaml:1:10 version: is 2, write 1"),
    "no version": (changed("version: 1\n", ""), "version: is missing, write version: ..."),
    "bins below zero": (changed("bin_s: 0.05", "bin_s: -1"), "mouse.yaml:4:10 data.bin_s: is -1, write a number above"),
    "a kind that is none": (
        changed("kind: spikes", "kind: spike"),
        "data.neural.0.kind: is spike, write spikes, calcium, events or lfp; did you mean spikes?",
    ),
    "no source": (changed(UNITS, "    []\n"), "mouse.yaml:7:5 data.neural: has 0 entries, write at least 1"),
    "a source without a name": (changed("source: units", "source: ''"), "data.neural.0.source: is empty, write a name"),
    "half an epoch": (NWB_SPEC + "training: {epochs: 1.5}\n", "training.epochs: is 1.5, write a whole number"),
    "epochs beyond counting": (
        NWB_SPEC + "training: {epochs: 1e20}\n",
        "training.epochs: is 1e+20, write a whole number",
    ),
    "a brain beyond memory": (
        changed("hidden: 8}\n  controller", "hidden: 100000000}\n  controller"),
        "model.brain.hidden: is 100000000, write a number of at most 4096",
    ),
    # what does not go together
    "trials and windows": (
        changed("  neural", "  windows: {length_s: 2}\n  neural"),
        "mouse.yaml:3:3 data: write one of trials (a table), windows, layout, or a source with a trial axis",
    ),
    "a window that ends first": (
        changed("[-0.2, 0.6]", "[0.6, -0.2]"),
        "window_s must be [start, end] with start < end",
    ),
    "half a window": (changed("[-0.2, 0.6]", "[0.6]"), "data.trials.window_s.1: is missing, write a list of two"),
    "an objective without a body": (
        changed("  controller: {kind: setpoint}\n  body: {kind: point_mass}\n", "  objective: {prior: jump}\n"),
        "model: an objective needs a controller, write controller: {kind: setpoint} or {kind: lqr}",
    ),
    "a body without a controller": (
        changed("  controller: {kind: setpoint}\n", ""),
        "model: a body needs a controller, write controller: {kind: setpoint}, {kind: lqr} or {kind: mlp}",
    ),
    "a body without a position": (changed("position:", "speed:"), "body point_mass needs data.behavior.position"),
    "two areas": (changed("area: from", "area_column: x, area: from"), "area and area_column exclude each other"),
    "two clocks": (changed("unit: m}", "unit: m, time: t, rate_hz: 3}"), "time and rate_hz exclude each other"),
    "an input from nowhere": (
        changed("{source: push, kind: force}", "{kind: force}"),
        "data.inputs.force: an input needs exactly one of source (a series) and column (of the trial table)",
    ),
    "an input that looks like a label": (changed("task: {", "'a=b': {"), "choose a name without it"),
    "nothing held out": (changed("  behavior", "  held_out: {}\n  behavior"), "held_out needs exactly one of fraction"),
    "nothing to train on": (
        changed("  behavior", "  split: {test: 0.6, validation: 0.5}\n  behavior"),
        "data.split: validation + test must be below 1, training needs the rest",
    ),
    "counts of a trace": (
        changed("kind: spikes, area", "kind: calcium, area").replace(
            "  controller", "  emission: {kind: poisson}\n  controller"
        ),
        "model.emission poisson scores counts, and data.neural has a source of kind calcium",
    ),
    "prototypes of another prior": (
        changed("  controller", "  objective: {prior: slow, prototypes: 3}\n  controller"),
        "prior slow has no prototypes, write prior: switching or leave prototypes out",
    ),
    "a connectome of one area": (
        changed("latents: 3", "latents: 3, connectome: edges.csv"),
        "model.brain: a connectome joins areas, name them: latents: {M1: 8, PMd: 8}",
    ),
    "an environment without a map": (NWB_SPEC + "gym: {}\n", "mouse.yaml:15:1 gym.action: is missing"),
    "an expression that is none": (
        changed("align: go_time", "align: go_time, where: 'go_time >'"),
        "trials.where: cannot understand 'go_time >' (invalid syntax); write comparisons of columns",
    ),
    "an expression that runs code": (
        changed("align: go_time", 'align: go_time, where: \'__import__("os").mkdir("harm")\''),
        "(Call is not part of it)",
    ),
}


@pytest.mark.parametrize("case", SPECS)
def test_a_bad_spec_is_refused(case: str, here: Path) -> None:
    spec, said = SPECS[case]
    (here / "mouse.yaml").write_bytes(spec if isinstance(spec, bytes) else spec.encode())
    assert_refused(ncyber("validate", "mouse.yaml"), 3, said)
    assert_refused(ncyber("fit", "mouse.yaml", "--out", "new", "--dry-run"), 3, said)
    assert not (here / "harm").exists()


FILES = {
    "no spec": (["validate", "muose.yaml"], 3, "muose.yaml: No such file or directory; did you mean mouse.yaml?"),
    "a recording in its place": (["validate", "mouse.nwb"], 3, "mouse.nwb: is not UTF-8 text; give the YAML first"),
    "a folder in its place": (["validate", "run"], 3, "run: Is a directory"),
    "no recording": (
        ["fit", "mouse.yaml", "rat.nwb", "--out", "x"],
        4,
        "rat.nwb: matches no file; . holds copy.nwb, mouse.nwb",
    ),
    "a folder for a recording": (["fit", "mouse.yaml", "run", "--out", "x"], 4, "run: is a folder; write a pattern"),
    "a recording twice": (
        ["fit", "mouse.yaml", "mouse.nwb", "copy.nwb", "--out", "x"],
        4,
        "the same file is given twice",
    ),
    "no such key": (
        ["fit", "mouse.yaml", "--out", "x", "--set", "data.bins=3"],
        3,
        "--set data.bins: unknown key, did",
    ),
    "no assignment": (["fit", "mouse.yaml", "--out", "x", "--set", "data.bin_s"], 3, "is not an assignment"),
    "no device": (["fit", "mouse.yaml", "--out", "x", "--device", "tpu"], 2, "'tpu' is not one of"),
    "a run there": (["fit", "mouse.yaml", "--out", "run"], 2, "run: holds a run already; replace it with --overwrite"),
    "no seed": (["fit", "mouse.yaml", "--out", "x", "--seed", "-1"], 2, "should be greater than or equal to 0"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_bad_command_line_is_refused(case: str, here: Path) -> None:
    arguments, code, said = FILES[case]
    (here / "copy.nwb").write_bytes((here / "mouse.nwb").read_bytes())
    assert_refused(ncyber(*arguments), code, said)


def test_validate_names_what_no_file_is_for_beside_the_rest(here: Path) -> None:
    """A pattern without a match, and a connectome that is not there: both are told."""
    areas = "latents: {M1: 2, PMd: 2}, connectome: edges.csv"
    text = changed("latents: 3", areas).replace("mouse.nwb", "rat.nwb")
    (here / "mouse.yaml").write_text(text)
    ended = ncyber("validate", "mouse.yaml")
    assert ended.code == 4
    assert "error: edges.csv: No such file" in ended.out
    assert "error: rat.nwb: matches no file" in ended.out
