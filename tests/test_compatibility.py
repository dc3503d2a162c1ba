"""Files of every format that ncyber has ever written are read for ever after, and mean what they meant.

tests/fixtures/v1 and so on were made by tests/fixtures/make.py, each by the program of its day.
"""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bad_inputs.lab import explain, ncyber
from bad_inputs.numbers_of import Arrays, numbers
from fixtures.make import INFER, SIMULATE

from ncyber_cli.outputs.results_nwb import nwb_from_results
from ncyber_cli.pipeline.sessions import read_sessions
from ncyber_cli.pipeline.taught_rates import read_rates
from ncyber_cli.spec_file import load_spec
from ncyber_cli.training.checkpoint import load

FOLDERS = sorted((Path(__file__).parent / "fixtures").glob("v*"))
# Another processor's rounding passes through a whole trial; another meaning of a weight does not come so close.
RELATIVE, ABSOLUTE = 1e-2, 1e-3


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of one version's files, which is the working directory."""
    shutil.copytree(request.param, tmp_path, dirs_exist_ok=True)
    for packed in tmp_path.glob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    monkeypatch.setenv("NCYBER_CACHE", "off")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_close(now: Arrays, then: Arrays) -> None:
    """What was written then is written now (more may be), and numbers are the same but for rounding."""
    for name, value in then.items():
        if name.endswith(("cluster", "cluster_mean")):
            continue  # how many there are is another program's decision
        assert name in now
        if np.asarray(value).dtype.kind == "f":
            scale = np.nanmax(np.abs(value), initial=0)
            np.testing.assert_allclose(now[name], value, RELATIVE, ABSOLUTE * max(1, scale), err_msg=name)
        else:
            np.testing.assert_array_equal(now[name], value, name)


def test_a_run_infers_and_simulates_what_it_did(old: Path) -> None:
    for command, file in ((INFER, "results.h5"), (SIMULATE, "rollout.h5")):
        again = [f"now-{word}" if word == file else word for word in command]
        ended = ncyber(*again)
        assert ended.code == 0, explain(ended)
        assert_close(numbers(old / f"now-{file}"), numbers(old / file))


def test_a_runs_spec_is_that_of_its_checkpoint_and_can_be_fitted_again(old: Path) -> None:
    assert load_spec("run/spec.yaml") == load(old / "run").spec
    ended = ncyber("fit", "run/spec.yaml", "recording.h5", "--out", "again", "--dry-run")
    assert ended.code == 0, explain(ended)


def test_results_become_nwb_and_teach(old: Path) -> None:
    assert len(nwb_from_results(old / "results.h5", old / "nwb")) == 1
    sessions = read_sessions(load_spec("spec.yaml"), [old / "recording.h5"])
    rates = read_rates(old / "results.h5", sessions, counts=True, remark=lambda _: None)
    trained = np.isfinite(rates[0]).all(axis=(1, 2))
    then = numbers(old / "results.h5")["animals/recording/recording/rates/mean"]
    np.testing.assert_array_equal(rates[0][trained], then[trained])


def test_a_summary_is_read_by_what_reads_it(old: Path) -> None:
    for command in (
        ["compare", "run", "--out", "who.json"],
        ["evaluate", "run", "recording.h5", "--no-refit", "--out", "page"],
    ):
        ended = ncyber(*command)
        assert ended.code == 0, explain(ended)
    then = json.loads((old / "run" / "summary.json").read_text())["animals"][0]["constants"]
    now = json.loads((old / "who.json").read_text())["animals"][0]["constants"]
    assert now == then
