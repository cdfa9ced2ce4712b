"""CONTRIBUTING.md describes the code as it is: its layers, its files, and a picture's way through them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.test_layout import LAYERS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_layers_are_those_of_the_code() -> None:
    table = TEXT.split("From the top:\n\n")[1].split("\n\n")[0]
    rows = [re.split(r" {3,}", line.strip())[0].split() for line in table.splitlines()]
    assert [set(row) for row in rows] == LAYERS[::-1]


def test_a_picture_goes_through_twelve_files_at_most() -> None:
    section = TEXT.split("### The way of a picture\n")[1].split("\n## ")[0]
    files = list(dict.fromkeys(re.findall(r"`([\w/]+\.py)`", section)))
    way, other = files[:-1], files[-1]
    assert other == "images/restore.py"
    assert way[0] == "cli/restore.py"
    assert len(way) <= 12
    assert [file for file in files if not (ROOT / "toolbox" / file).is_file()] == []


def test_every_path_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    named = re.findall(r"`((?:toolbox|docs|tests|examples|plugins|benchmarks)/[\w./-]*)`", TEXT)
    assert links
    assert named
    missing = [path for path in (*links, *named) if "NAME" not in path and not (ROOT / path).exists()]
    assert missing == []
