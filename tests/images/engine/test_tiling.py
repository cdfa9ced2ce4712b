"""Encoding tile by tile: the tiles cover the picture, and no seam is left of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.parts import ENCODERS, Spec, restorer_of
from toolbox.images.engine.tiling import LARGEST, SMALLEST, Tiling, encode_in_tiles, exact_tiling, usual_tile
from toolbox.restorer import Restorer

TILE = 512
lengths = st.integers(1, 6 * TILE)
margins = st.integers(0, 2 * TILE)
alignments = st.integers(1, 8)


@given(length=lengths, margin=margins, alignment=alignments)
def test_tiles_cover_an_axis_exactly(length: int, margin: int, alignment: int) -> None:
    cut = Tiling(TILE, margin, alignment).segments(length)
    assert [i for start, stop, _, _ in cut for i in range(start, stop)] == list(range(length))


@given(length=lengths, margin=margins, alignment=alignments)
def test_a_tile_starts_where_the_encoder_may_be_cut(length: int, margin: int, alignment: int) -> None:
    for start, _, outer_start, outer_stop in Tiling(TILE, margin, alignment).segments(length):
        assert start % alignment == 0
        assert outer_start % alignment == 0
        assert outer_stop % alignment == 0 or outer_stop == length


@given(length=lengths, margin=margins, alignment=alignments)
def test_a_tile_has_its_margin_or_ends_with_the_picture(length: int, margin: int, alignment: int) -> None:
    for start, stop, outer_start, outer_stop in Tiling(TILE, margin, alignment).segments(length):
        assert 0 <= outer_start <= start < stop <= outer_stop <= length
        assert start - outer_start >= margin or outer_start == 0
        assert outer_stop - stop >= margin or outer_stop == length
        assert start - outer_start < margin + alignment
        assert outer_stop - stop < margin + alignment


@given(length=lengths, margin=margins, alignment=alignments)
def test_a_tile_is_no_larger_than_it_need_be(length: int, margin: int, alignment: int) -> None:
    cut = Tiling(TILE, margin, alignment).segments(length)
    assert all(stop - start < TILE + alignment for start, stop, _, _ in cut)
    assert len(cut) <= -(-length // TILE)


@given(length=lengths, width=lengths, margin=margins)
def test_an_image_that_every_tile_would_see_whole_is_one_tile(length: int, width: int, margin: int) -> None:
    tiling = Tiling(TILE, margin)
    whole = all(
        (outer_start, outer_stop) == (0, side)
        for side in (length, width)
        for _, _, outer_start, outer_stop in tiling.segments(side)
    )
    cut = tiling.within(length, width)
    assert cut.halo == margin
    if margin >= max(length, width):
        assert whole
        assert cut.count(length, width) == 1
    else:
        assert cut == tiling


@given(length=lengths, alignment=alignments)
def test_an_encoder_that_sees_the_whole_picture_gets_it_whole(length: int, alignment: int) -> None:
    assert Tiling(None, 0, alignment).segments(length) == [(0, length, 0, length)]


def window(border: str, size: int = 5) -> Spec:
    """NLRN's encoder with a window."""
    block: Spec = {"name": "soft-block-matching", "embedding_channels": 2}
    block |= {"neighborhood": {"kind": "window", "size": size, "border": border}}
    transition = {"name": "nonlocal-residual", "channels": 4, "nonlocal": block}
    return {"name": "recurrent", "steps": 2, "transition": transition}


def nl_means(border: str) -> Spec:
    """Non-local means with a window."""
    neighborhood = {"kind": "window", "size": 5, "border": border}
    return {"name": "nonlocal", "nonlocal": {"name": "nl-means", "patch": 3, "neighborhood": neighborhood}}


SPECS: dict[str, Spec] = {
    "identity": {"name": "identity"},
    "edsr": {"name": "edsr", "channels": 4, "blocks": 2},
    "rdn": {"name": "rdn", **ENCODERS["rdn"]},
    "window-clip": window("clip"),
    "window-zero": window("zero"),
    "window-shift": window("shift", 3),
    "edsr-with-windows": {
        "name": "edsr",
        "channels": 4,
        "blocks": 3,
        "nonlocal": {"name": "wang-nonlocal", "neighborhood": {"kind": "window", "size": 5}, "inner_channels": 2},
        "nonlocal_after": [0, 2],
    },
    "nl-means": nl_means("clip"),
    "nl-means-zero": nl_means("zero"),
    "nl-means-shift": nl_means("shift"),
    "half-resolution": {"name": "pixel-unshuffle", "factor": 2, "encoder": window("clip", 3)},
    "half-resolution-zero": {"name": "pixel-unshuffle", "factor": 2, "encoder": window("zero", 3)},
    "half-resolution-shift": {"name": "pixel-unshuffle", "factor": 2, "encoder": window("shift", 3)},
    "third-resolution": {
        "name": "pixel-unshuffle",
        "factor": 3,
        "encoder": {"name": "edsr", "channels": 9, "blocks": 1},
    },
    "quarter-resolution": {
        "name": "pixel-unshuffle",
        "factor": 2,
        "encoder": {
            "name": "pixel-unshuffle",
            "factor": 2,
            "encoder": {"name": "edsr", "channels": 16, "blocks": 1},
        },
    },
}


