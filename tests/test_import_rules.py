"""Who may import whom: the layers of the design, read from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import ROOT

PACKAGE = ROOT / "ncyber_cli"
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
LIGHT = ("typer", "ncyber_cli.errors", "ncyber_cli.atomic", "ncyber_cli.commands", "ncyber_cli.reporting")

# Which of the package's own modules the files of a folder may import, besides their own folder.
BELOW = {
    "data": {"atomic", "errors", "spec"},
    "model": {"data", "errors", "spec"},
    "inference": {"data", "errors", "model", "spec"},
    "training": {"atomic", "data", "errors", "inference", "memory", "model", "outputs", "spec", "stop_signals"},
    "outputs": {"atomic", "data", "errors", "spec"},
    "worlds": {"atomic", "data", "errors"},
    "checks": {"data", "errors", "spec"},
}
# Which libraries they never import.
FOREIGN = {
    "data": ("torch.nn", "typer", "rich", "yaml"),
    "model": ("h5py", "pynwb", "typer", "rich", "yaml"),
    "inference": ("h5py", "pynwb", "typer", "rich", "yaml"),
    "training": ("h5py", "pynwb", "typer", "rich", "yaml"),
    "outputs": ("torch", "typer", "rich", "yaml"),
    "worlds": ("torch", "pynwb", "typer", "rich", "yaml"),
    "checks": ("torch", "pynwb", "typer", "rich", "yaml"),
}


def imports(file: Path, *, at_import: bool = False) -> Iterator[str]:
    """Every module a file imports; `at_import`: only those that importing the file imports."""
    yield from _imports(ast.parse((PACKAGE / file).read_text()).body, at_import=at_import)


def _imports(body: list[ast.stmt], *, at_import: bool) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer they cross"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not at_import or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.If):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.stmt):
                    yield from _imports([child], at_import=at_import)


def within(module: str, names: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


@pytest.mark.parametrize("folder", BELOW)
def test_no_layer_reaches_up_or_sideways(folder: str) -> None:
    trespasses = [
        f"{file} imports {module}"
        for file in FILES
        if file.parts[0] == folder
        for module in imports(file)
        if module.startswith("ncyber_cli.") and module.split(".")[1] not in {folder, "__version__", *BELOW[folder]}
    ]
    assert trespasses == []


@pytest.mark.parametrize("folder", FOREIGN)
def test_each_layer_keeps_to_its_libraries(folder: str) -> None:
    trespasses = [
        f"{file} imports {module}"
        for file in FILES
        if file.parts[0] == folder
        for module in imports(file)
        if within(module, FOREIGN[folder])
    ]
    assert trespasses == []


def test_only_what_makes_batches_brings_torch_into_the_data_layer() -> None:
    """Batches are tensors, and windows are drawn by the generator that orders them."""
    data = [file for file in FILES if file.parts[0] == "data"]
    with_torch = {file.name for file in data if any(within(m, ("torch",)) for m in imports(file))}
    assert with_torch <= {"batches.py", "training_windows.py"}


@pytest.mark.parametrize("file", [file for file in FILES if file.parts[0] == "commands"], ids=str)
def test_a_command_is_light_to_import(file: Path) -> None:
    standard = {"__future__", "collections", "enum", "pathlib", "typing", "signal", "sys", "os", "time", "json"}
    heavy = [m for m in imports(file, at_import=True) if m.split(".")[0] not in standard and not within(m, LIGHT)]
    assert heavy == []


def test_the_spec_is_at_the_bottom() -> None:
    modules = [m for file in FILES if file.parts[0] == "spec" for m in imports(file)]
    assert modules
    above = [m for m in modules if within(m, ("ncyber_cli", "torch", "numpy")) and not within(m, ("ncyber_cli.spec",))]
    assert above == []


def test_there_is_one_door_for_yaml() -> None:
    assert {str(file) for file in FILES if any(within(m, ("yaml",)) for m in imports(file))} <= {
        "spec_file.py",
        "spec_yaml.py",
    }


def test_nobody_imports_click() -> None:
    assert [file for file in FILES if any(within(m, ("click", "typer._click")) for m in imports(file))] == []


def test_nothing_is_called_utils() -> None:
    assert [file for file in FILES if file.stem in ("utils", "util", "helpers", "misc", "common")] == []


def test_there_is_one_door_for_reading_hdf5() -> None:
    """`h5py.File` follows links out of a file's folder; open_hdf5 refuses them. Others may open files to write."""
    opened = [
        f"{file}:{node.lineno}"
        for file in FILES
        if file != Path("data/open_hdf5.py")
        for node in ast.walk(ast.parse((PACKAGE / file).read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "h5py.File"
        if not any(isinstance(value, ast.Constant) and value.value in ("w", "x", "a", "r+") for value in node.args)
    ]
    assert opened == []


def test_checkpoints_are_read_as_data_never_as_code() -> None:
    calls = [
        node
        for file in FILES
        for node in ast.walk(ast.parse((PACKAGE / file).read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    for call in calls:
        assert any(word.arg == "weights_only" and ast.unparse(word.value) == "True" for word in call.keywords)
