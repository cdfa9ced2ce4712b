"""Every command and every Python block of the README runs, and every name in it exists."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import toolbox
from toolbox.errors import ToolboxError

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from generator.running import Block, PageRunner, blocks, page_runner  # noqa: E402  # found once docs/ is on the path

README = (ROOT / "README.md").read_text(encoding="utf-8")
CHECKPOINT = ROOT.parent / "shared" / "weights" / "edsr-baseline-liif.pth"
# What makes a command of the README short enough for a test.
SHORTER = {"toolbox train ": " patch=8 batch=2 budget.minutes=0.002", "toolbox bench ": " --repeats 1 --size 16x16"}


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[PageRunner]:
    """What the README's blocks are given: a photo, folders of them, and the files that it shows."""
    with page_runner(tmp_path) as made:
        for name in ("photo.png", "clean.png", "large.png"):
            shutil.copy("photos/coffee.png", name)
        shutil.rmtree("photos")
        Path("photos").mkdir()
        with Image.open("photo.png") as photo:
            photo.crop((200, 100, 264, 148)).save("photos/part.png")
        shutil.copytree("photos", "kept")
        for block in blocks(README):
            if block.file is not None:
                made.run(block)
        yield made


def run(runner: PageRunner, command: str) -> None:
    runner.run(Block("sh", command, line=0))


def commands() -> list[str]:
    """The lines of shell blocks that call toolbox, without their comments."""
    lines = [line for block in blocks(README) if block.language == "sh" for line in block.text.splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.startswith("toolbox ")]


@pytest.mark.parametrize("block", [block for block in blocks(README) if block.language != "sh"], ids=str)
def test_blocks_run(block: Block, runner: PageRunner) -> None:
    runner.run(block)


@pytest.mark.parametrize("command", commands())
def test_commands_run(command: str, runner: PageRunner) -> None:
    if "edsr-baseline-liif.pth" in command:
        if not CHECKPOINT.exists():
            pytest.skip("LIIF's published checkpoint is not here")
        shutil.copy(CHECKPOINT, runner.folder)
    run(runner, command + next((more for start, more in SHORTER.items() if command.startswith(start)), ""))


def test_other_commands_of_shell_blocks_exist(runner: PageRunner) -> None:
    """What installs, and the targets of the Makefile."""
    for block in blocks(README):
        if block.language == "sh" and not block.text.startswith("toolbox "):
            runner.run(block)


def test_every_architecture_is_in_the_table_of_systems() -> None:
    named = {name for row in README.splitlines() if row.startswith("| ") for name in re.findall(r"`([a-z0-9-]+)`", row)}
    assert {architecture.name for architecture in toolbox.list_architectures()} <= named


def test_every_system_that_ships_with_weights_or_needs_none_restores(runner: PageRunner) -> None:
    rows = re.findall(r"`(toolbox restore photo\.png [^`]*)`", README)
    ours = [command for command in rows if ".safetensors" not in command]
    assert len(ours) >= 4
    for command in ours:
        run(runner, command)
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
