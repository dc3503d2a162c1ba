"""A spec is checked as a whole: every problem at once, each with its line, its fault and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import few, names
from pydantic import ValidationError

from ncyber_cli.errors import DataError, SpecError, UsageError
from ncyber_cli.spec import Spec
from ncyber_cli.spec_file import load_spec, resolve_sessions, spec_from_text, spec_text

GOOD = """\
version: 1
data:
  bin_s: 1e-2
  trials: {window_s: [-0.4, 1.0]}
  neural:
    - {source: units, kind: spikes}
  behavior: {position: {source: 'no', unit: 1e-3 m}}
model:
  brain: {kind: residual_mlp, hidden: 32}
"""


def problems(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    """The lines of the error, without the file's name."""
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as raised:
        load_spec(path, overrides)
    assert raised.value.exit_code == 3
    return str(raised.value).replace(f"{path}:", "").splitlines()


def good(tmp_path: Path, *overrides: str) -> Spec:
    path = tmp_path / "spec.yaml"
    path.write_text(GOOD)
    return load_spec(path, overrides)


def test_every_problem_is_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
version: 1
dta: 3
data:
  bin_s: -1
  trial: {}
  neural:
    - {source: 5, kind: spike}
    - {kind: spikes, axes: [tim]}
  behavior:
bin_s: 3
model:
  brain: {kind: linear, hidden: 64, latents: {M1: x}}
  controller: {kind: foo}
  body: {kind: point_mass, muscle_lag_s: x}
  environment: {}
