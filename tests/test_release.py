"""What is given away: all that belongs into the wheel and the sdist is in them."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[1]
EXAMPLES = [ROOT / "examples" / f"toolbox-plugin-{name}" for name in ("minimal", "dncnn", "ffdnet", "perceptual")]
KINDS = ROOT / "examples" / "plugin-kinds"
PROJECT: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Toolbox from the folder of an unpacked wheel, and not from the checkout that this Python has installed.
ALONE = """
import sys, warnings
from pathlib import Path
unpacked, checkout = map(Path, sys.argv[1:])
sys.path[:] = [str(unpacked)] + [each for each in sys.path if Path(each) not in (checkout, checkout / "plugins")]
with warnings.catch_warnings(record=True) as seen:
    import toolbox
    providers = {info.provider for info in toolbox.list_components()}
assert Path(toolbox.__file__).is_relative_to(unpacked)
print(*providers, toolbox.build("bicubic").sizes, *(str(each.message) for each in seen), sep="\\n")
"""


def python(*arguments: str | Path, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    python("-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


def test_the_wheel_has_the_core_the_plugins_the_catalog_and_the_weights_and_nothing_else(release: Path) -> None:
    (wheel,) = release.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = {
        **{f"toolbox/{path.relative_to(ROOT / 'toolbox')}": path for path in (ROOT / "toolbox").rglob("*")},
        **{str(path.relative_to(ROOT / "plugins")): path for path in (ROOT / "plugins").rglob("*")},
        **{
            f"toolbox/{path.relative_to(ROOT / 'examples')}": path
            for path in (*EXAMPLES[0].iterdir(), *KINDS.iterdir())
        },
        "toolbox/registry.yaml": ROOT / "registry.yaml",
    }
    expected = {name for name, path in sources.items() if path.is_file() and path.suffix != ".pyc"}
    assert {name for name in names if ".dist-info/" not in name} == expected
    weights = {name for name in names if name.endswith(".safetensors")}
    assert weights >= {"toolbox_nlrn/weights/nlrn-lite.safetensors", "toolbox_diinn/weights/diinn-lite.safetensors"}
    assert "toolbox/py.typed" in names
    with zipfile.ZipFile(wheel) as archive:
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "toolbox_nlrn = toolbox_nlrn" in archive.read(entry_points).decode()


def entry_points_of(wheel: Path) -> dict[str, dict[str, str]]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        parser = ConfigParser(delimiters="=")
        parser.read_string(archive.read(name).decode())
    return {section: dict(parser[section]) for section in parser.sections()}


def modules_of(wheel: Path) -> set[str]:
    """The top-level packages and modules of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name.split("/")[0].removesuffix(".py") for name in archive.namelist() if ".dist-info/" not in name}


def test_each_plugin_of_the_wheel_is_a_package_of_its_own_with_its_entry_points(release: Path) -> None:
    (wheel,) = release.glob("*.whl")
    plugins = {path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")}
    assert modules_of(wheel) == {"toolbox", *plugins}
    groups = entry_points_of(wheel)
    assert set(groups["toolbox"].values()) == plugins
    assert set(groups["toolbox.components"].values()) <= plugins


def test_the_core_of_the_wheel_runs_without_its_plugins_and_names_each(release: Path, tmp_path: Path) -> None:
    (wheel,) = release.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        core = [name for name in archive.namelist() if name.startswith("toolbox/") or ".dist-info/" in name]
        archive.extractall(tmp_path, core)  # noqa: S202  # our own wheel
    providers, sizes, *warned = python("-c", ALONE, tmp_path, ROOT).splitlines()
    assert (providers, sizes) == ("toolbox", "any")
    missing = entry_points_of(wheel)["toolbox"]
    assert [name for name in missing if not any(name in sentence for sentence in warned)] == []


@pytest.mark.parametrize("package", EXAMPLES, ids=lambda package: package.name)
def test_a_plugin_of_another_package_has_a_wheel_that_shares_no_file(
    package: Path, release: Path, tmp_path: Path
) -> None:
    python("-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path, package)
    (theirs,), (ours,) = tmp_path.glob("*.whl"), release.glob("*.whl")
    assert modules_of(theirs) & modules_of(ours) == set()
    assert set(entry_points_of(theirs)["toolbox"].values()) <= modules_of(theirs)
    with zipfile.ZipFile(theirs) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        assert "Requires-Dist: toolbox-restoration" in archive.read(metadata).decode()


def test_the_oldest_versions_that_are_tested_are_the_lower_bounds() -> None:
    lines = (ROOT / "constraints" / "lowest.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    bounds = [bound.split(",")[0].split(">=") for bound in PROJECT["dependencies"]]
    assert {name: Version(pin) for name, pin in pins} == {name: Version(bound) for name, bound in bounds}


def test_the_sdist_has_what_is_needed_to_build_and_to_test(release: Path) -> None:
    (sdist,) = release.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = ["pyproject.toml", "registry.yaml", "README.md", "LICENSE", "Makefile", "tests/conftest.py"]
    needed += ["toolbox/__init__.py", "plugins/toolbox_nlrn/weights/nlrn-lite.safetensors"]
    needed += [f"examples/{folder.name}/pyproject.toml" for folder in EXAMPLES]
    assert names.issuperset(needed)
    assert not [name for name in names if name.startswith((".venv", "out/", "dist/")) or "__pycache__" in name]
