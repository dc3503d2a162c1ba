import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ncyber_cli.commands.synth import synth
from ncyber_cli.errors import UsageError
from ncyber_cli.worlds.truth import read_truth

app = typer.Typer()
app.command()(synth)


def _synth(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_one_file_an_animal_and_what_was_asked_for(tmp_path: Path) -> None:
    asked = ["--animals", "2", "--trials", "4", "--units", "24", "--goals", "disc", "--jumps", "0", "--json"]
    rows = json.loads(_synth("reach", "--out", str(tmp_path / "new"), *asked))
    assert [Path(row["file"]).name for row in rows] == ["reach-1.nwb", "reach-2.nwb"]
    assert [(row["trials"], row["units"]) for row in rows] == [(4, 24), (4, 24)]
    assert {read_truth(Path(row["file"])).animal for row in rows} == {"reach-1", "reach-2"}


def test_existing_files_stop_the_command_before_it_writes(tmp_path: Path) -> None:
    (tmp_path / "lorenz-2.nwb").write_text("mine")
    words = ["lorenz", "--out", str(tmp_path), "--animals", "2", "--trials", "2"]
    with pytest.raises(UsageError, match=r"lorenz-2\.nwb"):
        _synth(*words)
    assert [file.name for file in tmp_path.iterdir()] == ["lorenz-2.nwb"]
    assert "lorenz-2" in _synth(*words, "--overwrite")


def test_a_switching_animal_has_as_many_goals_as_asked_for(tmp_path: Path) -> None:
    _synth("switching", "--out", str(tmp_path), "--trials", "3", "--units", "20", "--prototypes", "3")
    constants = read_truth(tmp_path / "switching-1.nwb").constants
    assert [name for name in constants if name.endswith("_x_m")] == [f"prototype_{k}_x_m" for k in range(3)]


def test_an_option_of_another_world_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no --prototypes.*\n?.*synth switching"):
        _synth("reach", "--out", str(tmp_path), "--prototypes", "3")
    with pytest.raises(UsageError, match="no --goals"):
        _synth("lorenz", "--out", str(tmp_path), "--goals", "disc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("world", ["limit_cycle", "random_walk"])
def test_worlds_without_goals_have_pulses_and_no_targets_to_choose(world: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no --goals and no --jumps"):
        _synth(world, "--out", str(tmp_path), "--goals", "disc", "--jumps", "0.1")
    rows = json.loads(_synth(world, "--out", str(tmp_path), "--trials", "3", "--pulses", "1", "--json"))
    assert [(Path(row["file"]).name, row["trials"]) for row in rows] == [(f"{world}-1.nwb", 3)]
    assert "objective" not in read_truth(tmp_path / f"{world}-1.nwb").series
