"""The hooks, from their docstrings, with who of ours implements each."""

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
            "All that a plugin can tell the toolbox. A plugin is a module, named by an entry point in the group "
            "`toolbox`, whose functions are marked with `toolbox.hookspecs.hookimpl`. Each hook is optional, and a "
            "plugin registers all it has or, when something is wrong with it, nothing. "
            "[Write a plugin](../tutorials/plugin.md) shows one from the start; the records that hooks return are in "
            "[`toolbox.registry`](python/toolbox.md#toolbox.registry).",
            table(("hook", "implemented by"), rows),
            *(f"::: toolbox.hookspecs.{hook}\n    options:\n      show_source: false" for hook in hooks()),
        ),
    )
