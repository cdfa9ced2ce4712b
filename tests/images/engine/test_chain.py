"""Networks in a row against the same networks one after the other, and the blend with the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import toolbox
from tests.cli.command import NET
from tests.images.samples import identity, noise
from tests.parts import restorer_of
from toolbox.errors import SpecError
from toolbox.images.engine.chain import plan_chain
from toolbox.images.engine.request import Geometry, Request
from toolbox.restorer import Restorer

CLEANER: dict[str, Any] = {
    "channels": 3,
    "global_skip": "bicubic",
    "encoder": {"name": "edsr", "channels": 4, "blocks": 1},
    "decoder": {"name": "conv"},
}
TWICE: dict[str, Any] = {**CLEANER, "decoder": {"name": "pixel-shuffle", "scale": 2}}


def net(spec: dict[str, Any]) -> Restorer:
    return restorer_of(spec).float().eval()


def test_a_row_gives_what_its_networks_give_without_rounding_between() -> None:
    first, second = net(CLEANER), net(NET)
    image = np.random.default_rng(0).random((9, 7, 3), np.float32)
    expected = toolbox.restore(toolbox.restore(image, first), second, scale=2.5)
    both = toolbox.restore(image, [first, second], scale=2.5)
    np.testing.assert_allclose(both, expected, atol=1e-6)
    levels = (image * 255).astype(np.uint8)
    rounded = toolbox.restore(toolbox.restore(levels, first), second, scale=2.5).astype(int)
    assert np.abs(toolbox.restore(levels, [first, second], scale=2.5).astype(int) - rounded).max() <= 2


@pytest.mark.parametrize(
    ("specs", "geometry", "sizes"),
    [
        ((CLEANER, NET), Geometry(2.5), [(9, 7), (23, 18)]),
        ((NET, CLEANER), Geometry(2.5), [(23, 18), (23, 18)]),
        ((CLEANER, TWICE), Geometry(), [(9, 7), (18, 14)]),
        ((TWICE, CLEANER), Geometry(2.0), [(18, 14), (18, 14)]),
        ((NET, TWICE), Geometry(4.0), [(18, 14), (36, 28)]),
        ((TWICE, NET), Geometry(size=(30, 30)), [(18, 14), (30, 30)]),
    ],
)
def test_the_last_network_for_any_size_gives_the_requested_one(
    specs: tuple[dict[str, Any], ...], geometry: Geometry, sizes: list[tuple[int, int]]
) -> None:
    plan = plan_chain([net(each) for each in specs], (3, 9, 7), Request(geometry), estimate_small=True)
    assert [stage.size for stage in plan.stages] == sizes
    assert plan.size == sizes[-1]
    assert plan.tiles == sum(stage.tiles for stage in plan.stages)
    first, last = plan.stages
    together = max((first.memory or 0) + last.network, (last.memory or 0) + first.network)
    assert plan.memory == pytest.approx(together)
    assert plan.seconds == pytest.approx(sum(stage.seconds or 0 for stage in plan.stages))


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (
            (CLEANER,),
            r"^got output size 14x18 for input 7x9, but the model keeps the size; use diinn-lite, which",
        ),
        ((CLEANER, CLEANER), r"but the model keeps the size; use diinn-lite"),
        ((NET, TWICE), r"^got output size 15x18, but the later networks enlarge 2 times; expected multiples of 2$"),
    ],
)
def test_a_size_that_a_row_does_not_give_is_refused(specs: tuple[dict[str, Any], ...], message: str) -> None:
    size = (18, 15) if len(specs) == 2 and specs[1] is TWICE else (18, 14)
    with pytest.raises(SpecError, match=message):
        plan_chain([net(each) for each in specs], (3, 9, 7), Request(Geometry(size=size)))


@pytest.mark.parametrize("strength", [0, 0.25, 1])
def test_the_strength_blends_with_the_picture(strength: float) -> None:
    network, image = net(CLEANER), np.random.default_rng(0).random((9, 7, 3), np.float32)
    restored = toolbox.restore(image, network)
    expected = image + strength * (restored - image)
    np.testing.assert_allclose(toolbox.restore(image, network, strength=strength), expected, atol=1e-6)


def test_the_strength_blends_an_enlarged_picture_with_its_interpolation() -> None:
    network, image = net(NET), noise(9, 7, 3).astype(np.float32) / 255
    bicubic, restored = toolbox.restore(image, identity(), scale=3), toolbox.restore(image, network, scale=3)
    half = toolbox.restore(image, network, scale=3, strength=0.5)
    np.testing.assert_allclose(half, (bicubic + restored) / 2, atol=1e-6)


def test_without_strength_the_picture_stays_bit_for_bit() -> None:
    image = noise(9, 7, 4, dtype=np.uint16)
    assert np.array_equal(toolbox.restore(image, net(CLEANER), strength=0), image)


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_a_strength_that_is_no_share_is_refused(strength: float) -> None:
    with pytest.raises(SpecError, match=r"^got strength .*, expected a number from 0 to 1$"):
        toolbox.restore(noise(4, 4), identity(), strength=strength)


# Without a model.


def photo() -> np.ndarray[Any, Any]:
    with Image.open(Path(__file__).parents[3] / "examples" / "photos" / "chelsea.png") as picture:
        return np.array(picture.convert("RGB"))[80:208, 60:188]


def test_a_clean_picture_stays_as_it_is() -> None:
    pixels = photo()
    assert np.array_equal(toolbox.restore(pixels), pixels)
    assert toolbox.restore(Image.fromarray(pixels)).tobytes() == Image.fromarray(pixels).tobytes()


def test_a_noisy_picture_takes_the_model_for_it_and_sigma_overrides() -> None:
    pixels = photo()
    noisy = (pixels + np.random.default_rng(0).normal(0, 25, pixels.shape)).round().clip(0, 255).astype(np.uint8)
    assert np.array_equal(toolbox.restore(noisy), toolbox.restore(noisy, "photo"))
    assert np.array_equal(toolbox.restore(noisy, sigma=0), noisy)
    assert np.array_equal(toolbox.restore(pixels, sigma=25), toolbox.restore(pixels, "photo"))
    with pytest.raises(SpecError, match=r"^got 'quality' without a model, expected only sigma; name a model that"):
        toolbox.restore(noisy, quality=30)