def network(name: str) -> Restorer:
    """A gray network in float64 with drawn weights: none is zero, so every margin matters."""
    return restorer_of({"channels": 1, "encoder": SPECS[name], "decoder": {"name": "dual-interactive", "hidden": [2]}})


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("size", [(64, 65), (31, 90), (97, 24)], ids=lambda size: "x".join(map(str, size)))
def test_tile_by_tile_is_as_at_once(name: str, size: tuple[int, int]) -> None:
    restorer = network(name)
    tiling = exact_tiling(restorer.spec.encoder.config, 26)
    image = torch.rand(1, 1, *size, dtype=torch.float64)
    done: list[int] = []
    with torch.inference_mode():
        whole = restorer.encode(image)
        tiled = encode_in_tiles(restorer, image, tiling, lambda: done.append(1))
    assert len(done) == tiling.count(*size) >= 4
    assert tiled.shape == whole.shape
    torch.testing.assert_close(tiled, whole, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in SPECS if name != "identity"])
def test_without_the_halo_there_would_be_seams(name: str) -> None:
    """The comparison above notices a halo that is too small."""
    restorer = network(name)
    alignment = restorer.spec.encoder.config.alignment()
    image = torch.rand(1, 1, 40, 50, dtype=torch.float64)
    with torch.inference_mode():
        tiled = encode_in_tiles(restorer, image, Tiling(26, 0, alignment), lambda: None)
        assert not torch.allclose(tiled, restorer.encode(image))


@given(size=st.tuples(st.integers(30, 60), st.integers(30, 60)), halo=st.integers(0, 12))
def test_a_small_halo_changes_only_what_is_near_a_seam(size: tuple[int, int], halo: int) -> None:
    restorer = network("window-clip")
    field = restorer.spec.encoder.config.receptive_field()
    image = torch.rand(1, 1, *size, dtype=torch.float64)
    tiling = Tiling(26, halo)
    with torch.inference_mode():
        wrong = (encode_in_tiles(restorer, image, tiling, lambda: None) - restorer.encode(image)).abs().sum((0, 1))
    seams = [[stop for _, stop, _, _ in tiling.segments(length)[:-1]] for length in size]
    reach = max((field or 0) - halo, 0)
    for y, x in (wrong > 1e-9).nonzero().tolist():
        distance = min(abs(place + 0.5 - seam) for place, axis in ((y, seams[0]), (x, seams[1])) for seam in axis)
        assert distance < reach


def test_a_whole_neighborhood_is_encoded_at_once() -> None:
    spec: Any = window("clip")
    spec["transition"]["nonlocal"]["neighborhood"] = {"kind": "whole"}
    restorer = restorer_of({"channels": 1, "encoder": spec, "decoder": "residual-conv"})
    tiling = exact_tiling(restorer.spec.encoder.config, 8)
    assert tiling.count(20, 30) == 1
    image = torch.rand(1, 1, 12, 13, dtype=torch.float64)
    with torch.inference_mode():
        assert torch.equal(encode_in_tiles(restorer, image, tiling, lambda: None), restorer.encode(image))


def test_a_picture_of_one_tile_is_encoded_as_it_is() -> None:
    restorer = network("edsr")
    tiling = exact_tiling(restorer.spec.encoder.config)
    assert tiling.count(SMALLEST, SMALLEST) == 1
    assert tiling.count(SMALLEST, SMALLEST + 1) == 2
    image = torch.rand(1, 1, 9, 7, dtype=torch.float64)
    with torch.inference_mode():
        assert torch.equal(encode_in_tiles(restorer, image, tiling, lambda: None), restorer.encode(image))


@given(halo=st.integers(0, 400))
def test_a_tile_is_large_beside_its_halo_but_not_too_large(halo: int) -> None:
    assert SMALLEST <= usual_tile(halo) <= LARGEST
    assert usual_tile(halo) >= 8 * halo or usual_tile(halo) == LARGEST
