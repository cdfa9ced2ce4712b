"""A headless Chromium for tests of pages, which skip where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed, so no browser is driven")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
IN_BROWSER = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium, so the page is not tried in a browser"),
    pytest.mark.xdist_group("browser"),
]


@contextmanager
def launched() -> Iterator[Any]:
    """The browser, which is closed in the end."""
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()
