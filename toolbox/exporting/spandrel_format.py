"""Write a network as a file that programs with spandrel load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file

from toolbox.errors import SpecError
from toolbox.programs.header import ProgramHeader
from toolbox.programs.one_scale import OneScale
from toolbox.restorer import Restorer
from toolbox.weights.modelspec import hash_of

SUFFIX = ".safetensors"


def write_spandrel(restorer: Restorer, path: Path, header: ProgramHeader, texts: Mapping[str, str]) -> None:
    """Write the network at the scale of the header; one of its tensors holds the texts.

    Raises:
        SpecError: the scale is no integer, or the network needs more than a color picture.
    """
    model = OneScale(restorer, integer_scale(header), texts)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, path, {**_for_others(texts), **hash_of(tensors)})


def _for_others(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts that other programs read; ours would make the file one of our own format, whose tensors differ."""
    return {key: text for key, text in texts.items() if key.startswith("modelspec.")}


def check_spandrel(restorer: Restorer, path: Path, header: ProgramHeader) -> None:
    """Refuse what spandrel cannot load, before any work.

    Raises:
        SpecError: see ``write_spandrel``; or the file has a suffix that spandrel does not read.
    """
    if path.suffix.lower() != SUFFIX:
        raise SpecError(f"got {path.name} for spandrel, expected a file that ends with {SUFFIX}")
    if header.tile is not None:
        raise SpecError("got --tile for spandrel, whose programs cut pictures themselves; leave it out")
    OneScale(restorer, integer_scale(header), {})


def integer_scale(header: ProgramHeader) -> int:
    """The one scale of a program.

    Raises:
        SpecError: it has none, two, or one that is no integer.
    """
    if header.scale == "any" or header.scale[0] != header.scale[1] or header.scale[0] != int(header.scale[0]):
        raise SpecError("got a size that is not one integer scale, which spandrel needs; give --scale 2 or the like")
    return int(header.scale[0])
