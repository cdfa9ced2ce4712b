"""The README is short, every command and block of it runs, and its figures are those of the site."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import toolbox

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from generator.running import Block, PageRunner, blocks, page_runner  # noqa: E402  # found once docs/ is on the path

README = (ROOT / "README.md").read_text(encoding="utf-8")
CHECKPOINT = ROOT.parent / "shared" / "weights" / "edsr-baseline-liif.pth"
# What makes a command of the README short enough for a test.
SHORTER = {"toolbox train ": " patch=8 points=16 batch=2 budget.minutes=0.002"}


def section(title: str) -> str:
    """The text under a heading, up to the next one of the same level."""
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[PageRunner]:
    """A folder with what the README's blocks need: a photo, a folder of photos, and the files that it shows."""
    with page_runner(tmp_path) as made:
        with Image.open("photos/coffee.png") as photo:
            part = photo.crop((200, 100, 264, 148))
        shutil.rmtree("photos")
        Path("photos").mkdir()
        for path in ("photo.png", "photos/part.png"):
            part.save(path)
        for block in blocks(README):
            if block.file is not None:
                made.run(block)
        yield made


def commands() -> list[str]:
    """The lines of shell blocks that call toolbox, without their comments."""
    lines = [line for block in blocks(README) if block.language == "sh" for line in block.text.splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.startswith("toolbox ")]


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_blocks_run(here: PageRunner) -> None:
    for block in blocks(README):
        if block.language == "python":
            here.run(block)


@pytest.mark.parametrize("command", commands())
def test_commands_run(command: str, here: PageRunner) -> None:
    if "liif" in command:
        if not CHECKPOINT.exists():
            pytest.skip("LIIF's published checkpoint is not here")
        shutil.copy(CHECKPOINT, here.folder)
        if "convert" not in command:
            toolbox.save(toolbox.convert(CHECKPOINT), "liif.safetensors")
    here.run(Block("sh", command + next((more for start, more in SHORTER.items() if command.startswith(start)), ""), 0))


def test_other_commands_of_shell_blocks_exist(here: PageRunner) -> None:
    """What installs, and what makes and tests a plugin."""
    for block in blocks(README):
        if block.language == "sh" and (block.text.startswith("pip install") or "plugin new" in block.text):
            here.run(block)


def test_every_target_of_make_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"`make (\w+)`", README)
    assert targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.M)] == []


def test_the_models_are_those_that_ship_with_weights() -> None:
    named = re.findall(r"^\| `([\w-]+)` \|", section("Restore"), re.M)
    assert sorted(named) == sorted(info.name for info in toolbox.list_architectures() if info.weights is not None)


def test_every_figure_is_one_of_the_site() -> None:
    pages = [ROOT / "docs" / "reference" / name for name in ("scores.md", "speed.md")]
    measured = {figure for page in pages for figure in re.findall(r"\d+\.\d+", page.read_text(encoding="utf-8"))}
    shown = re.findall(r"\d+\.\d+", section("Results") + section("Restore").split("### Which model")[1])
    assert len(shown) > 20
    assert set(shown) <= measured


def test_links_lead_somewhere() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)[)#]", README) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
