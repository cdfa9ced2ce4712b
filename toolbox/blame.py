"""Calls into plugins: what goes wrong in one is told with the plugin's name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from toolbox.errors import PluginError, ToolboxError


@contextmanager
def blamed(what: str, provider: str) -> Iterator[None]:
    """Turn what a stranger's code raises into a PluginError of one sentence.

    Errors of ours go on as they are, and so does memory that runs out.

    Args:
        what: is called, such as ``degradation 'rain'``.
        provider: the plugin that it is of.

    Raises:
        PluginError: the block raised something; the sentence names the plugin and what was raised.
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
    """The error for what a plugin's code gave back."""
    return PluginError(f"{what} of plugin {provider or 'unknown'} gave {got}, expected {expected}; tell its author")
