"""The page of ``toolbox serve`` in a headless Chromium: what a visitor does, and what comes of it."""

from __future__ import annotations

import base64
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from tests.chromium import IN_BROWSER, launched
from tests.serving.client import Server, png, until
from toolbox.cli import main

pytestmark = IN_BROWSER
PATIENCE = 120_000  # ms, since a machine may be busy
TINY = "tiny"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as chromium:
        yield chromium


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    """The page, which must ask no other host for anything, raise no error and keep its own policy."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
    page.goto(server.url)
    page.wait_for_selector(f"#model option[value={TINY}]", state="attached")
    yield page
    page.click("#clear:not([disabled])") if page.is_enabled("#clear") else None
    until(lambda: page.evaluate("!document.querySelector('.picture')"))
    context.close()
    assert {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))} == {
        urlsplit(server.url).netloc
    }
    assert not faults


def give(page: Any, *files: tuple[str, bytes]) -> None:
    page.set_input_files("#file", [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files])


def drop(page: Any, kind: str, name: str, data: bytes) -> None:
    """Drop or paste a file, as a mouse or a clipboard would."""
    page.evaluate(
        """([kind, name, text]) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, {type: "image/png"}));
            const event = kind === "drop"
                ? new DragEvent("drop", {dataTransfer: transfer, bubbles: true})
                : new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true});
            document.getElementById("drop").dispatchEvent(event);
        }""",
        [kind, name, base64.b64encode(data).decode()],
    )


def state(page: Any, text: str, number: int = 0) -> str:
    """The state of a picture, once it contains the text."""
    box = page.locator(".picture").nth(number).locator(".state")
    box.filter(has_text=text).wait_for()
    return str(box.text_content())


def downloaded(page: Any, selector: str) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.locator(selector).first.click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_a_dropped_picture_is_inspected_restored_compared_and_downloaded(
    page: Any, catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = png(96, 128, dtype="uint16")
    drop(page, "drop", "dropped.png", data)
    page.locator(".seen").filter(has_text="128 × 96, color, 16 bits; noise of σ = ").wait_for()
    page.select_option("#model", TINY)
    page.select_option("#sizing", "scale")
    page.fill("#amount", "1.5")
    page.click("#restore")
    assert state(page, "dropped.png, 192 × 144, by tiny in ")
    page.wait_for_selector("#view:not([hidden])")
    until(lambda: page.evaluate("document.getElementById('after').naturalWidth === 192"))
    assert page.evaluate("document.getElementById('before').naturalWidth") == 128

    page.focus("#slider")
    page.keyboard.press("Home")
    assert page.evaluate("document.getElementById('after').style.clipPath") == "inset(0px 0px 0px 0%)"
    page.keyboard.press("End")
    assert page.evaluate("document.getElementById('after').style.clipPath") == "inset(0px 0px 0px 100%)"
    page.focus("#zoom")
    page.keyboard.press("End")
    assert page.text_content("#zoomed") == "16×"
    widths = [page.locator(each).bounding_box()["width"] for each in ("#before", "#after", ".ba-window")]
    assert widths[0] == widths[1] > 15 * widths[2]

    (tmp_path / "dropped.png").write_bytes(data)
    words = ["restore", str(tmp_path / "dropped.png"), "-o", f"{tmp_path / 'out'}/", "-m", TINY, "--scale", "1.5"]
    monkeypatch.setattr(sys, "argv", ["toolbox", *words, "--catalog", str(catalog)])
    with pytest.raises(SystemExit, match=r"^0$"):
        main()
    assert downloaded(page, ".save") == ("dropped.png", (tmp_path / "out" / "dropped.png").read_bytes())


def test_the_line_is_dragged(page: Any) -> None:
    give(page, ("photo.png", png(96, 128)))
    page.select_option("#model", TINY)
    page.click("#restore")
    state(page, "by tiny")
    until(
        lambda: page.evaluate(
            "document.getElementById('after').complete && document.getElementById('after').naturalWidth"
        )
    )
    box = page.locator(".ba-window").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 60)
    page.mouse.up()
    assert page.evaluate("document.getElementById('slider').valueAsNumber") == pytest.approx(25, abs=2)


def test_a_pasted_and_a_broken_file_and_all_results_at_once(page: Any) -> None:
    drop(page, "paste", "pasted.png", png(40, 60))
    give(page, ("broken.png", b"no picture"), ("second.png", png(50, 60)))
    page.select_option("#model", TINY)
    state(page, "broken.png: not a picture in a supported format", 1)
    page.click("#restore")
    state(page, "pasted.png, 60 × 40, by tiny", 0)
    assert state(page, "not a picture", 1) == "broken.png: not a picture in a supported format"
    state(page, "second.png, 60 × 50, by tiny", 2)
    assert page.locator(".picture").nth(1).locator(".save").is_hidden()
    name, data = downloaded(page, "#archive")
    assert name == "restored.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert sorted(archive.namelist()) == ["pasted.png", "second.png"]


def test_progress_is_shown_over_a_reload_and_a_job_is_stopped(page: Any) -> None:
    give(page, ("slow.png", png(640, 760, channels=1)))
    page.select_option("#model", "nlrn-lite")
    page.click("#restore")
    state(page, "Restoring, ")
    until(lambda: page.evaluate("document.querySelector('.picture progress').value > 0"))
    assert page.locator(".picture progress").is_visible()
    page.reload()
    assert page.locator(".picture .name").text_content() == "slow.png"
    state(page, "Restoring, ")
    page.click(".picture .stop")
    assert state(page, "Stopped.") == "Stopped."
    page.reload()
    page.wait_for_selector(f"#model option[value={TINY}]", state="attached")
    assert page.locator(".picture").count() == 0


def test_a_result_survives_a_reload(page: Any) -> None:
    scan = io.BytesIO()
    Image.new("RGB", (60, 40), "teal").save(scan, "TIFF")
    give(page, ("scan.tif", scan.getvalue()))
    page.select_option("#model", TINY)
    page.click("#restore")
    state(page, "scan.tif, 60 × 40, by tiny")
    page.reload()
    state(page, "scan.tif, 60 × 40, by tiny")
    until(
        lambda: page.evaluate("document.getElementById('after').naturalWidth === 60")
    )  # a format that Chromium does not show
    assert page.evaluate("document.getElementById('before').naturalWidth") == 60
    name, data = downloaded(page, ".save")
    assert name == "scan.tif"
    assert data[:4] == b"II*\0"


def test_the_keyboard_is_enough(page: Any) -> None:
    give(page, ("photo.png", png(40, 60)))
    page.select_option("#model", TINY)
    page.focus("#file")
    seen = []
    for _ in range(14):
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        page.keyboard.press("Tab")
    expected = ["file", "model", "sizing", "strength", "restore", "clear", "remove"]
    assert [each for each in seen if each in expected][:7] == expected
    page.focus("#strength")
    page.keyboard.press("Enter")  # as in any form
    state(page, "by tiny")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_a_phone_and_a_desktop_light_and_dark(browser: Any, server: Server, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 740}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server.url)
    page.wait_for_selector(f"#model option[value={TINY}]", state="attached")
    give(page, (f"{'a long name ' * 4}.png", png(40, 60)))
    page.select_option("#model", TINY)
    page.click("#restore")
    state(page, "by tiny")
    page.wait_for_selector("#view:not([hidden])")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground, text = page.evaluate(
        "['backgroundColor', 'color'].map((each) => getComputedStyle(document.body)[each].match(/[0-9]+/g).map(Number))"
    )
    assert (sum(ground) < sum(text)) == (scheme == "dark")
    page.click("#clear")
    until(lambda: page.evaluate("!document.querySelector('.picture')"))
    context.close()


def test_without_the_token_the_page_says_what_to_do(browser: Any, server: Server) -> None:
    """The page cannot know the token of a server for others; a server that refuses is played by the browser."""
    context = browser.new_context()
    page = context.new_page()
    page.route("**/api/health", lambda route: route.fulfill(status=401, json={"error": "the token is missing"}))
    page.goto(server.url)
    page.locator("#health").filter(has_text="Open the address that the server printed, with its token.").wait_for()
    context.close()
