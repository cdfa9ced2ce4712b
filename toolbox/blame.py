"""Calls into plugins, whose failures name the plugin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from toolbox.errors import PluginError, ToolboxError


@contextmanager
def blamed(what: str, provider: str) -> Iterator[None]:
    """Turn errors of a plugin's code into a PluginError of one sentence.

    Errors of Toolbox and out-of-memory errors pass through unchanged.

    Args:
        what: the name of the called part, such as ``degradation 'rain'``.
        provider: its plugin.

    Raises:
        PluginError: the block raised something; the sentence names the plugin and the error.
    """
    try:
        yield
    except (ToolboxError, MemoryError):
        raise
    except Exception as error:
        if "allocate memory" in str(error) or type(error).__name__ == "OutOfMemoryError":
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
        raise PluginError(f"{what} of plugin {provider or 'unknown'} failed with {reason}; tell its author") from error


def broken(what: str, provider: str, got: str, expected: str) -> PluginError:
    """The error for a wrong result of a plugin's code."""
    return PluginError(f"{what} of plugin {provider or 'unknown'} gave {got}, expected {expected}; tell its author")
