"""The findings of an inspection: versions, devices, plugins with their parts, and faults."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Fault:
    """A fault, its place, and a remedy."""

    package: str
    version: str
    file: str
    fault: str
    remedy: str

    def __str__(self) -> str:
        return f"{f'{self.package} {self.version}'.strip()} ({self.file}): {self.fault}; {self.remedy}"


@dataclass(frozen=True)
class ActivePlugin:
    """A working plugin, and the names that it registers, by kind."""

    plugin: str
    package: str
    version: str
    file: str
    brings: dict[str, list[str]]


@dataclass(frozen=True)
class Inspection:
    """The result of an inspection."""

    versions: dict[str, str]
    devices: list[str]
    threads: int
    plugins: list[ActivePlugin]
    left_out: list[str]
    faults: list[Fault]


def file_of(module: str) -> str:
    """The file of a module or of its package, found without importing it."""
    try:
        spec = find_spec(module.partition(".")[0])
    # A third-party finder may fail in any way.
    except Exception:
        spec = None
    return spec.origin if spec is not None and spec.origin else f"no file of module {module}"
