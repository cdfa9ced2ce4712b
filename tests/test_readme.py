"""Every command and every Python block of the README runs, and every name in it exists."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

import toolbox
from toolbox.cli import app
from toolbox.errors import ToolboxError

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHECKPOINT = ROOT.parent / "shared" / "weights" / "edsr-baseline-liif.pth"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    """The lines of shell blocks that call toolbox, without their comments."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.startswith("toolbox ")]


def run(command: str) -> None:
    """Run a toolbox command line in this process; an exit code is a failure."""
    app(shlex.split(command)[1:], standalone_mode=False)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the README's commands are given: a photo, folders of them, a catalog and a recipe."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "examples" / "photos" / "coffee.png", "photo.png")
    for result in ("clean.png", "large.png"):
        shutil.copy("photo.png", result)
    Path("photos").mkdir()
    with Image.open("photo.png") as photo:
        photo.crop((200, 100, 264, 148)).save("photos/part.png")
    shutil.copytree("photos", "kept")
    for name, text in zip(("mine.yaml", "my-recipe.yaml"), blocks("yaml"), strict=True):
        Path(name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.strip().splitlines()[-1][:40])
def test_python_blocks_run(code: str, desk: Path) -> None:
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102  # our own README


@pytest.mark.filterwarnings("ignore:'my-net' has no weights")
@pytest.mark.parametrize("command", commands())
def test_commands_run(command: str, desk: Path) -> None:
    if "edsr-baseline-liif.pth" in command:
        if not CHECKPOINT.exists():
            pytest.skip("LIIF's published checkpoint is not here")
        shutil.copy(CHECKPOINT, desk)
    if command.startswith("toolbox train "):
        command += " patch=8 batch=2 budget.minutes=0.002"
    run(command)


def test_every_architecture_is_in_the_table_of_systems() -> None:
    named = {name for row in README.splitlines() if row.startswith("| ") for name in re.findall(r"`([a-z0-9-]+)`", row)}
    assert {architecture.name for architecture in toolbox.list_architectures()} <= named


def test_every_system_that_ships_with_weights_or_needs_none_restores(desk: Path) -> None:
    rows = re.findall(r"`(toolbox restore photo\.png [^`]*)`", README)
    ours = [command for command in rows if ".safetensors" not in command]
    assert len(ours) >= 4
    for command in ours:
        run(command)
        Path("out.png").unlink()


def test_the_error_that_the_readme_shows_is_the_one_that_is_raised() -> None:
    change = {"transition": {"nonlocal": {"neighborhood": {"size": 44}}}}
    with pytest.raises(ToolboxError) as caught:
        toolbox.build("nlrn", encoder=change)
    shown = "encoder.transition.nonlocal.neighborhood.size: got 44, expected an odd number"
    assert shown in README
    assert str(caught.value).endswith(shown)


def test_links_lead_somewhere() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
