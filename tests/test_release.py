"""What is given away: all that belongs into the wheel and the sdist is in them."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = [ROOT / "examples" / f"toolbox-plugin-{name}" for name in ("minimal", "dncnn", "ffdnet", "perceptual")]
KINDS = ROOT / "examples" / "plugin-kinds"


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


def test_the_sdist_has_what_is_needed_to_build_and_to_test(release: Path) -> None:
    (sdist,) = release.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = ["pyproject.toml", "registry.yaml", "README.md", "LICENSE", "Makefile", "tests/conftest.py"]
    needed += ["toolbox/__init__.py", "plugins/toolbox_nlrn/weights/nlrn-lite.safetensors"]
    needed += [f"examples/{folder.name}/pyproject.toml" for folder in EXAMPLES]
    assert names.issuperset(needed)
    assert not [name for name in names if name.startswith((".venv", "out/", "dist/")) or "__pycache__" in name]
