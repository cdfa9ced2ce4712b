"""The refusal of a network that cannot be exported, with the part that cannot."""

from __future__ import annotations

import re
import traceback
from types import TracebackType

from torch import nn
from torch.export import ExportedProgram

from toolbox.errors import SpecError, ToolboxError
from toolbox.restorer import Restorer

PREFIX = "network."  # of a part's path in the traced module


def refusal(restorer: Restorer, error: Exception, program: ExportedProgram | None = None) -> ToolboxError:
    """The error of one sentence for a failed export.

    Args:
        restorer: the network.
        error: the failure, of the trace or of the translation of ``program``.
        program: what was translated.
    """
    if isinstance(error, ToolboxError):
        return error
    if program is None:
        path, why = _called(restorer, error), "fails on sizes and values that are not known yet"
    else:
        path, why = _translated(program, error), "has an operation that ONNX lacks"
    reason = re.split(r"(?<=\w)[.;:] |\n", str(_first(error)).strip() or type(error).__name__)[0]
    if path is None:
        return SpecError(f"the network cannot be exported: {reason}")
    role = path.split(".")[0]
    spec = {"encoder": restorer.spec.encoder, "decoder": restorer.spec.decoder}.get(role)
    name = f"{role} {spec.name!r} of plugin {spec.info.provider}" if spec else role
    part = f"{path} ({type(restorer.get_submodule(path)).__name__})"
    return SpecError(f"{name} cannot be exported: {part} {why}: {reason}; use another part, or tell its author")


def _first(error: BaseException) -> BaseException:
    """The cause of an error, of its cause, and so on."""
    return _chain(error)[-1]


def _chain(error: BaseException) -> list[BaseException]:
    """An error, its cause, the cause's cause, and so on."""
    return [error, *(_chain(error.__cause__) if error.__cause__ is not None else [])]


def _called(restorer: Restorer, error: BaseException) -> str | None:
    """The path of the innermost part that was running when the trace failed."""
    names = {id(module): name for name, module in restorer.named_modules() if name}
    found = None
    each: BaseException | None = error
    while each is not None:
        found = _innermost(names, each.__traceback__) or found
        each = each.__cause__ or each.__context__
    return found


def _innermost(names: dict[int, str], trace: TracebackType | None) -> str | None:
    frames = [frame for frame, _ in traceback.walk_tb(trace)]
    called = (frame.f_locals.get("self") for frame in frames if frame.f_code.co_name != "__call__")
    paths = [names[id(module)] for module in called if isinstance(module, nn.Module) and id(module) in names]
    return paths[-1] if paths else None


def _translated(program: ExportedProgram, error: BaseException) -> str | None:
    """The path of the part whose operation the message names, such as ``node %remainder``."""
    found = re.search(r"node %?(\w+)", " ".join(map(str, _chain(error))))
    nodes = {node.name: node for node in program.graph.nodes}
    node = nodes.get(found[1]) if found else None
    stack = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()] if node is not None else []
    inside = [path.split(PREFIX, 1)[1] for path in stack if PREFIX in path]
    return inside[-1] if inside else None
