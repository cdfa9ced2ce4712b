"""The restorer: encoder, decoder, normalization and the spec that they were built from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.close_names import did_you_mean
from toolbox.decoders.skip import REACH, resized
from toolbox.errors import SpecError
from toolbox.padding import alignment_of, cropped, padded
from toolbox.registry import Registries
from toolbox.resolve import resolve
from toolbox.spec import RESERVED, ArchitectureSpec

MOST_PIXELS = 2**30  # of an output; a larger one is a mistake that no memory holds


class Restorer(nn.Module):
    """A network for images in [0, 1], (B, channels, H, W), of any float type; output is not clamped.

    Build one with ``toolbox.build`` or ``toolbox.load``. ``torch.export`` and ``torch.compile`` trace it whole;
    batch, height, width and ``size`` may be dynamic. A trace has no loops: implicit decoders compute all positions at
    once, and attention all tiles, in memory that grows with the image.
    """

    mean: Tensor
    std: Tensor
    source: str | None = None  # hf://user/repo@COMMIT/file, if its weights are from the hub

    def __init__(self, spec: ArchitectureSpec) -> None:
        super().__init__()
        self.spec = spec
        self.padding = spec.padding
        self.training_record: dict[str, Any] = {}  # data, protocol, scores; stored in the weights file
        for name, value in (("mean", spec.normalization.mean), ("std", spec.normalization.std)):
            values = torch.tensor(value if isinstance(value, tuple) else [value])
            self.register_buffer(name, values.view(1, -1, 1, 1), persistent=False)
        self.encoder = spec.encoder.build(channels=spec.encoder_channels)
        promised = spec.encoder.config.out_channels(spec.encoder_channels)
        if self.encoder.out_channels != promised:
            raise SpecError(
                f"encoder {spec.encoder.name!r} has {self.encoder.out_channels} output channels, but its config "
                f"promised {promised}; this is a fault of plugin {spec.encoder.info.provider}"
            )
        more = {"image_channels": spec.channels} if spec.decoder.config.takes_image else {}
        self.decoder = spec.decoder.build(features=promised, channels=spec.decoded_channels, **more)
        # Convolutions and attention work on the channels of a pixel: 10 to 20 % faster than planes.
        self.to(memory_format=torch.channels_last)

    @property
    def channels(self) -> int:
        """Channels of the image: 1 is gray, 3 is RGB."""
        return self.spec.channels

    @property
    def receptive_field(self) -> int | None:
        """Radius in input pixels around an output pixel that it depends on; None for the whole image."""
        parts = [self.spec.encoder.config.receptive_field(), self.spec.decoder.config.receptive_field()]
        if None in parts:
            return None
        return max(sum(parts), 0 if self.sizes == "same" else REACH.get(self.spec.global_skip, 0))

    @property
    def runs_whole(self) -> bool:
        """Whether a tile goes through encoder and decoder at once, as in a program; else tiles are only encoded."""
        return False

    @property
    def memory_per_pixel(self) -> tuple[float, float] | None:
        """Bytes for each input pixel and for each output pixel of a tile, where a program's file says so."""
        return None

    def tile_reach(self, before: tuple[int, int], after: tuple[int, int]) -> tuple[int | None, int, int | None]:
        """The needs of a tile of a picture that becomes (height, width) ``after`` from ``before``.

        Returns:
            The radius that it sees, or None for the whole picture; the multiple at which it starts; and the only size
            that it may have, or None for any.
        """
        encoder = self.spec.encoder.config
        return encoder.receptive_field(), alignment_of(encoder), None

    @property
    def sizes(self) -> str | int:
        """The output sizes that the decoder accepts: ``"same"``, ``"any"``, or a fixed integer scale."""
        sizes: str | int = self.spec.decoder.config.sizes()
        return sizes

    @property
    def _own_scale(self) -> int:
        return self.sizes if isinstance(self.sizes, int) else 1

    def output_size(
        self,
        height: int,
        width: int,
        size: tuple[int, int] | None = None,
        scale: float | tuple[float, float] | None = None,
    ) -> tuple[int, int]:
        """The output (height, width) for an image of ``height`` × ``width``.

        Without size and scale, the decoder's own scale decides, or the size stays the same.

        Raises:
            SpecError: both were given, a value is not positive and finite, or the decoder does not
                accept the size.
        """
        own = self._own_scale
        if size is not None and scale is not None:
            raise SpecError(f"got size {size} and scale {scale}, expected one of them")
        if size is None:
            size = scaled_size(height, width, own if scale is None else scale)
        elif (
            not isinstance(size, (tuple, list))
            or len(size) != 2
            or not all(isinstance(n, (Integral, torch.SymInt)) and not isinstance(n, bool) and n > 0 for n in size)
        ):
            raise SpecError(f"got size {size}, expected (height, width), both positive integers")
        else:
            size = _count(size[0]), _count(size[1])
        if size[0] * size[1] > MOST_PIXELS:
            raise SpecError(f"got output size {size[0]}x{size[1]}, expected at most {MOST_PIXELS} pixels")
        if self.sizes != "any" and size != (own * height, own * width):
            accepted = "the size of the input" if own == 1 else f"scale {own}"
            raise SpecError(
                f"got output size {size[0]}x{size[1]} for input {height}x{width}, but decoder "
                f"{self.spec.decoder.name!r} expected {accepted}; an implicit decoder takes any size"
            )
        return size

    def forward(
        self,
        image: Tensor,
        size: tuple[int, int] | None = None,
        scale: float | tuple[float, float] | None = None,
        **conditions: float | Tensor,
    ) -> Tensor:
        """(B, channels, H, W) in [0, 1] → (B, output channels, *size), not clamped.

        Args:
            image: float tensor, on the network's device and of its dtype.
            size: output (height, width).
            scale: output size over input size, one number or (vertical, horizontal).
            conditions: the spec's ``conditions``, such as ``sigma=25``: a number, a tensor (B,) with one for each
                image, or a map (H, W) or (B, 1, H, W).

        Raises:
            SpecError: the image has another shape or type, the decoder does not accept the size, or a
                condition is missing.
        """
        if image.ndim != 4 or image.shape[1] != self.channels or not image.is_floating_point():
            raise SpecError(
                f"got {image.dtype} of shape {tuple(image.shape)}, expected a float tensor (B, {self.channels}, H, W)"
            )
        if 0 in image.shape:
            raise SpecError(f"got an empty image of shape {tuple(image.shape)}, expected at least one pixel")
        target = self.output_size(image.shape[2], image.shape[3], size, scale)
        return self.decode(self.encode(self.pad(self.with_conditions(image, conditions))), image, target)

    def with_conditions(self, image: Tensor, conditions: Mapping[str, float | Tensor]) -> Tensor:
        """The image (B, channels, H, W), followed by a map of each condition as the network sees it.

        Raises:
            SpecError: a condition is missing, unknown, or does not have the shape of the image.
        """
        check_conditions(self.spec, conditions)
        if not conditions:
            return image
        maps = [image]
        for name, condition in self.spec.conditions.items():
            value = torch.as_tensor(conditions[name], dtype=image.dtype, device=image.device) / condition.unit
            value = value.view(-1, 1, 1, 1) if value.ndim < 2 else value
            try:
                maps.append(value.expand(image.shape[0], 1, *image.shape[2:]))  # len() would fix the batch of a trace
            except RuntimeError:
                raise SpecError(
                    f"got {name} of shape {tuple(value.shape)} for images of {tuple(image.shape)}, expected a number, "
                    "one for each image, or a map (H, W)"
                ) from None
        return torch.cat(maps, 1)

    def pad(self, image: Tensor) -> Tensor:
        """The image (B, C, H, W), with or without conditions, padded at the bottom and right as the parts need it."""
        return padded(image, self.padding)

    def encode(self, image: Tensor) -> Tensor:
        """Padded image (B, channels, H, W) in [0, 1], followed by its conditions → features (B, C, H, W)."""
        features: Tensor = self.encoder(self._seen(image))
        return features

    def decode(self, features: Tensor, image: Tensor, size: tuple[int, int]) -> Tensor:
        """Features of the padded image, and the image itself → (B, output channels, *size).

        A decoder of the same size or a fixed scale decodes all features, and the result is cropped, as published
        networks do it. A decoder of any size gets only the features of the image, so that its positions are
        those of the image.
        """
        image = image[:, : self.channels]  # without conditions
        pads = self.padding.multiple > 1
        decoded_size = size
        if pads and self.sizes == "any":
            features = cropped(features, image.shape[-2], image.shape[-1])
        elif pads:
            decoded_size = self._own_scale * features.shape[-2], self._own_scale * features.shape[-1]
        image = _for_each_state(image, features)
        more = {}
        if self.spec.decoder.config.takes_image:  # of the size of the features
            more["image"] = self._seen(image if self.sizes == "any" else self.pad(image))
        decoded: Tensor = self.decoder(features, decoded_size, **more)
        if pads:
            decoded = cropped(decoded, *size)
        restored = decoded * self.std
        image = _for_each_state(image, restored)
        skip = self.spec.global_skip
        # Either the skip adds the mean with the input, or it was subtracted before and is added here.
        return restored.add_(self.mean if skip == "none" else resized(image, size, skip))

    def _seen(self, image: Tensor) -> Tensor:
        """The image as the network sees it, normalized; its conditions stay unchanged."""
        if image.shape[1] == self.channels:
            return (image - self.mean) / self.std
        image, maps = image[:, : self.channels], image[:, self.channels :]
        return torch.cat(((image - self.mean) / self.std, maps), 1)


