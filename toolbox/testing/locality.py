"""Rules about place: how far a component sees, and that a part of a picture gives the result of the whole."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from toolbox.decoders.implicit import ImplicitDecoder
from toolbox.errors import ConformanceError
from toolbox.images.engine.tiling import Tiling, encode_in_tiles
from toolbox.padding import alignment_of
from toolbox.restorer import Restorer
from toolbox.testing.measure import compare_tensors, farthest
from toolbox.testing.subject import Subject

LARGEST_LOOK = 40  # side of the picture for components that see all of it


def receptive_field(subject: Subject) -> None:
    """No pixel that is not reduced sees farther than declared, and one sees at least half as far."""
    restorer = subject.restorer()
    declared = restorer.receptive_field
    length = LARGEST_LOOK if declared is None else declared + 4
    image = subject.image(length, 5)
    seen = -1
    for size in subject.sizes(length, 5):
        if size[0] >= length and size[1] >= 5:
            seen = max(seen, farthest(_sized(restorer, size), image), farthest(_sized(restorer, size[::-1]), image.mT))
    if declared is None and seen < length - 1:
        raise ConformanceError(f"got None, the whole picture, but no output pixel sees farther than {seen}")
    if declared is not None and seen > declared:
        raise ConformanceError(f"got {declared}, but an output pixel sees at least {seen} pixels far")
    if declared is not None and declared > 2 * max(seen, 0):
        raise ConformanceError(f"got {declared}, but no output pixel sees farther than {seen}")


def alignment(subject: Subject) -> None:
    """A part of a picture that begins at a multiple of the declared alignment gives the features of the whole."""
    restorer = subject.restorer()
    radius, aligned = restorer.receptive_field, alignment_of(subject.spec.encoder.config)
    if radius is None or subject.info.kind == "decoder":
        return  # decoders get the size, and the tiler gives them the features they need
    image = subject.image(aligned * (2 * radius // aligned + 4), 4)
    whole, part = restorer(image), restorer(image[:, :, aligned:])
    compare_tensors(part[:, :, radius:], whole[:, :, aligned + radius :], "a part's features", "the whole picture's")


def tiles(subject: Subject) -> None:
    """A picture encoded in tiles has the features of the whole, also if its sides are no multiples."""
    restorer, encoder = subject.restorer(), subject.spec.encoder.config
    radius, aligned = encoder.receptive_field(), alignment_of(encoder)
    if radius is None or subject.info.kind == "decoder":
        return
    image = restorer.pad(subject.image(2 * radius + 3 * aligned + 1, aligned + 3))
    with torch.no_grad():
        in_tiles = encode_in_tiles(restorer, image, Tiling(aligned, radius, aligned), lambda: None)
        compare_tensors(in_tiles, restorer.encode(image), "features of tiles", "those of the whole picture")


def positions(subject: Subject) -> None:
    """An implicit decoder gives the same values at the centers of a grid's pixels and for the grid."""
    restorer, image = subject.restorer(), subject.image()
    if not _is_implicit(restorer):
        return
    features = restorer.encode(restorer.pad(image))
    for height, width in subject.sizes(6, 7):
        y, x = ((2 * torch.arange(count, dtype=torch.float64) + 1) / count - 1 for count in (height, width))
        points = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).flatten(0, 1)
        found = restorer.decoder.query(features, points, (2 / height, 2 / width)).mT.unflatten(2, (height, width))
        compare_tensors(found, restorer.decoder(features, (height, width)), "points", "the grid that they are of", 1e-5)


def bands(subject: Subject) -> None:
    """An implicit decoder gives the same in narrow bands and in small pieces as at once."""
    restorer = subject.restorer()
    if not _is_implicit(restorer):
        return
    features = restorer.encode(restorer.pad(subject.image(40, 3)))
    for size in ((80, 6), (40, 3), (57, 4)):
        at_once = restorer.decoder(features, size)
        narrow = subject.restorer()
        narrow.decoder.band, narrow.decoder.chunk = 24, 5
        compare_tensors(narrow.decoder(features, size), at_once, "narrow bands", "the whole")


def _is_implicit(restorer: Restorer) -> bool:
    """Whether the decoder answers at any position from the features alone."""
    return isinstance(restorer.decoder, ImplicitDecoder) and not restorer.spec.decoder.config.takes_image


def _sized(restorer: Restorer, size: tuple[int, int]) -> Callable[[Tensor], Tensor]:
    return lambda image: restorer(image, size=size)
