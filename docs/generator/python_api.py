"""The reference of the Python code, from docstrings: the public calls, then every module of the core by its package."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import toolbox
from generator.installed import components
from generator.markdown import page, table
from toolbox.config import KINDS

FOLDER = "reference/python"
LEFT_OUT = ("toolbox.cli", "toolbox.__main__", "toolbox.hookspecs")  # on pages of their own


def pages() -> Iterator[tuple[str, str]]:
    """(path, text) of every page."""
    public = [getattr(toolbox, name) for name in toolbox.__all__]
    rows = [
        (f"[`toolbox.{name}`](#{_path(item)})", _first_line(item))
        for name, item in zip(toolbox.__all__, public, strict=True)
    ]
    packages = _packages()
    yield (
        f"{FOLDER}/index.md",
        page(
            "Python",
            "These are the public calls. Importing `toolbox` is quick: each name loads its modules on first use.",
            table(("call", "description"), rows),
            *(_directive(_path(item), f"toolbox.{name}") for name, item in zip(toolbox.__all__, public, strict=True)),
        ),
    )
    shown = {_path(item) for item in public}
    for package, modules in packages.items():
        blocks = [_module(module, shown) for module in modules]
        if any(blocks):
            yield f"{FOLDER}/{package}.md", page(f"toolbox.{package}" if package != "toolbox" else "toolbox", *blocks)


def modules() -> list[str]:
    """Every module of the core that has a reference."""
    found = [module.name for module in pkgutil.walk_packages(toolbox.__path__, "toolbox.")]
    return [name for name in found if not name.startswith(LEFT_OUT)]


def _packages() -> dict[str, list[ModuleType]]:
    """The modules of each package; those at the top are ``toolbox``."""
    grouped: dict[str, list[ModuleType]] = {"toolbox": []}
    for name in modules():
        module = import_module(name)
        parts = name.split(".")
        package = parts[1] if len(parts) > 2 or hasattr(module, "__path__") else "toolbox"
        if not hasattr(module, "__path__"):
            grouped.setdefault(package, []).append(module)
    return grouped


def _module(module: ModuleType, shown: set[str]) -> str:
    """A module's docstring and definitions, without components and public calls, which have other pages."""
    parts = {info.factory.__qualname__ for kind in KINDS for info in components(kind)}
    members = [
        name
        for name, item in vars(module).items()
        if name.isidentifier()  # pydantic adds generic classes by other names
        and not name.startswith("_")
        and hasattr(item, "__qualname__")  # a class or a function, also one that is cached
        and item.__module__ == module.__name__
        and name not in parts
        and _path(item) not in shown
    ]
    if not members:
        return ""
    return _directive(module.__name__, module.__name__, members)


def _directive(path: str, heading: str, members: list[str] | None = None) -> str:
    options = [f"heading: {heading}", "heading_level: 2"]
    if members is not None:
        options.append(f"members: [{', '.join(members)}]")
    return "\n".join([f"::: {path}", "    options:", *(f"      {option}" for option in options)])


def _path(item: object) -> str:
    return f"{item.__module__}.{item.__qualname__}"  # type: ignore[attr-defined]  # classes and functions have both


def _first_line(item: object) -> str:
    return (inspect.getdoc(item) or "").split("\n\n")[0].replace("\n", " ")