training: {epochs: 5.0, epochs: 6, dtype: float16}
"""
    assert problems(tmp_path, text) == [
        "2:1 dta: unknown key, did you mean data?",
        "4:10 data.bin_s: is -1, write a number above 0",
        "5:3 data.trial: unknown key, did you mean trials?",
        '7:16 data.neural.0.source: is 5, write text, "5" in quotes',
        "7:25 data.neural.0.kind: is spike, write spikes, calcium, events or lfp; did you mean spikes?",
        "8:7 data.neural.1.source: is missing, write source: ... (NWB object name or path; HDF5 dataset path)",
        "8:29 data.neural.1.axes.0: is tim, write trial, time, unit or feature; did you mean time?",
        "9:12 data.behavior: is empty, write a mapping, {name: value}, or leave the key out",
        "10:1 bin_s: unknown key here, it belongs under data",
        "12:25 model.brain.hidden: not a key of kind linear but of residual_mlp or low_rank_rnn,"
        " remove it or change kind",
        "12:51 model.brain.latents.M1: is x, write a whole number",
        "13:22 model.controller.kind: is foo, write none, setpoint, lqr or mlp",
        "14:42 model.body.muscle_lag_s: is x, write learned or a number",
        "15:3 model.environment.kind: is missing, write kind: none or feedback",
        "16:20 training.epochs: is 5 with a decimal point or exponent, write 5",
        "16:25 training.epochs: written twice (first at 16:12), keep one of the two",
        "16:43 training.dtype: is float16, write float32 or float64; did you mean float64?",
    ]


def test_a_rule_over_several_keys_says_what_to_write(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, GOOD + "  body: {kind: point_mass}\n")
    remedy = "write controller: {kind: setpoint}, {kind: lqr} or {kind: mlp}"
    assert line == f"9:3 model: a body needs a controller, {remedy}"


@pytest.mark.parametrize("key", ["controller", "body", "environment"])
def test_a_missing_kind_is_asked_for_where_the_part_stands(key: str, tmp_path: Path) -> None:
    (line,) = problems(tmp_path, GOOD + f"  {key}: {{}}\n")
    assert line.startswith(f"10:3 model.{key}.kind: is missing, write kind: ")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "1:1: the file is empty, `ncyber init` writes a spec to start from"),
        ("- 1", "1:1: is not a mapping, write version: 1 and data: at the left edge"),
        ("a: [1", "1:6: not valid YAML: expected ',' or ']', but got '<stream end>'"),
    ],
)
def test_a_file_that_is_no_spec_says_so(text: str, line: str, tmp_path: Path) -> None:
    assert problems(tmp_path, text) == [line]


def test_a_recording_in_place_of_the_spec_is_named_as_such(tmp_path: Path) -> None:
    small, large = tmp_path / "a.nwb", tmp_path / "b.nwb"
    small.write_bytes(b"\x89HDF\r\n\x1a\n\xff\xfe")
    large.write_bytes(b" " * 1_100_000)
    for path in (small, large):
        with pytest.raises(SpecError, match="give the YAML first, then the data"):
            load_spec(path)


def test_a_missing_file_offers_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "quickstart.yaml").write_text(GOOD)
    with pytest.raises(SpecError, match=r"did you mean .*quickstart\.yaml\?"):
        load_spec(tmp_path / "quickstrat.yaml")


def test_overrides_follow_the_rules_of_the_file(tmp_path: Path) -> None:
    spec = good(
        tmp_path,
        "training.learning_rate=1e-4",
        "data.trials.window_s=[-0.2,1.0]",
        "data.neural.0.kind=calcium",
        "data.held_out.fraction=0.25",
        "data.animal=012",
        "model.brain={kind: linear}",
    )
    assert spec.training.learning_rate == 1e-4
    assert spec.data.trials is not None
    assert spec.data.trials.window_s == (-0.2, 1.0)
    assert spec.data.neural[0].kind == "calcium"
    assert spec.data.held_out is not None
    assert spec.data.held_out.fraction == 0.25
    assert spec.data.animal == "012"
    assert spec.model.brain.kind == "linear"


def test_the_later_override_wins_and_an_empty_one_clears(tmp_path: Path) -> None:
    spec = good(tmp_path, "training.epochs=5", "training.epochs=7", "data.held_out.fraction=0.1", "data.held_out=")
    assert spec.training.epochs == 7
    assert spec.data.held_out is None


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("training.epoch=3", "--set training.epoch: unknown key, did you mean epochs?"),
        ("training.epochs=0", "--set training.epochs: is 0, write a number of at least 1"),
        ("trainin.epochs=3", "--set trainin.epochs: trainin: unknown key, did you mean training?"),
        ("data.neural.0.kind=calcim", "--set data.neural.0.kind: is calcim, write spikes, calcium, events or lfp;"),
        ("data.neural.1.kind=x", "--set data.neural.1.kind: data.neural is a list, write an index from 0 to 0"),
        ("data.bin_s.x=3", "--set data.bin_s.x: data.bin_s is 0.01 and holds no x, set data.bin_s as a whole"),
        ("training.epochs", "--set training.epochs: is not an assignment, write key.path=value"),
        ("a..b=3", "--set a..b=3: is not an assignment, write key.path=value"),
        ("data.trials.window_s=[1", "--set data.trials.window_s: not valid YAML: expected ',' or ']'"),
        ("inference.masking={spn: 3}", "--set inference.masking: inference.masking.spn: unknown key, write"),
    ],
)
def test_a_wrong_override_is_named_as_it_was_written(override: str, line: str, tmp_path: Path) -> None:
    (told,) = problems(tmp_path, GOOD, override)
    assert told.startswith(line)


def test_a_new_kind_does_not_drop_the_keys_of_the_old_one_in_silence(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, GOOD, "model.brain.kind=linear")
    assert line.startswith("9:31 model.brain.hidden: not a key of kind linear")
    assert line.endswith("(set by --set model.brain.kind; --set 'model.brain={kind: linear}' replaces the whole part)")


# What YAML would take for something else, and anything that stands on one line.
words = (
    st.sampled_from(["no", "1e-3", "012", "12:30", "~", "null", "true", "1", "- a", "a: b", "&a", "# a", "'"]) | names
)


@few
@given(
    sessions=st.lists(words, max_size=4),
    where=words,
    units=st.lists(words, min_size=1, max_size=3),
    animals=st.dictionaries(words, words, max_size=3),
    bin_s=st.floats(1e-6, 10),
    window_s=st.tuples(st.floats(-1e9, 0, exclude_max=True), st.floats(0, 1e9)),
    seed=st.integers(0, 2**64 - 1),
)
def test_the_text_of_a_spec_loads_to_an_equal_spec(
    sessions: list[str],
    where: str,
    units: list[str],
    animals: dict[str, str],
    bin_s: float,
    window_s: tuple[float, float],
    seed: int,
) -> None:
    neural = [{"source": where, "kind": "spikes", "where": where}]
    data = {"sessions": sessions, "bin_s": bin_s, "trials": {"window_s": list(window_s)}, "neural": neural}
    more = {"held_out": {"units": units}, "animal_of": animals, "split": {"seed": seed}}
    spec = Spec.model_validate({"version": 1, "data": {**data, **more}})
    assert spec_from_text(spec_text(spec), "again.yaml") == spec


def test_training_windows_are_longer_than_what_is_hidden_in_them(tmp_path: Path) -> None:
    assert good(tmp_path, "training.window_s=0.2").window_bins == 20
    assert good(tmp_path).window_bins is None
    (line,) = problems(tmp_path, GOOD, "training.window_s=0.15")
    assert "training.window_s is 15 bins of data.bin_s" in line
    assert "hides up to 15 in a row: write a longer window_s, or shorter spans" in line


def test_a_spec_is_frozen(tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        good(tmp_path).training.epochs = 3  # type: ignore[misc]


def test_sessions_are_relative_to_the_spec_sorted_and_unique(tmp_path: Path) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for name in ("b.nwb", "a.nwb", "c[1].nwb"):
        (recordings / name).touch()
    spec = good(tmp_path, "data.sessions=[recordings/*.nwb, recordings/a.nwb, 'recordings/c[1].nwb']")
    found = resolve_sessions(spec, tmp_path / "spec.yaml")
    assert found == [recordings / "a.nwb", recordings / "b.nwb", recordings / "c[1].nwb"]


def test_files_on_the_command_line_win_relative_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "x.nwb").touch()
    monkeypatch.chdir(here)
    spec = good(tmp_path, "data.sessions=[nowhere/*.nwb]")
    assert resolve_sessions(spec, tmp_path / "spec.yaml", ["*.nwb"]) == [Path("x.nwb")]


def test_a_pattern_without_a_match_says_what_the_folder_holds(tmp_path: Path) -> None:
    (tmp_path / "mouse.h5").touch()
    spec = good(tmp_path, "data.sessions=['*.nwb']")
    with pytest.raises(DataError, match=r"\*\.nwb: matches no file; .* holds mouse\.h5"):
        resolve_sessions(spec, tmp_path / "spec.yaml")


def test_a_folder_is_not_a_recording(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder; write a pattern"):
        resolve_sessions(good(tmp_path), tmp_path / "spec.yaml", [str(tmp_path)])


def test_no_recordings_at_all_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"write data\.sessions"):
        resolve_sessions(good(tmp_path), tmp_path / "spec.yaml")
