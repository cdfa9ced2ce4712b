"""Compile a program ahead of time into machine code, which a .pt2 file holds beside the program."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch.export import ExportedProgram

from toolbox.errors import SpecError, WeightsError


def compiled_files(program: ExportedProgram, texts: Mapping[str, str]) -> Any:
    """The files of AOTInductor for a program: a library for this kind of processor, with texts as its metadata.

    Raises:
        WeightsError: there is no C++ compiler.
        SpecError: PyTorch cannot compile the program.
    """
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    if any(not isinstance(each, torch.Tensor) for each in _inputs(program)):
        raise SpecError("got --compile with --any-size, but a compiled program takes no numbers; give --scale instead")
    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        raise WeightsError(
            "compiling a program needs a C++ compiler, and none was found; install g++, or set CXX"
        ) from None
    args, keywords = program.example_inputs or ((), {})
    options = {"aot_inductor.package": True, "aot_inductor.metadata": dict(texts)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about its own parts
            return torch._inductor.aot_compile(program.module(check_guards=False), args, keywords, options=options)
    # Inductor raises whatever its passes and the compiler raise.
    except Exception as error:
        reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
        raise SpecError(f"PyTorch cannot compile this program: {reason}; leave out --compile") from error


def _inputs(program: ExportedProgram) -> list[Any]:
    args, keywords = program.example_inputs or ((), {})
    return torch.utils._pytree.tree_leaves((args, keywords))
