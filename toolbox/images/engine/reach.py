"""How far a tile must see to equal the whole picture, and the tilings that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from toolbox.errors import ImageError
from toolbox.images.engine.tiling import Tiling, usual_tile
from toolbox.restorer import Restorer

TILES = (768, 512, 384, 256, 192, 128, 96, 64, 48, 32)  # sizes to try, from the usual one on
HALOS = (256, 192, 128, 96, 64, 48, 32, 24, 16, 8)  # sizes to try when the receptive field is too large


@dataclass(frozen=True)
class FixedTiling(Tiling):
    """Tiles that have exactly ``tile`` pixels a side with their halos, because the program takes no other size."""

    def within(self, height: int, width: int) -> Tiling:
        return self

    def segments(self, length: int) -> list[tuple[int, int, int, int]]:
        tile = self.tile or length
        if length < tile or length % self.alignment:
            multiple = f", in multiples of {self.alignment}" if self.alignment > 1 else ""
            raise ImageError(
                f"got a picture with a side of {length} px, expected at least {tile}{multiple}, since the program "
                f"takes exactly {tile}x{tile}; export the network without --tile"
            )
        step = (tile - 2 * self.halo) // self.alignment * self.alignment
        starts = [*range(0, length - tile, step), length - tile]
        edges = [0, *(start + self.halo for start in starts[1:]), length]
        return [(*inner, start, start + tile) for inner, start in zip(pairwise(edges), starts, strict=True)]


@dataclass(frozen=True)
class Reach:
    """The pixels that a tile sees: those of the encoder, or of the whole network if it is a program."""

    field: int | None  # radius in input pixels; None for the whole picture
    alignment: int  # tiles start at multiples of it
    tile: int | None = None  # the only size that a program takes

    def exact(self) -> Tiling:
        """The usual exact tiling. A network that sees the whole picture gets it in one piece."""
        return next(self.tilings())

    def tilings(self, halo: int | None = None, *, may_approximate: bool = False) -> Iterator[Tiling]:
        """Tilings from the best to the smallest: exact ones first, then ones with smaller and smaller halos."""
        if self.field is None:
            yield Tiling(None, 0)
            return
        given = self.field if halo is None else min(halo, self.field)
        if self.tile is not None:
            yield FixedTiling(self.tile, -(-given // self.alignment) * self.alignment, self.alignment)
            return
        usual = usual_tile(given)
        yield Tiling(usual, given, self.alignment)
        yield from (Tiling(tile, given, self.alignment) for tile in TILES if given <= tile < usual)
        if may_approximate and halo is None:  # a tile smaller than two halos costs more than it saves
            pairs = ((tile, less) for less in HALOS if less < self.field for tile in TILES if tile >= 2 * less)
            yield from (Tiling(tile, less, self.alignment) for tile, less in pairs)

    def is_exact(self, tiling: Tiling, height: int, width: int) -> bool:
        """Whether the tiles give the result of the whole picture."""
        return tiling.count(height, width) == 1 or (self.field is not None and tiling.halo >= self.field)


def reach_of(restorer: Restorer, before: tuple[int, int], after: tuple[int, int]) -> Reach:
    """The reach of a tile, for a picture that becomes (height, width) ``after`` from ``before``."""
    return Reach(*restorer.tile_reach(before, after))
