"""Every block of every page runs, prints what the page shows, and makes the pictures that are on it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from generator.running import Block, Desk, blocks, desk
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
WITH_BLOCKS = [page for page in PAGES if blocks(page.read_text(encoding="utf-8"))]
EMBEDDED = re.compile(r"!\[[^\]]*\]\(([^)]*/pictures/([\w-]+\.webp))\)")


@pytest.mark.filterwarnings("ignore:'my-hybrid' has no weights")
@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_block_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    with desk(tmp_path) as here:
        for block in blocks(text):
            here.run(block)
    for _, name in EMBEDDED.findall(text):
        if (tmp_path / name).exists():
            assert _difference(tmp_path / name, DOCS / "pictures" / name) < 2, name
