"""The request for a program, checked before any work."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from toolbox.errors import SpecError
from toolbox.padding import alignment_of
from toolbox.programs.header import ProgramHeader
from toolbox.restorer import Restorer


@dataclass(frozen=True)
class ExportRequest:
    """The sizes that a program shall take and give."""

    scale: float | tuple[float, float] | None = None  # output over input size, one number or (vertical, horizontal)
    any_size: bool = False  # the output size is an input of the program
    tile: int | None = None  # height and width of every input; None for any batch, height and width

    def header(self, restorer: Restorer, license_: str | None = None) -> ProgramHeader:
        """The facts about the program of a network.

        Raises:
            SpecError: the network does not do these sizes.
        """
        scale = self._scale(restorer)
        field, alignment = restorer.receptive_field, alignment_of(restorer.spec.encoder.config)
        header = ProgramHeader(scale, field, alignment, self.tile, license=license_)
        if self.tile is not None:
            self._check_tile(header)
        return header

    def _scale(self, restorer: Restorer) -> tuple[float, float] | Literal["any"]:
        if self.any_size:
            if restorer.sizes != "any":
                raise SpecError(
                    f"got --any-size, but decoder {restorer.spec.decoder.name!r} does not do any size; leave it out"
                )
            if self.scale is not None:
                raise SpecError("got --scale and --any-size, expected one of them")
            return "any"
        if restorer.sizes == "any" and self.scale is None:
            raise SpecError("got no size for a network of any size; give --scale 2, or --any-size")
        height, width = 2**10, 2**10  # of a picture whose scale is asked; a decoder's own scale is an integer
        size = restorer.output_size(height, width, scale=self.scale)
        if self.scale is None:
            return size[0] / height, size[1] / width
        return self.scale if isinstance(self.scale, tuple) else (self.scale, self.scale)

    def _check_tile(self, header: ProgramHeader) -> None:
        tile, halo = self.tile or 0, header.halo
        if header.scale == "any" or any(Fraction(scale).denominator > 1 for scale in header.scale):
            raise SpecError("got --tile without an integer scale, expected --scale 2 or the like beside it")
        if halo is None:
            raise SpecError(f"got --tile {tile}, but this network sees the whole picture, which cannot be cut")
        if tile <= 2 * halo or tile % header.alignment:
            multiple = f", a multiple of {header.alignment}" if header.alignment > 1 else ""
            raise SpecError(
                f"got --tile {tile}, expected at least {2 * halo + header.alignment}{multiple}, since a pixel sees "
                f"{header.receptive_field} px around it"
            )
