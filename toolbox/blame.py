"""Calls into plugins, whose failures name the plugin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, ValidationError

from toolbox.errors import PluginError, ToolboxError


@contextmanager
def blamed(what: str, provider: str, *passed: type[Exception]) -> Iterator[None]:
    """Turn errors of a plugin's code into a PluginError of one sentence.

    Errors of Toolbox pass through unchanged, and so do those of too little memory and of too deep recursion.

    Args:
        what: the name of the called part, such as ``degradation 'rain'``.
        provider: its plugin.
        passed: more errors that pass through.

    Raises:
        PluginError: the block raised something; the sentence names the plugin and the error.
    """
    try:
        yield
    except (ToolboxError, MemoryError, RecursionError):
        raise
    except Exception as error:
        if isinstance(error, passed) or "allocate memory" in str(error) or type(error).__name__ == "OutOfMemoryError":
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
        raise PluginError(f"{what} of plugin {provider or 'unknown'} failed with {reason}; tell its author") from error


def settings_of(what: str, info: Any, data: Any, context: object) -> Any:
    """The validated settings of a record, called ``what`` in errors.

    Raises:
        ValidationError: the settings are wrong.
        PluginError: a validator of the plugin fails.
    """
    config: type[BaseModel] = info.config
    with blamed(f"the config of {what}", info.provider, ValidationError):
        return config.model_validate(data, context=context)


def broken(what: str, provider: str, got: str, expected: str) -> PluginError:
    """The error for a wrong result of a plugin's code."""
    got = " ".join(got.split())  # an array is written in several lines
    return PluginError(f"{what} of plugin {provider or 'unknown'} gave {got}, expected {expected}; tell its author")
