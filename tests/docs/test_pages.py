"""Every block of every page runs, prints what the page shows, and makes the pictures that the site has."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from generator.running import blocks, page_runner
from PIL import Image

import toolbox

DOCS = Path(__file__).parents[2] / "docs"
WEBP = re.compile(r"[\w-]+\.webp")
PAGES = sorted(DOCS.rglob("*.md"))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(text_of(page))], ids=lambda page: page.stem)
def test_every_block_runs_and_its_pictures_are_those_of_the_site(page: Path, tmp_path: Path) -> None:
    with page_runner(tmp_path) as runner:
        for block in blocks(text_of(page)):
            runner.run(block)
    for made in tmp_path.glob("*.webp"):
        assert difference(made, DOCS / "pictures" / made.name) < 2, f"{made.name}: python docs/generate.py --pictures"


def difference(first: Path, second: Path) -> float:
    """Mean distance of two pictures, of 255; infinite for pictures of other sizes."""
    a, b = (np.asarray(Image.open(path).convert("RGB"), dtype=float) for path in (first, second))
    return float(abs(a - b).mean()) if a.shape == b.shape else float("inf")


def test_every_picture_of_the_site_is_made_by_a_page() -> None:
    written = {name for page in PAGES for block in blocks(text_of(page)) for name in WEBP.findall(block.text)}
    shipped = {f"{info.name}.webp" for info in toolbox.list_architectures() if info.weights is not None}
    screenshots = {f"{name}.webp" for name in runpy.run_path(str(DOCS / "browser" / "screenshots.py"))["SHOTS"]}
    assert {path.name for path in (DOCS / "pictures").iterdir()} == written | shipped | screenshots


def test_what_ships_with_weights_has_a_picture() -> None:
    shipped = {f"{info.name}.webp" for info in toolbox.list_architectures() if info.weights is not None}
    assert shipped
    assert shipped <= {path.name for path in (DOCS / "pictures").iterdir()}


def test_pictures_are_small() -> None:
    assert sum(path.stat().st_size for path in (DOCS / "pictures").iterdir()) < 1_000_000


# The runner itself: what a page gets wrong has to be seen.


def run(text: str, folder: Path) -> None:
    with page_runner(folder) as runner:
        for block in blocks(text):
            runner.run(block)


def test_blocks_share_names_and_the_folder(tmp_path: Path) -> None:
    page = """
```python
import pathlib

word = "features"
```

```yaml title="deep/mine.yaml"
key: value
```

```python
print(word)
print(pathlib.Path("deep/mine.yaml").read_text())
```

```text
features
key: value
```
"""
    run(page, tmp_path)


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "python block at line 1: the page shows"),
        ("```sh\ntoolbox show nothing\n```\n", "unknown architecture 'nothing'"),
        ("```sh\nls nothing\n```\n", "ls nothing"),
        ("```sh\nmake nothing\n```\n", "make nothing"),
        ("```sh\ntoolbox show nothing\n```\n\n```text\nerror: another\n```\n", "the page shows\nerror: another"),
    ],
)
def test_a_block_that_fails_or_prints_something_else_is_seen(page: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=re.escape(complaint)):
        run(page, tmp_path)


def test_a_yaml_block_that_is_no_valid_spec_is_seen(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="unknown decoder 'nothing'"):
        run("```yaml\nchannels: 3\nencoder: edsr\ndecoder: nothing\n```\n", tmp_path)


def test_dots_stand_for_anything_and_blanks_do_not_count(tmp_path: Path) -> None:
    run("```python\nprint('30.17 dB  in', 2, 's')\n```\n\n```text\n30.... dB in ... s\n```\n", tmp_path)
