"""The hooks, from their docstrings, with our plugins that implement each."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from generator.installed import providers
from generator.markdown import page, table
from toolbox import hookspecs


def hooks() -> list[str]:
    """The name of every hook."""
    return [name for name in vars(hookspecs) if name.startswith("toolbox_")]


def pages() -> Iterator[tuple[str, str]]:
    """(path, text) of the page."""
    plugins = sorted(providers() - {"toolbox"})
    modules = {"toolbox": "toolbox.builtin", **{name: name for name in plugins}}
    rows = [
        (
            f"[`{hook}`](#toolbox.hookspecs.{hook})",
            ", ".join(f"`{name}`" for name, module in modules.items() if hasattr(import_module(module), hook)),
        )
        for hook in hooks()
    ]
    yield (
        "reference/hooks.md",
        page(
            "Hooks",
            "A plugin registers its parts through these hooks. A plugin is a module, named by an entry point in the "
            "group `toolbox`, that marks its functions with `toolbox.plugin.hookimpl`. Each hook is optional. When "
            "something is wrong with a plugin, Toolbox registers nothing of it. "
            "[Write a plugin](../tutorials/plugin.md) shows one from the start. "
            "[`toolbox.records`](python/toolbox.md#toolbox.records) describes the records that hooks return.",
            table(("hook", "implemented by"), rows),
            *(f"::: toolbox.hookspecs.{hook}\n    options:\n      show_source: false" for hook in hooks()),
        ),
    )
