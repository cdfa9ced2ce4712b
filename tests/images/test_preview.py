"""A region restored on its own against the same region of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from tests.cli.command import NET
from tests.images.engine.test_chain import CLEANER, TWICE, net
from tests.images.samples import first_page, identity, noise
from toolbox.errors import ImageError
from toolbox.images.engine.request import Geometry, Request
from toolbox.images.preview import restore_region, scaled_box
from toolbox.images.restore_file import Networks, Settings, restore_file
from toolbox.restorer import Restorer

UNSHUFFLED: dict[str, Any] = {
    **CLEANER,
    "encoder": {"name": "pixel-unshuffle", "factor": 2, "encoder": CLEANER["encoder"]},
}
CASES: dict[str, tuple[list[Restorer], Request]] = {
    "same size": ([net(CLEANER)], Request()),
    "aligned": ([net(UNSHUFFLED)], Request(strength=0.5)),
    "fixed scale": ([net(TWICE)], Request()),
    "any size": ([net(NET)], Request(Geometry(2.3))),
    "reduced": ([net(NET)], Request(Geometry(0.7))),
    "bicubic": ([identity()], Request(Geometry(1.7), strength=0.3)),
    "in a row": ([net(UNSHUFFLED), net(NET)], Request(Geometry(1.5))),
}


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("case", CASES)
def test_a_region_is_that_of_the_whole(case: str, channels: int, tmp_path: Path) -> None:
    restorers, request = CASES[case]
    settings = Settings(Networks(tuple(restorers), case), request)
    pixels = noise(53, 71, channels) if channels > 1 else noise(53, 71)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    restore_file(tmp_path / "in.png", tmp_path / "out.png", settings)
    whole = first_page(tmp_path / "out.png").pixels
    for box in ((0, 0, 53, 71), (17, 30, 8, 9), (40, 60, 13, 11)):
        region = restore_region(tmp_path / "in.png", box, settings)
        top, left, height, width = scaled_box(box, (53, 71), (whole.shape[0], whole.shape[1]))
        expected = whole[top : top + height, left : left + width]
        assert np.abs(region.after.pixels.astype(int) - expected).max() <= 1  # halves may be rounded another way
        assert np.array_equal(region.before.pixels, pixels[box[0] : box[0] + box[2], box[1] : box[1] + box[3]])


def test_less_than_the_whole_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, seen = net(CLEANER), list[tuple[int, ...]]()
    encode = network.encode

    def watched(image: Tensor) -> Tensor:
        seen.append(tuple(image.shape[-2:]))
        return encode(image)

    monkeypatch.setattr(network, "encode", watched)
    Image.fromarray(noise(200, 200, 3)).save(tmp_path / "in.png")
    restore_region(tmp_path / "in.png", (90, 90, 10, 10), Settings(Networks((network,), "it")))
    ((height, width),) = seen
    assert max(height, width) < 60


def test_a_box_covers_every_pixel_that_it_touches() -> None:
    assert scaled_box((1, 2, 3, 4), (10, 10), (20, 25)) == (2, 5, 6, 10)
    assert scaled_box((1, 1, 1, 1), (3, 3), (4, 4)) == (1, 1, 2, 2)


def test_a_region_outside_is_refused(tmp_path: Path) -> None:
    Image.fromarray(noise(20, 30, 3)).save(tmp_path / "in.png")
    with pytest.raises(ImageError, match=r"in\.png: got the region 25,0,10,5, expected one inside 30x20 pixels$"):
        restore_region(tmp_path / "in.png", (0, 25, 5, 10), Settings(Networks((identity(),), "it")))
