"""Rows that come from top to bottom, against the whole: the same values, of which few are in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.parts import restorer_of
from toolbox.images.arrays import to_tensor
from toolbox.images.engine import decoding
from toolbox.images.engine.decoding import slabs_of
from toolbox.images.engine.reach import reach_of
from toolbox.images.engine.rows import ArrayRows, SomeChannels, StreamedRows, TensorRows, joined
from toolbox.images.engine.run import restore_tensor
from toolbox.images.engine.tiling import Tiling


def parts_of(image: Tensor, lengths: list[int]) -> Iterator[Tensor]:
    return iter(image.split(lengths, 2))


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6), window=st.integers(1, 12), kept=st.integers(0, 3))
def test_a_window_that_moves_down_sees_the_picture(lengths: list[int], window: int, kept: int) -> None:
    image = torch.rand(1, 2, sum(lengths), 3)
    rows = StreamedRows(parts_of(image, lengths), (2, sum(lengths), 3))
    for start in range(0, sum(lengths), window):
        rows.drop(start - kept)
        first, stop = max(0, start - kept), min(start + window, sum(lengths))
        assert torch.equal(rows.get(first, stop), image[:, :, first:stop])


def test_only_the_rows_that_may_be_needed_are_held() -> None:
    made: list[Tensor] = []

    def parts() -> Iterator[Tensor]:
        for _ in range(100):
            made.append(torch.rand(1, 1, 8, 4))
            yield made[-1]

    rows = StreamedRows(parts(), (1, 800, 4))
    most = 0
    for start in range(0, 800, 4):
        rows.drop(start - 1)
        rows.get(max(0, start - 1), min(start + 5, 800))
        most = max(most, sum(part.untyped_storage().nbytes() for part in rows._held))
    assert len(made) == 100
    assert most <= 2 * 8 * 4 * 4


def test_parts_are_joined_in_order() -> None:
    image = torch.rand(1, 3, 10, 4)
    assert torch.equal(joined(parts_of(image, [3, 6, 1]), 10), image)
    assert joined(iter((image,)), 10) is image


def test_an_array_keeps_its_type_until_its_rows_are_read() -> None:
    array = np.random.default_rng(0).integers(0, 65536, (7, 5, 4), np.uint16)
    rows = ArrayRows(array)
    assert rows.shape == TensorRows(to_tensor(array)).shape == (4, 7, 5)
    assert torch.equal(rows.get(2, 6), to_tensor(array)[:, :, 2:6])
    assert torch.equal(SomeChannels(rows, slice(-1, None)).get(0, 3), to_tensor(array)[:, 3:, :3])
    assert SomeChannels(rows, slice(0, -1)).shape == (3, 7, 5)


EDSR = {"name": "edsr", "channels": 4, "blocks": 1}
SWIN = {"name": "swinir", "channels": 4, "depths": [2, 2], "heads": [2, 1], "hidden": 6, "window": 4}
NETWORKS: dict[str, dict[str, Any]] = {
    "same": {"channels": 3, "global_skip": "bicubic", "encoder": EDSR, "decoder": {"name": "conv"}},
    "half": {
        "channels": 1,
        "encoder": {"name": "pixel-unshuffle", "factor": 2, "encoder": {**EDSR, "channels": 8}},
        "decoder": "residual-conv",
    },
    "twice": {
        "channels": 3,
        "global_skip": "bicubic",
        "encoder": EDSR,
        "decoder": {"name": "pixel-shuffle", "scale": 2, "channels": 4},
    },
    "thrice": {
        "channels": 3,
        "global_skip": "nearest",
        "encoder": EDSR,
        "decoder": {"name": "pixel-shuffle", "scale": 3, "channels": 4},
    },
    "any": {
        "channels": 3,
        "global_skip": "bicubic",
        "encoder": EDSR,
        "decoder": {"name": "dual-interactive", "hidden": [4], "modulation_input": "synthesis+content"},
    },
    "any-nearest": {
        "channels": 3,
        "global_skip": "nearest",
        "encoder": EDSR,
        "decoder": {"name": "local-ensemble", "hidden": [4]},
    },
    "bicubic": {"channels": 3, "encoder": "identity", "decoder": "bicubic"},
    "padded": {"channels": 3, "encoder": SWIN, "decoder": {"name": "conv"}},
    "padded-any": {"channels": 3, "encoder": SWIN, "decoder": {"name": "dual-interactive", "hidden": [4]}},
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(61, 23), (64, 5)], ids=str)
def test_rows_of_tiles_are_decoded_as_the_whole(
    name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "SLAB", 64)
    monkeypatch.setattr(decoding, "FEWEST", 4)
    restorer = restorer_of(NETWORKS[name])
    image = torch.rand(1, restorer.channels, *size, dtype=torch.float64)
    target = restorer.output_size(*size, scale=1.7 if restorer.sizes == "any" else None)
    exact = reach_of(restorer, size, target).exact()
    tiling = Tiling(16, exact.halo, exact.alignment)
    assert len(tiling.segments(size[0])) > 1
    decoder = restorer.decoder
    if hasattr(decoder, "band"):
        decoder.band = 64
    with torch.no_grad():
        expected = restorer(image, target).clamp(0, 1)
    torch.testing.assert_close(restore_tensor(restorer, image, target, tiling=tiling), expected, rtol=0, atol=1e-9)
    slabs = slabs_of(restorer, size, target, tiling)
    assert [row for slab in slabs for row in range(*slab.rows)] == list(range(target[0]))
    assert len(slabs) > 1 or name in ("any-nearest", "bicubic")


def test_a_map_is_cut_as_the_picture() -> None:
    spec = {**NETWORKS["half"], "conditions": {"sigma": {"unit": 255}}}
    restorer = restorer_of(spec)
    image, sigma = torch.rand(1, 1, 61, 23, dtype=torch.float64), 50 * torch.rand(61, 23, dtype=torch.float64)
    halo = reach_of(restorer, (61, 23), (61, 23)).exact().halo
    with torch.no_grad():
        expected = restorer(image, sigma=sigma).clamp(0, 1)
    found = restore_tensor(restorer, image, tiling=Tiling(16, halo, 2), conditions={"sigma": sigma})
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
