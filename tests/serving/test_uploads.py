"""Names of files that a client gives are safe as names of files here."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbox.serving.uploads import safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("photo.png", "photo.png"),
        ("Früh am Morgen (2).JPG", "Früh am Morgen (2).JPG"),
        ("../../etc/passwd", "passwd"),
        ("C:\\pictures\\photo.tif", "photo.tif"),
        (".hidden.png", "hidden.png"),
        ("..", "picture"),
        ("", "picture"),
        ("a\0b\n.png", "a_b_.png"),
        ("x" * 300 + ".png", "x" * 50 + ".png"),
    ],
)
def test_a_name_keeps_what_is_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text(max_size=400))
def test_any_name_is_one_part_of_a_path(name: str) -> None:
    safe = safe_name(name)
    assert Path(safe).name == safe
    assert safe.isprintable()
    assert not safe.startswith(".")
    assert len(safe.encode(errors="surrogatepass")) <= 255
