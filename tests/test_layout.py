"""What the source promises as a whole: arrows point one way, imports are cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import toolbox

CORE = Path(toolbox.__file__).parent
SOURCES = sorted(CORE.rglob("*.py"))
# From the bottom up: a part imports from its own layer and those before it, also inside functions and for types.
LAYERS = [
    {"errors", "files", "entry_points", "close_names", "progress", "heap", "hub", "machine_load"},
    {"pixels", "luma", "symbolic", "resize", "imresize", "cost", "similarity"},
    {"config", "conversion", "learning", "blame"},
    {"records"},
    {"record_checks", "registry", "hookspecs", "catalog"},
    {"discovery"},
    {"spec"},
    {"resolve", "schema", "padding", "encoders", "nonlocal_blocks", "recurrent", "decoders", "degradations", "choice"},
    {"restorer", "composition"},
    {"weights", "points", "programs"},
    {"anatomy", "images", "losses", "exporting", "integrations"},
    {"evaluation", "datasets"},
    {"training"},
    {"plugin", "builtin", "benchmarking", "testing", "inspection", "publishing", "serving"},
    {"cli"},
]
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}
PLUGINS = CORE.parent / "plugins"


def module_of(path: Path) -> str:
    parts = path.relative_to(CORE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in SOURCES}


@cache
def imported(path: Path) -> list[str]:
    """Modules that a file imports, also inside functions and for types alone."""
    return list(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else str(node.module)


def test_the_core_imports_no_plugin() -> None:
    for path in SOURCES:
        assert not [module for module in imported(path) if module.startswith("toolbox_")], path


@pytest.mark.skipif(not PLUGINS.is_dir(), reason="an installed Toolbox has its plugins elsewhere")
def test_a_plugin_needs_nothing_of_the_core_but_the_module_for_authors() -> None:
    for path in sorted(PLUGINS.rglob("*.py")):
        own = path.relative_to(PLUGINS).parts[0]
        ours = {module for module in imported(path) if module.startswith("toolbox")}
        assert ours <= {"toolbox.plugin"} | {module for module in ours if module.split(".")[0] == own}, path


def part_of(path: Path) -> str:
    return path.relative_to(CORE).with_suffix("").parts[0]


def test_every_part_has_its_layer() -> None:
    assert {part_of(path) for path in SOURCES} == {*RANK, "__init__", "__main__"}


def test_arrows_point_one_way() -> None:
    for path in SOURCES:
        for module in imported(path):
            if part_of(path) in RANK and module.startswith("toolbox."):
                assert RANK.get(module.split(".")[1], 0) <= RANK[part_of(path)], f"{path}: {module}"


def test_no_file_is_in_a_circle() -> None:
    arrows = {module: {each for each in imported(path) if each in MODULES} for module, path in MODULES.items()}
    with_arrows = True
    while with_arrows:  # take away what points nowhere, until nothing does or nothing is left
        ends = {module for module, targets in arrows.items() if not targets - {module}}
        with_arrows = bool(ends)
        arrows = {module: targets - ends for module, targets in arrows.items() if module not in ends}
    assert arrows == {}


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
    from toolbox import discovery, errors, restorer

    assert toolbox.build is restorer.build
    assert toolbox.Restorer is restorer.Restorer
    assert toolbox.ToolboxError is errors.ToolboxError
    assert toolbox.list_components is discovery.list_components
    assert toolbox.list_architectures is discovery.list_architectures


def test_a_name_that_is_not_public_is_refused() -> None:
    with pytest.raises(AttributeError, match=r"^module 'toolbox' has no attribute 'bulid'$"):
        toolbox.bulid  # noqa: B018


def test_every_error_of_ours_is_a_toolbox_error() -> None:
    from toolbox import errors

    ours = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(ours) >= 6
    assert all(issubclass(error, errors.ToolboxError) and error.__doc__ for error in ours)
