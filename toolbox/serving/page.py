"""The page: one HTML file with its style and its scripts, which asks no other host for anything."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

STYLES = ("slider.css", "page.css")
SCRIPTS = ("slider.js", "events.js", "page.js")


@dataclass(frozen=True)
class Page:
    """The text of the page, and the policy that lets a browser run nothing but its own scripts."""

    html: str
    policy: str


@cache
def page() -> Page:
    """The page, put together from the files of the folder ``page``."""
    folder = resources.files("toolbox.serving") / "page"
    style, script = (
        "\n".join((folder / name).read_text(encoding="utf-8") for name in names) for names in (STYLES, SCRIPTS)
    )
    html = (folder / "page.html").read_text(encoding="utf-8")
    html = html.replace("/* style */", style).replace("/* script */", script)
    sources = {
        "default-src": "'none'",
        "script-src": _digest(script),
        "style-src": _digest(style),
        "img-src": "blob: data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return Page(html, "; ".join(f"{name} {value}" for name, value in sources.items()))


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
