"""Decode the features of a picture some rows at a time, so that neither all features nor the result are in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from toolbox.decoders.implicit import ImplicitDecoder, assembled
from toolbox.decoders.skip import REACH
from toolbox.images.engine.rows import Rows
from toolbox.images.engine.tiling import Tiling
from toolbox.padding import multiple_of
from toolbox.resize import enlarged_rows, rows_to_enlarge
from toolbox.restorer import Restorer

SLAB = 2**18  # pixels of features to decode at a time
FEWEST = 16  # rows of them


@dataclass(frozen=True)
class Slab:
    """Some rows of the result, and the rows of features and of the picture from which they come."""

    rows: tuple[int, int]  # [start, stop) of the result
    features: tuple[int, int]
    picture: tuple[int, int]


def slabs_of(restorer: Restorer, shape: tuple[int, int], size: tuple[int, int], tiling: Tiling) -> list[Slab]:
    """The slabs in which to decode a picture (H, W) to a size; a single one if the decoder needs all features."""
    padded = multiple_of(shape[0], restorer.padding), multiple_of(shape[1], restorer.padding)
    implicit = _answering_rows(restorer)
    if implicit is not None:
        return _implicit_slabs(implicit, shape, size)
    field, skip = restorer.spec.decoder.config.receptive_field(), restorer.spec.global_skip
    scale = 1 if restorer.sizes == "same" else restorer.sizes
    if not isinstance(scale, int) or field is None or len(tiling.segments(padded[0])) == 1:
        return [Slab((0, size[0]), (0, padded[0]), (0, shape[0]))]
    reach = max(field, 1 if scale == 1 else REACH.get(skip, 1))
    alignment = math.lcm(restorer.padding.multiple, restorer.spec.decoder.config.alignment())
    tall = Tiling(max(FEWEST, 4 * reach, SLAB // padded[1]), reach, alignment)
    return [
        Slab(
            (start * scale, min(stop * scale, size[0])),
            (outer_start, outer_stop),
            (outer_start, min(outer_stop, shape[0])),
        )
        for start, stop, outer_start, outer_stop in tall.segments(padded[0])
        if start * scale < size[0]
    ]


def decode_slab(
    restorer: Restorer, slab: Slab, features: Rows, picture: Rows, shape: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """The rows of a slab, (1, output channels, rows, W').

    Args:
        restorer: the network.
        slab: one of ``slabs_of``.
        features: those of the padded picture.
        picture: without padding and conditions.
        shape: height and width of the picture.
        size: height and width of the result.
    """
    seen = features.get(*slab.features)
    start, stop = slab.rows
    implicit = _answering_rows(restorer)
    if implicit is not None:
        content = implicit.content_for(seen[..., : shape[1]], shape, start, stop, size)
        decoded = assembled(implicit.decode_rows(content, size, start, stop), (stop - start, size[1]))
        restored = decoded * restorer.std
        if restorer.spec.global_skip == "none":
            return restored.add_(restorer.mean)
        first, last = rows_to_enlarge(shape[0], size, start, stop)
        return restored.add_(enlarged_rows(picture.get(first, last), first, shape[0], size, start, stop))
    image = picture.get(*slab.picture)
    if slab.rows == (0, size[0]):
        return restorer.decode(seen, image, size)
    scale = 1 if restorer.sizes == "same" else int(restorer.sizes)
    top = slab.picture[0] * scale
    return restorer.decode(seen, image, (image.shape[2] * scale, size[1]))[:, :, start - top : stop - top]


def _answering_rows(restorer: Restorer) -> ImplicitDecoder | None:
    """The decoder, if it answers for some rows of a grid from the features near them alone."""
    decoder = restorer.decoder
    if (
        isinstance(decoder, ImplicitDecoder)
        and type(decoder).forward is ImplicitDecoder.forward
        and not restorer.spec.decoder.config.takes_image
        and restorer.spec.global_skip in ("none", "bicubic")
    ):
        return decoder
    return None


def _implicit_slabs(decoder: ImplicitDecoder, shape: tuple[int, int], size: tuple[int, int]) -> list[Slab]:
    slabs = []
    for start, stop in decoder.bands_of(shape, size):
        _, _, first, last = decoder.rows_for(start, stop, shape[0], size)
        slabs.append(Slab((start, stop), (first, last + 1), rows_to_enlarge(shape[0], size, start, stop)))
    return slabs