def _for_each_state(image: Tensor, states: Tensor) -> Tensor:
    """The image once for each state of a recurrent network, which come one after the other in training."""
    return image.repeat(len(states) // len(image), 1, 1, 1) if states.shape[0] > image.shape[0] else image


def check_conditions(spec: ArchitectureSpec, conditions: Mapping[str, object]) -> None:
    """Refuse missing conditions, and those that the network does not have.

    Raises:
        SpecError: a condition is missing or unknown; the message describes it and how to give it.
    """
    for name, condition in spec.conditions.items():
        if name not in conditions:
            what = f" ({condition.description})" if condition.description else ""
            option = f"--{name} NUMBER" if name == "sigma" else f"--condition {name}=NUMBER"
            raise SpecError(
                f"the network needs {name}{what}, and got none; give {name}=NUMBER, or {option} on the command line"
            )
    for name in conditions:
        if name not in spec.conditions:
            taken = ", ".join(spec.conditions) or "no conditions"
            close = did_you_mean(name, [*spec.conditions, *RESERVED]) or "leave it out"
            raise SpecError(f"got {name!r}, but the network takes {taken}; {close}")


def scaled_size(height: int, width: int, scale: float | tuple[float, float]) -> tuple[int, int]:
    """(height, width) times a scale, halves rounded up, at least one pixel.

    Raises:
        SpecError: a scale is not a positive, finite number.
    """
    scales = scale if isinstance(scale, tuple) else (scale, scale)
    lengths = height, width
    if len(scales) != 2 or not all(
        isinstance(s, Real) and s > 0 and n * s < math.inf for n, s in zip(lengths, scales, strict=True)
    ):
        raise SpecError(f"got scale {scale!r}, expected a positive number or two of them")
    vertical, horizontal = (_scaled(n, s) for n, s in zip(lengths, scales, strict=True))
    return vertical, horizontal


def _scaled(length: Any, scale: float) -> Any:
    if isinstance(scale, int):  # a trace sees more of a product of integers than of rounding
        return length * scale
    return max(1, math.floor(length * scale + 0.5))


def _count(length: Any) -> Any:
    """A length as a plain integer; one that is traced remains a symbol."""
    return length if isinstance(length, torch.SymInt) else int(length)


def build(
    name_or_spec: str | Path | Mapping[str, Any] | ArchitectureSpec,
    *,
    registries: Registries | None = None,
    **overrides: Any,
) -> Restorer:
    """Build an untrained restorer.

    Args:
        name_or_spec: a name of the catalog, a spec as a mapping, the path of a YAML file with one
            spec, or a validated spec.
        registries: where to look up names; by default the installed ones.
        overrides: keys of the spec to change. Mappings are merged, as in
            ``build("nlrn", encoder={"steps": 3})``.

    Raises:
        UnknownComponent: no architecture has that name.
        SpecError: the spec is wrong; the message has the path to the fault.
    """
    return Restorer(resolve(name_or_spec, registries=registries, **overrides))
