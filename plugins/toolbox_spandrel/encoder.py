"""Any network of spandrel as an encoder: its features before the upsampler, or its finished picture."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, ValidationInfo, field_validator, model_validator
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, EncoderConfig, Locality, fault, located, measured_locality
from toolbox_spandrel import library
from toolbox_spandrel.taps import TAPS, Direct, Reached, tap

SIDE = 64  # of a picture to follow; networks that pad it inside themselves take this one as it is

Gives = Literal["features", "pixels"]
ONE_BY_ONE = {"DRUNet", "DnCNN"}  # spandrel adds a map of the noise for one picture


class SpandrelConfig(EncoderConfig):
    """Settings of a network of spandrel."""

    architecture: str = Field(description="spandrel's name of the architecture, such as Compact or SPAN")
    network: str = Field(
        default="", validate_default=True, description="the class of the network, where an architecture has several"
    )
    hyperparameters: Mapping[str, Any] = Field(
        default={}, validate_default=True, description="the arguments of spandrel's class; those left out are filled in"
    )
    gives: Gives = Field(
        default="features",
        description="the features before the upsampler, or the pixels of the finished picture, which a decoder "
        "depth-to-space (or features, where it keeps the size) puts at their places",
    )

    @field_validator("architecture")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            known = library.supports()
        except ValueError as error:
            raise located((), str(error), value) from None
        if value not in known:
            raise fault((), value, f"one of spandrel's: {', '.join(sorted(known))}")
        return value

    @field_validator("network")
    @classmethod
    def _is_one_of_it(cls, value: str, info: ValidationInfo) -> str:
        if "architecture" not in info.data:
            return value
        names = list(library.networks_of(info.data["architecture"]))
        if not value and len(names) == 1:
            return names[0]
        if value not in names:
            raise fault((), value, f"one of {', '.join(names)}")
        return value

    @field_validator("hyperparameters")
    @classmethod
    def _complete(cls, value: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
        if "architecture" not in info.data or not info.data.get("network"):
            return value  # the fault is there
        network = library.networks_of(info.data["architecture"])[info.data["network"]]
        parameters = library.settings_of(network)
        for name, given in value.items():
            if name not in parameters:
                raise located((name,), f"unknown key; expected one of {', '.join(parameters)}", given)
            if not library.is_plain(given):
                raise fault((name,), given, "a number, some text, a list or a mapping")
        defaults = {name: each.default for name, each in parameters.items() if each.default is not each.empty}
        plain = {name: default for name, default in defaults.items() if library.is_plain(default)}
        if missing := [name for name in parameters if name not in {**value, **defaults}]:
            raise located((missing[0],), "missing; this key is required")
        complete: Mapping[str, Any] = json.loads(json.dumps({**plain, **value}))
        return complete

    @model_validator(mode="after")
    def _builds(self) -> SpandrelConfig:
        try:
            found = self.facts
        except ValueError as error:
            raise located(("hyperparameters",), str(error)) from None
        if self.gives == "features":
            if self.network not in TAPS:
                raise fault(("gives",), self.gives, f"pixels, since the features of {self.network!r} have no known end")
            if _features(*self._key) is None:
                expected = "pixels, since the features of this network do not have the size of the picture"
                raise fault(("gives",), self.gives, expected)
        elif found.scale < 1:
            raise located(("hyperparameters",), f"got a network that reduces pictures, by a scale of {found.scale}")
        return self

    @property
    def _key(self) -> tuple[str, str, str]:
        return self.architecture, self.network, json.dumps(self.hyperparameters, sort_keys=True)

    @property
    def facts(self) -> library.Facts:
        """The facts that spandrel finds; ValueError if it cannot build the network."""
        return library.facts(*self._key)

    def out_channels(self, channels: int) -> int:
        if channels != self.facts.channels:
            raise ValueError(f"got {channels} channels, expected {self.facts.channels} for this network of spandrel")
        if self.gives == "pixels":
            return self.facts.output_channels * self.facts.scale**2
        features = _features(*self._key)
        assert features is not None  # noqa: S101  # validated
        return features

    def receptive_field(self) -> int | None:
        return _locality(*self._key, self.gives).radius

    def alignment(self) -> int:
        return math.lcm(self.facts.multiple, _locality(*self._key, self.gives).alignment)

    def built(self) -> nn.Module:
        """The network, without its upsampler if that has no use."""
        network = library.build(library.networks_of(self.architecture)[self.network], self.hyperparameters)
        if self.gives == "features":
            tap(network)
        return network


def _sides(facts: library.Facts) -> tuple[int, int]:
    """The sides of a picture to follow, which the network takes without padding."""
    step = math.lcm(facts.multiple, SIDE)
    side = -(-max(facts.minimum, 1) // step) * step
    return (side, side) if facts.square else (2 * side, 3 * side)


def _on(device: str, architecture: str, network: str, settings: str, gives: Gives) -> Spandrel:
    config = SpandrelConfig.model_construct(
        architecture=architecture, network=network, hyperparameters=json.loads(settings), gives=gives
    )
    with torch.device(device), torch.random.fork_rng(devices=[]):
        return Spandrel(config, 0).eval()


@functools.lru_cache(maxsize=256)
def _features(architecture: str, network: str, settings: str) -> int | None:
    """The number of features before the upsampler; None if they are not those of single pixels."""
    facts = library.facts(architecture, network, settings)
    height, width = _sides(facts)
    for device in ("meta", "cpu"):  # some networks cannot run without data
        encoder = _on(device, architecture, network, settings, "features")
        try:
            with torch.device(device), torch.no_grad(), library.quiet():
                features = encoder.tapped(torch.zeros(1, facts.channels, height, width))
        except (RuntimeError, NotImplementedError):
            continue
        # Some networks pad the picture inside themselves, but none doubles it.
        if features.ndim == 4 and height <= features.shape[2] < 2 * height and width <= features.shape[3] < 2 * width:
            return features.shape[1]
    return None


@functools.lru_cache(maxsize=256)
def _locality(architecture: str, network: str, settings: str, gives: Gives) -> Locality:
    """Follow the network on a picture without data; a network that needs data sees the whole picture."""
    facts = library.facts(architecture, network, settings)
    try:
        with torch.device("meta"), library.quiet():
            picture = torch.empty(1, facts.channels, *_sides(facts))
            return measured_locality(_on("meta", architecture, network, settings, gives), picture)
    except Exception:  # each network that cannot run without data fails in its own way
        return Locality(None, 1)


class Spandrel(nn.Module):
    """Image (B, channels, H, W) in [0, 1] → features before the upsampler (B, out_channels, H, W), any range.

    Or, with ``gives: pixels``, the finished picture (B, C, s·H, s·W) with its pixels as channels, (B, C · s², H, W).
    A picture of a size that the network does not take is padded at the bottom and right as spandrel does it, and
    cropped again. The picture is not clamped, as spandrel's is.

    Source: the chaiNNer team, "spandrel", 2023, which has the code of all these networks.
    """

    def __init__(self, config: SpandrelConfig, channels: int) -> None:
        super().__init__()
        self.facts = config.facts
        self.gives = config.gives
        self.network = config.built()
        # A network on the meta device that is built to learn the number of its features has not got it yet.
        self.out_channels = config.out_channels(channels) if channels else 0

    def _apply(self, function: Any, recurse: bool = True) -> Spandrel:
        """Keep the weights contiguous, because some networks of spandrel take views of features that follow them.

        The function moves or converts a tensor. Flat ones have no other layout.
        """

        def on_flat(tensor: Tensor) -> Tensor:
            return function(tensor.flatten()).view(tensor.shape)

        return super()._apply(on_flat, recurse)  # type: ignore[no-untyped-call]  # PyTorch does not annotate it

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        if type(self.network).__name__ in ONE_BY_ONE and len(image) > 1:
            return torch.cat([self.forward(each) for each in image.split(1)])
        height, width = image.shape[-2:]
        whole = self._enlarged(image)
        if self.gives == "features":
            return self.tapped(whole)[..., :height, :width]
        scale = self.facts.scale
        picture = self.facts.call(self.network, whole)[..., : scale * height, : scale * width]
        return F.pixel_unshuffle(picture, scale)

    def tapped(self, image: Tensor) -> Tensor:
        """The features that arrive at the tap, for a picture of a size that the network takes."""
        try:
            self.facts.call(Direct(self.network), image)
        except Reached as reached:
            return reached.features
        raise RuntimeError("the network of spandrel ended before its upsampler")

    def _enlarged(self, image: Tensor) -> Tensor:
        """A contiguous copy, because some networks work in place: reflected, and then with the edge repeated."""
        facts = self.facts
        if facts.minimum <= 1 and facts.multiple == 1 and not facts.square:
            return image.clone(memory_format=torch.contiguous_format)
        height, width = image.shape[-2:]
        tall, wide = (-(-max(length, facts.minimum) // facts.multiple) * facts.multiple for length in (height, width))
        if facts.square:
            tall = wide = max(tall, wide)
        down, right = min(tall - height, height - 1), min(wide - width, width - 1)
        reflected = F.pad(image, (0, right, 0, down), "reflect")
        return F.pad(reflected, (0, wide - width - right, 0, tall - height - down), "replicate").contiguous()


SPANDREL = ComponentInfo(
    kind="encoder",
    name="spandrel",
    factory=Spandrel,
    config=SpandrelConfig,
    summary="any network of the spandrel library, its features or its finished picture",
    paper="none: the library is no paper; its networks have theirs",
    example={"architecture": "Compact", "hyperparameters": {"num_feat": 4, "num_conv": 1, "upscale": 2}},
    url="https://github.com/chaiNNer-org/spandrel",
)
