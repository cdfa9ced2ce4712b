"""Small checkpoints of every published format: the core's, and those of tests/plugins/published_*.py."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from tests.weights import published
from tests.weights.published import Published

PLUGINS = [
    import_module(f"tests.plugins.{path.stem}")
    for path in sorted((Path(__file__).parents[1] / "plugins").glob("published_*.py"))
]

# One of every format, by the name of its converter.
FORMATS: dict[str, Callable[[], Published]] = {
    "edsr": published.edsr,
    "rdn": published.rdn,
    "toolbox-spandrel": published.one_scale,
}
# What else its authors' code can write.
VARIANTS: dict[str, Callable[[], Published]] = {
    "edsr-x2": lambda: published.edsr(2),
    "edsr-x3": lambda: published.edsr(3),
    "edsr-x4": lambda: published.edsr(4),
    "edsr-features": lambda: published.edsr(None),
    "rdn-x2": lambda: published.rdn(2),
    "rdn-x3": lambda: published.rdn(3),
    "rdn-x4": lambda: published.rdn(4),
    "rdn-features": lambda: published.rdn(None),
}
for plugin in PLUGINS:
    FORMATS |= plugin.FORMATS
    VARIANTS |= plugin.VARIANTS
