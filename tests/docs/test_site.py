"""The built site: no warning, no broken link, nothing from another host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[2]


class Page(HTMLParser):
    """The anchors of a page, where it leads and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.anchors |= {values[key] for key in ("id", "name") if key in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(values["href"])
        elif "src" in values:
            self.loaded.append(values["src"])


read = cache(Page)  # every page is long, since each has the whole navigation


def pages(site: Path) -> Iterator[Path]:
    yield from (path for path in sorted(site.rglob("*.html")) if path.name != "404.html")  # whose links are absolute


def broken_links(site: Path) -> list[str]:
    """What the pages lead to within the site, and that is not there."""
    files = {str(path) for path in site.rglob("*") if path.is_file()}
    broken = []
    for path in pages(site):
        for link in (*read(path).links, *read(path).loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = os.path.normpath(path.parent / unquote(parts.path)) if parts.path else str(path)
            target = target if target in files else f"{target}/index.html"
            fragment = unquote(parts.fragment) if target.endswith(".html") else ""
            if target not in files or (fragment and fragment not in read(Path(target)).anchors):
                broken.append(f"{path.relative_to(site)}: {link}")
    return broken


def test_every_link_and_anchor_leads_somewhere(site: Path) -> None:
    assert broken_links(site) == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "index.html").write_text('<h1 id="here">', encoding="utf-8")
    good = '<a href="deep/"><a href="deep/#here"><a href="#top" id="top"><a href="https://example.org/none">'
    (tmp_path / "index.html").write_text(
        f'{good}<a href="none/"><a href="deep/#none"><a href="#none"><img src="none.png">', encoding="utf-8"
    )
    assert broken_links(tmp_path) == [f"index.html: {link}" for link in ("none/", "deep/#none", "#none", "none.png")]


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    elsewhere = {url for path in pages(site) for url in read(path).loaded if urlsplit(url).netloc}
    assert elsewhere == set()


def test_the_site_has_the_pages_and_none_of_what_makes_them(site: Path) -> None:
    written = [path for path in (ROOT / "docs").rglob("*.md") if "generator" not in path.parts]
    assert len(list(pages(site))) >= len(written)
    assert list(site.rglob("*.py")) == []
    assert (site / "reference" / "architectures" / "nlrn" / "index.html").exists()
