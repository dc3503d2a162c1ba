"""Every example config loads, says why at every turn, and is what `ncyber init` writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import ROOT, ncyber

from ncyber_cli.commands.init import Template, template_text
from ncyber_cli.spec import Spec
from ncyber_cli.spec_file import load_spec, spec_text

CONFIGS = sorted((ROOT / "example_configs").glob("*.yaml"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_it_loads_and_its_resolved_text_loads_to_the_same(config: Path, tmp_path: Path) -> None:
    spec = load_spec(config)
    (tmp_path / "resolved.yaml").write_text(spec_text(spec))
    assert load_spec(tmp_path / "resolved.yaml") == spec


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_it_is_commented_for_someone_who_has_not_read_the_code(config: Path) -> None:
    lines = [line.strip() for line in config.read_text().splitlines() if line.strip()]
    comments = sum(line.startswith("#") for line in lines)
    assert comments >= (len(lines) - comments) / 2


def test_every_example_is_a_template_and_the_other_way_round() -> None:
    assert {path.stem for path in CONFIGS} == {template.value for template in Template}


@pytest.mark.parametrize("template", list(Template))
def test_init_writes_the_example(template: Template, tmp_path: Path) -> None:
    ended = ncyber("init", "--template", template.value, "--out", tmp_path / "spec.yaml")
    assert ended.returncode == 0
    assert ended.stdout == ""
    written = (tmp_path / "spec.yaml").read_text()
    assert written == template_text(template) == (ROOT / "example_configs" / f"{template.value}.yaml").read_text()


def test_the_schema_is_that_of_a_spec() -> None:
    assert json.loads(ncyber("init", "--schema").stdout) == Spec.model_json_schema()


def test_the_quickstart_closes_the_loop_and_lorenz_does_not() -> None:
    quickstart, lorenz = (load_spec(ROOT / "example_configs" / f"{name}.yaml") for name in ("quickstart", "lorenz"))
    assert (quickstart.model.controller.kind, quickstart.model.body.kind) == ("setpoint", "point_mass")
    assert (lorenz.model.controller.kind, lorenz.model.body.kind) == ("none", "none")
