"""What the source promises as a whole: arrows point one way, imports are cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import toolbox

CORE = Path(toolbox.__file__).parent
SOURCES = sorted(CORE.rglob("*.py"))
IDS = [str(path.relative_to(CORE)) for path in SOURCES]

# From the bottom up: a part imports from its own layer and those before it.
LAYERS = [
    {"errors", "files", "entry_points"},
    {"registry", "config"},
    {"spec", "catalog", "hookspecs"},
    {"encoders", "nonlocal_blocks", "recurrent", "decoders"},
    {"plugins"},
    {"restorer"},
    {"weights"},
    {"training", "evaluation", "images"},
    {"components"},
    {"benchmarking", "testing"},
    {"cli"},
]
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}


def imported(path: Path, *, when_loaded: bool) -> Iterator[str]:
    """Modules that a file imports; ``when_loaded``, only those needed before any function runs."""

    def visit(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif when_loaded and (isinstance(node, ast.FunctionDef) or "TYPE_CHECKING" in ast.dump(node)[:80]):
            return
        else:
            for child in ast.iter_child_nodes(node):
                yield from visit(child)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_the_core_imports_no_plugin(path: Path) -> None:
    assert not [module for module in imported(path, when_loaded=False) if module.startswith("toolbox_")]


def part_of(path: Path) -> str:
    return path.relative_to(CORE).with_suffix("").parts[0]


def test_every_part_has_its_layer() -> None:
    assert {part_of(path) for path in SOURCES} == {*RANK, "__init__", "__main__"}


@pytest.mark.parametrize("path", [path for path in SOURCES if part_of(path) in RANK], ids=lambda path: path.stem)
def test_arrows_point_one_way(path: Path) -> None:
    part = part_of(path)
    for module in imported(path, when_loaded=True):
        if module.startswith("toolbox."):
            assert RANK.get(module.split(".")[1], 0) <= RANK[part], module


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running the code."""
    tell = "import sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{tell}"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_toolbox_loads_nothing_heavy() -> None:
    code = "import toolbox; toolbox.ToolboxError; assert 'build' in dir(toolbox)"
    assert not loaded_after(code) & {"torch", "timm", "numpy", "PIL", "pydantic", "typer", "rich"}


def test_every_public_name_is_listed() -> None:
    expected = {"Restorer", "ToolboxError", "build", "list_architectures", "list_components", "load", "restore", "save"}
    assert set(toolbox.__all__) >= expected
    assert dir(toolbox) == sorted(toolbox.__all__)


def test_the_public_calls_are_those_of_their_modules() -> None:
    from toolbox import catalog, errors, restorer

    assert toolbox.build is restorer.build
    assert toolbox.Restorer is restorer.Restorer
    assert toolbox.ToolboxError is errors.ToolboxError
    assert toolbox.list_components is catalog.list_components
    assert toolbox.list_architectures is catalog.list_architectures


def test_a_name_that_is_not_public_is_refused() -> None:
    with pytest.raises(AttributeError, match=r"^module 'toolbox' has no attribute 'bulid'$"):
        toolbox.bulid  # noqa: B018


def test_every_error_of_ours_is_a_toolbox_error() -> None:
    from toolbox import errors

    ours = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(ours) >= 6
    assert all(issubclass(error, errors.ToolboxError) and error.__doc__ for error in ours)
