"""The receptive field that is followed through a network against the one that its gradients show."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.parts import encoder_of, encoder_radius
from toolbox.encoders.receptive_field import measured_locality
from toolbox.testing.measure import drawn


def followed(network: nn.Module, size: tuple[int, int] = (32, 48)) -> int | None:
    """The radius that is followed on tensors without data."""
    return measured_locality(network.float().to("meta").eval(), torch.empty(1, 2, *size, device="meta")).radius


def shown(network: nn.Module, period: int, radius: int) -> int:
    """The radius on both axes that gradients show, over every phase of a network that repeats by ``period``."""
    length = -(-(2 * radius + 4 * period) // period) * period
    farthest = 0
    for shape in ((length, 2 * period), (2 * period, length)):
        image = torch.randn(2, 2, *shape, dtype=torch.float64, requires_grad=True)
        features = network(image)
        axis = 2 if shape[0] == length else 3
        for place in range(length // 2, length // 2 + period):
            (gradient,) = torch.autograd.grad(features.select(axis, place).square().sum(), image, retain_graph=True)
            seen = gradient.abs().amax(tuple({0, 1, 2, 3} - {axis})).nonzero()
            farthest = max(farthest, place - int(seen.min()), int(seen.max()) - place)
    return farthest


@pytest.mark.parametrize(
    ("model", "stages", "period"),
    [
        ("test_resnet", [0], 2),  # a stem of three convolutions
        ("test_resnet", [0, 1], 4),  # pooling
        ("test_efficientnet", [0, 1], 4),
        ("tf_efficientnet_lite0", [0, 1], 4),  # padded on one side only
        ("convnext_atto", [0], 4),  # layer normalization over channels
        ("regnetx_002", [1, 2], 8),
        ("hrnet_w18_small", [0], 2),
        ("inception_next_tiny", [0], 4),  # kernels of 1 × 11 and 11 × 1, on some of the channels
        ("mobilenetv3_small_050", [0], 2),
    ],
)
def test_it_is_what_the_gradients_of_a_backbone_show(model: str, stages: list[int], period: int) -> None:
    spec = {"name": "timm", "model": model, "stages": stages, "channels": 2}
    declared = encoder_radius(spec)
    assert declared is not None
    seen = shown(encoder_of(spec), period, declared)
    assert seen <= declared
    assert seen >= declared - period  # a maximum or a clamp hides what it does not choose


class Net(nn.Module):
    """A convolution, then what a test does with its features, then another convolution."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.before, self.after = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 2, 1)
        self.constant = nn.Parameter(torch.ones(4, 1, 1))
        self.map = nn.Parameter(torch.ones(4, 32, 48))
        self.between = between

    def forward(self, image: Tensor) -> Tensor:
        """(B, 2, H, W) → the same shape."""
        result: Tensor = self.after(self.between(self.before(image)))
        return result


def down(features: Tensor) -> Tensor:
    return F.avg_pool2d(features, 2)


@pytest.mark.parametrize(
    ("between", "radius"),
    [
        (lambda x: x, 1),
        (lambda x: F.gelu(x) * torch.sigmoid(x) + 1, 1),
        (lambda x: x + F.max_pool2d(x, 5, 1, 2), 3),
        (lambda x: F.interpolate(down(x), scale_factor=2.0), 2),
        (lambda x: F.interpolate(down(down(x)), scale_factor=4.0), 4),
        (lambda x: F.interpolate(down(x), scale_factor=2.0, mode="bilinear"), 3),
        (lambda x: F.pixel_unshuffle(F.max_pool2d(F.pixel_shuffle(x, 2), 3, 1, 1), 2), 2),
        (lambda x: torch.cat((x[:, :1], F.avg_pool2d(x[:, 1:], 3, 1, 1)), 1), 2),
        (lambda x: F.avg_pool2d(F.pad(x, (0, 2, 0, 0)), (1, 3), 1), 3),
        (lambda x: F.avg_pool2d(F.pad(x, (2, 0, 0, 0)), (1, 3), 1), 3),
        (lambda x: F.layer_norm(x.permute(0, 2, 3, 1), (4,)).permute(0, 3, 1, 2), 1),
    ],
)
def test_what_is_local_widens_it_as_its_gradients_show(between: Callable[[Tensor], Tensor], radius: int) -> None:
    network = drawn(Net(between))
    assert shown(network, 8, radius) == radius
    assert followed(network) == radius


@pytest.mark.parametrize(
    "between",
    [
        lambda x: x * x.mean((2, 3), keepdim=True),
        lambda x: x * F.adaptive_avg_pool2d(x, 1),
        lambda x: F.group_norm(x, 2),
        lambda x: F.layer_norm(x, x.shape[2:]),
        lambda x: x.flatten(2).softmax(2).unflatten(2, x.shape[2:]),
        lambda x: (x.flatten(2) @ x.flatten(2).mT @ x.flatten(2)).unflatten(2, x.shape[2:]),
        lambda x: x + x.flip(2),
        lambda x: x + x.roll(1, 3),
        lambda x: torch.cat((x[:, :, :16], x[:, :, 16:]), 2),
        lambda x: x + x.transpose(2, 3).reshape(x.shape),
        lambda x: F.interpolate(x[:, :, ::2], size=x.shape[2:]),
        lambda x: F.interpolate(down(x), scale_factor=2.0, mode="bicubic"),
        lambda x: F.max_pool2d(x, 5, 1, 2, dilation=2).repeat_interleave(2, 2)[:, :, :32],
    ],
)
def test_what_is_not_known_to_be_local_sees_the_whole_image(between: Callable[[Tensor], Tensor]) -> None:
    assert followed(Net(between)) is None


def test_a_constant_for_every_place_ties_a_network_to_places() -> None:
    class Placed(Net):
        def forward(self, image: Tensor) -> Tensor:
            return self.before(image) + self.map

    class Scaled(Net):
        def forward(self, image: Tensor) -> Tensor:
            return self.before(image) * self.constant

    assert followed(Placed(lambda x: x)) is None
    assert followed(Scaled(lambda x: x)) == 1


def test_writing_into_a_part_of_what_others_see_is_not_followed() -> None:
    def write(features: Tensor) -> Tensor:
        features[:, :1].copy_(F.avg_pool2d(features[:, :1], 9, 1, 4))
        return features

    assert followed(Net(write)) is None


def test_features_of_another_size_have_no_radius() -> None:
    assert followed(Net(down)) is None
