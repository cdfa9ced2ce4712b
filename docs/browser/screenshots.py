"""Take the screenshots of the page "Try it in your browser" that the documentation shows.

    make docs
    python docs/browser/screenshots.py

A headless Chromium opens the built site and restores the page's own sample. The pictures go to docs/pictures.
"""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright
from site_server import IsolatingHandler, served

DOCS = Path(__file__).parents[1]
SITE = DOCS.parent / "site"
PATIENCE = 300_000  # ms
STYLE = ".md-header, .md-tabs { display: none } .try { padding: 0.5rem }"  # else the header lies over the page


@dataclass(frozen=True)
class Shot:
    """A screenshot: the size of the window, and what the visitor picks."""

    width: int
    height: int
    scheme: str  # light or dark
    network: str
    scale: int


SHOTS = {
    "try-desktop": Shot(760, 1000, "light", "diinn-lite", 4),
    "try-phone": Shot(390, 844, "dark", "nlrn-diinn-lite", 2),
}


def take(browser: Any, address: str, shot: Shot) -> Image.Image:
    """The part of the page that restores, after the sample was restored."""
    context = browser.new_context(viewport={"width": shot.width, "height": shot.height}, color_scheme=shot.scheme)
    page = context.new_page()
    page.goto(f"{address}/try/")
    page.wait_for_selector("#try-network option", state="attached")
    page.select_option("#try-network", shot.network)
    page.select_option("#try-scale", str(shot.scale))
    page.click("#try-sample")
    page.wait_for_selector("#try-restore:enabled")
    page.click("#try-restore")
    page.wait_for_selector("#try-save", state="visible", timeout=PATIENCE)
    picture = Image.open(io.BytesIO(page.locator(".try").screenshot(style=STYLE)))
    context.close()
    return picture


def main() -> None:
    """Write every screenshot."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("got no chromium on the PATH; install it, such as with apt-get install chromium")
    if not (SITE / "try" / "index.html").is_file():
        raise SystemExit(f"{SITE}: the site is not built; run make docs first")
    with sync_playwright() as driver, served(SITE, IsolatingHandler) as address:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, shot in SHOTS.items():
            path = DOCS / "pictures" / f"{name}.webp"
            take(browser, address, shot).save(path, quality=75)
            print(path)
        browser.close()


if __name__ == "__main__":
    main()
