"""A decoder may ask for the image beside the features: it gets it as the network sees it, and as large."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import toolbox
from tests.parts import component, installed_and, restorer_of
from tests.test_padding import Windowed, WindowedConfig
from toolbox.config import DecoderConfig
from toolbox.images.engine import reach
from toolbox.padding import padded
from toolbox.points import at_points, decode_at
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.testing import check_component


class BesideConfig(DecoderConfig):
    """Whether it resizes."""

    takes_image: ClassVar[bool] = True
    resizes: bool = False

    def sizes(self) -> Literal["same", "any"]:
        return "any" if self.resizes else "same"

    def receptive_field(self) -> int | None:
        return 2


class Beside(nn.Module):
    """(B, features, H, W) and the image (B, C, H, W) → (B, channels, *size): a convolution of both."""

    def __init__(self, config: BesideConfig, features: int, channels: int, image_channels: int) -> None:
        super().__init__()
        self.resizes = config.resizes
        self.conv = nn.Conv2d(features + image_channels, channels, 3, padding=1)

    def forward(self, features: Tensor, size: tuple[int, int], image: Tensor) -> Tensor:
        decoded: Tensor = self.conv(torch.cat((features, image), 1))
        return F.interpolate(decoded, size) if self.resizes else decoded


INFO = component("beside", "decoder", Beside, BesideConfig)
REGISTRIES = installed_and(INFO, component("windowed", "encoder", Windowed, WindowedConfig))
EDSR = {"name": "edsr", "channels": 4, "blocks": 1}
NORMALIZATION = {"mean": [0.3, 0.6], "std": 0.5}


def network(encoder: Any, **more: Any) -> Restorer:
    spec = {"channels": 2, "normalization": NORMALIZATION, "encoder": encoder, "decoder": "beside", **more}
    return restorer_of(spec, REGISTRIES)


def seen(restorer: Restorer, image: Tensor) -> Tensor:
    return (image - restorer.mean) / restorer.std


def test_it_gets_the_image_as_the_encoder_does() -> None:
    restorer, image = network(EDSR), torch.rand(2, 2, 6, 7, dtype=torch.float64)
    expected = restorer.decoder(restorer.encode(image), (6, 7), seen(restorer, image))
    torch.testing.assert_close(restorer(image), expected * restorer.std + restorer.mean)


def test_a_padded_image_goes_with_padded_features() -> None:
    restorer, image = network("windowed"), torch.rand(1, 2, 5, 7, dtype=torch.float64)
    large = padded(image, restorer.padding)
    assert large.shape[-2:] == (8, 8)
    expected = restorer.decoder(restorer.encode(large), (8, 8), seen(restorer, large))[..., :5, :7]
    torch.testing.assert_close(restorer(image), expected * restorer.std + restorer.mean)


def test_a_decoder_of_any_size_gets_the_image_alone() -> None:
    restorer = network("windowed", decoder={"name": "beside", "resizes": True})
    image = torch.rand(1, 2, 5, 7, dtype=torch.float64)
    features = restorer.encode(padded(image, restorer.padding))[..., :5, :7]
    expected = restorer.decoder(features, (9, 8), seen(restorer, image)) * restorer.std + restorer.mean
    torch.testing.assert_close(restorer(image, size=(9, 8)), expected)
    points = torch.tensor([[0, 17, 71]])
    found = decode_at(restorer, restorer.encode(restorer.pad(image)), image, (9, 8), points)
    torch.testing.assert_close(found, at_points(expected, points))


def test_every_state_of_a_recurrent_encoder_goes_with_its_image() -> None:
    transition = {"name": "encoder", "channels": 4, "encoder": EDSR}
    encoder = {"name": "recurrent", "steps": 3, "collect": "all", "stem": EDSR, "transition": transition}
    restorer, images = network(encoder), torch.rand(2, 2, 6, 5, dtype=torch.float64)
    last = restorer(images)
    every = restorer.train()(images)
    assert every.shape == (6, 2, 6, 5)
    torch.testing.assert_close(every[-2:], last)


def test_a_picture_is_restored_in_tiles_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    restorer = network("windowed").float()
    picture = np.random.default_rng(0).random((45, 38, 2), dtype=np.float32)
    with torch.no_grad():
        expected = restorer(torch.from_numpy(picture).permute(2, 0, 1)[None]).clamp(0, 1)[0].permute(1, 2, 0).numpy()
    monkeypatch.setattr(reach, "usual_tile", lambda _: 16)
    np.testing.assert_allclose(toolbox.restore(picture, model=restorer), expected, atol=1e-5)


@pytest.mark.parametrize("resizes", [False, True])
def test_it_keeps_every_rule(resizes: bool) -> None:
    check_component(INFO, {"resizes": resizes}, registries=installed_and())
    assert resolve({"channels": 2, "encoder": "identity", "decoder": "beside"}, registries=REGISTRIES)
