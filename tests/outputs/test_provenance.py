import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from result_files import PROVENANCE

from ncyber_cli.outputs.provenance import plain, record_provenance, write_summary


def test_summary_is_strict_json_with_its_provenance(tmp_path: Path) -> None:
    results = {"animals": [{"co_bps": np.float32(0.5), "behavior_r2": float("nan")}], "path": tmp_path}
    write_summary(tmp_path / "summary.json", PROVENANCE, results)
    text = (tmp_path / "summary.json").read_text()
    read = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    assert read["animals"] == [{"co_bps": 0.5, "behavior_r2": None}]
    assert read["provenance"]["input_sha256"] == {"a.nwb": "00ff"}
    assert read["provenance"]["seed"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_a_result_cannot_replace_the_provenance(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="provenance"):
        write_summary(tmp_path / "summary.json", PROVENANCE, {"provenance": {}})


def test_versions_are_recorded_without_importing_torch() -> None:
    script = (
        "import sys\n"
        "from ncyber_cli.outputs.provenance import record_provenance\n"
        "print(sorted(record_provenance(['ncyber'], seed=0, spec='', input_sha256={}).versions))\n"
        "print('torch' in sys.modules, 'pynwb' in sys.modules)\n"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    versions, imported = run.stdout.splitlines()
    assert {"ncyber", "python", "torch", "numpy", "h5py"} <= set(json.loads(versions.replace("'", '"')))
    assert imported == "False False"


def test_plain_leaves_only_what_json_can_say() -> None:
    value = {1: np.arange(3), "x": (np.float64("inf"), np.bool_(True), None), "p": Path("a")}
    assert plain(value) == {"1": [0, 1, 2], "x": [None, True, None], "p": "a"}


def test_attributes_keep_the_command_as_typed() -> None:
    made = record_provenance(["ncyber", "fit", "my spec.yaml"], seed=1, spec="version: 1", input_sha256={"a": "b"})
    assert made.attributes()["command"] == "ncyber fit 'my spec.yaml'"
    assert json.loads(str(made.attributes()["versions"])) == made.versions
