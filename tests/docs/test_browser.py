"""The page "Try it in your browser" in a headless Chromium: what a visitor does, and what comes of it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from site_server import IsolatingHandler, served

import toolbox
from tests.chromium import IN_BROWSER, launched

BUILT = Path(__file__).parents[2] / "docs" / "browser" / "networks" / "networks.json"
pytestmark = [
    *IN_BROWSER,
    pytest.mark.skipif(not BUILT.is_file(), reason="make docs has not exported the networks of the page"),
]
PATIENCE = 300_000  # ms, since a machine may be busy


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The address of the served site."""
    with served(site) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as chromium:
        yield chromium


@contextlib.contextmanager
def visit(browser: Any, address: str) -> Iterator[Any]:
    """The page, which must ask no other host for anything and raise no error."""
    context = browser.new_context(viewport={"width": 1100, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{address}/try/")
    page.wait_for_selector("#try-network option", state="attached")
    yield page
    context.close()
    assert {urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))} == {"127.0.0.1"}
    assert not faults


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    with visit(browser, address) as found:
        yield found


def picture(height: int, width: int) -> Image.Image:
    """A smooth picture with noise."""
    rows, columns = np.mgrid[:height, :width]
    smooth = np.stack([128 + 90 * np.sin(rows / 9 + shift) * np.cos(columns / 7) for shift in range(3)], 2)
    noise = np.random.default_rng(0).normal(0, 12, smooth.shape)
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))


def give(page: Any, image: Image.Image, name: str = "photo.png") -> None:
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    page.set_input_files("#try-file", {"name": name, "mimeType": "image/png", "buffer": data.getvalue()})


def status(page: Any, *, begins: str) -> str:
    page.wait_for_function(
        "text => document.getElementById('try-status').textContent.startsWith(text)", arg=begins, timeout=PATIENCE
    )
    return str(page.text_content("#try-status"))


def downloaded(page: Any) -> np.ndarray[Any, Any]:
    with page.expect_download() as download:
        page.click("#try-save")
    with Image.open(download.value.path()) as restored:
        return np.asarray(restored.convert("RGB"), int)


@pytest.mark.parametrize(("network", "scale"), [("photo", 1), ("diinn-lite", 2)])
def test_it_restores_as_toolbox_does(page: Any, network: str, scale: int) -> None:
    image = picture(101, 139)
    page.select_option("#try-network", network)
    if page.is_enabled("#try-scale"):  # a network of one scale has nothing to pick
        page.select_option("#try-scale", str(scale))
    give(page, image)
    status(page, begins="photo.png, 139 × 101 pixels")
    page.click("#try-restore")
    status(page, begins=f"{139 * scale} × {101 * scale} pixels, by {network} in ")
    expected = np.asarray(toolbox.restore(image, model=network, scale=None if scale == 1 else scale), int)
    restored = downloaded(page)
    assert restored.shape == expected.shape
    assert np.abs(restored - expected).max() <= 1


def test_a_picture_is_dropped_compared_and_zoomed(page: Any) -> None:
    page.evaluate(
        """async () => {
            const answer = await fetch(new URL("../browser/sample.png", location));
            const transfer = new DataTransfer();
            transfer.items.add(new File([await answer.blob()], "dropped.png"));
            document.getElementById("try-drop").dispatchEvent(new DragEvent("drop", {dataTransfer: transfer}));
        }"""
    )
    status(page, begins="dropped.png, 180 × 160 pixels")
    page.click("#try-restore")
    status(page, begins="180 × 160 pixels, by photo")
    page.focus("#try-slider")
    page.keyboard.press("Home")
    assert page.evaluate("document.getElementById('try-after').style.clipPath") == "inset(0px 0px 0px 0%)"
    page.keyboard.press("End")
    assert page.evaluate("document.getElementById('try-after').style.clipPath") == "inset(0px 0px 0px 100%)"
    page.focus("#try-zoom")
    page.keyboard.press("End")
    assert page.text_content("#try-zoomed") == "8×"
    stack, window = (page.locator(each).bounding_box()["width"] for each in ("#try-stack", ".ba-window"))
    assert stack > 7 * window


def test_work_is_aborted_and_begins_anew(page: Any) -> None:
    give(page, picture(900, 900))
    status(page, begins="photo.png")
    page.click("#try-restore")
    status(page, begins="Tile ")
    page.click("#try-abort")
    status(page, begins="Aborted.")
    give(page, picture(24, 24), "small.png")
    status(page, begins="small.png")
    page.click("#try-restore")
    status(page, begins="24 × 24 pixels, by photo")


def test_a_broken_file_and_a_large_picture_are_refused(page: Any) -> None:
    page.set_input_files("#try-file", {"name": "notes.png", "mimeType": "image/png", "buffer": b"no picture"})
    assert "is no picture that this browser reads" in status(page, begins="notes.png")
    give(page, Image.new("RGB", (4000, 3000)), "large.png")
    assert "crop it, or use toolbox restore" in status(page, begins="large.png has 4000 × 3000 pixels")
    assert page.is_disabled("#try-restore")
    page.select_option("#try-network", "diinn-lite")
    page.select_option("#try-scale", "4")
    give(page, Image.new("RGB", (1500, 1500)), "wide.png")
    status(page, begins="wide.png")
    page.click("#try-restore")
    status(page, begins="The result would have 6000 × 6000 pixels")


def test_threads_are_used_where_the_server_s_headers_allow_them(browser: Any, address: str, site: Path) -> None:
    results = []
    with served(site, IsolatingHandler) as isolated:
        for each in (address, isolated):
            with visit(browser, each) as page:
                most = min(4, page.evaluate("navigator.hardwareConcurrency")) if each == isolated else 1
                give(page, picture(40, 60))
                page.click("#try-restore")
                assert status(page, begins="60 × 40 pixels").endswith(f" on {most} thread{'s' * (most > 1)}.")
                assert page.evaluate("typeof SharedArrayBuffer") == ("function" if each == isolated else "undefined")
                results.append(downloaded(page))
    assert np.abs(results[0] - results[1]).max() <= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser: Any, address: str, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{address}/try/")
    page.wait_for_selector("#try-network option", state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()
