"""Every way of breaking the contract is caught, and the message says which rule was broken."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, field_serializer
from torch import Tensor, nn

from tests.testing.broken import Broken
from toolbox.config import DecoderConfig, EncoderConfig, NonLocalConfig, TransitionConfig
from toolbox.decoders.coordinates import Positions, nearest
from toolbox.decoders.implicit import Content, ImplicitDecoder
from toolbox.errors import ConformanceError
from toolbox.records import ComponentInfo
from toolbox.spec import EncoderSpec
from toolbox.testing import RULES, RuleCase, check_component

pytestmark = pytest.mark.usefixtures("process_restored")


class GoodConfig(EncoderConfig):
    """Settings of an encoder that keeps every rule."""

    width: int = Field(default=3, gt=0)

    def out_channels(self, channels: int) -> int:
        return self.width

    def receptive_field(self) -> int | None:
        return 1


class Good(nn.Module):
    """(B, channels, H, W) → (B, width, H, W). Source: none."""

    def __init__(self, config: Any, channels: int) -> None:
        super().__init__()
        self.out_channels: int = config.width
        self.conv = nn.Conv2d(channels, config.width, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, width, H, W)."""
        return self.conv(image)


def encoder(factory: Any = Good, config: Any = GoodConfig, **more: Any) -> ComponentInfo:
    return ComponentInfo(
        "encoder",
        **{"name": "broken", "summary": "for a test", "paper": "none", **more},
        factory=factory,
        config=config,
    )


def forward(change: Callable[[Good, Tensor], Tensor]) -> ComponentInfo:
    """The good encoder with another forward."""

    class Changed(Good):
        """(B, channels, H, W) → (B, width, H, W)."""

        def forward(self, image: Tensor) -> Tensor:
            return change(self, image)

    return encoder(Changed)


def built(change: Callable[[Any], None]) -> ComponentInfo:
    """The good encoder with something done at the end of its constructor."""

    class Changed(Good):
        """(B, channels, H, W) → (B, width, H, W)."""

        def __init__(self, config: Any, channels: int) -> None:
            super().__init__(config, channels)
            change(self)

    return encoder(Changed)


def sees(radius: int | None) -> ComponentInfo:
    """The good encoder with another declared receptive field."""

    class Config(GoodConfig):
        """Settings."""

        def receptive_field(self) -> int | None:
            return radius

    return encoder(config=Config)


# Configs.


class NoDocstring(GoodConfig):
    pass


class Undescribed(GoodConfig):
    """One setting without a default and without a word."""

    depth: int


class Impossible(GoodConfig):
    """Its default is no number of channels."""

    width: int = -3


class Lossy(GoodConfig):
    """What is written is not what was read."""

    strength: float = 0.125

    @field_serializer("strength")
    def _short(self, strength: float) -> float:
        return round(strength, 1)


class Anything(GoodConfig):
    """A setting without a type."""

    extra_setting: Any = None


class Generator(GoodConfig):
    """A setting that JSON has no word for."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    generator: torch.Generator | None = None


class Lenient(GoodConfig):
    """Takes any key."""

    model_config = ConfigDict(extra="ignore")


class Fluid(GoodConfig):
    """Can be changed later."""

    model_config = ConfigDict(frozen=False)


class Wider(GoodConfig):
    """Promises more channels than come."""

    def out_channels(self, channels: int) -> int:
        return self.width + 1


# Modules.


class NoShapes(Good):
    """An encoder."""

    def forward(self, image: Tensor) -> Tensor:
        """Forward."""
        return self.conv(image)


class NoModule:
    """(B, channels, H, W) → (B, width, H, W)."""

    def __init__(self, config: Any, channels: int) -> None:
        self.out_channels = config.width

    def __call__(self, image: Tensor) -> Tensor:
        return image[:, :1].expand(-1, self.out_channels, -1, -1)


class Growing(Good):
    """(B, channels, H, W) → (B, width, H, W), with more weights each time it is built."""

    made = 0

    def __init__(self, config: Any, channels: int) -> None:
        super().__init__(config, channels)
        Growing.made += 1
        self.scale = nn.Parameter(torch.ones(Growing.made))


class Extra(Good):
    """(B, channels, H, W) → (B, width, H, W), with more in its state dict than tensors."""

    def get_extra_state(self) -> Any:
        return {"version": 2}

    def set_extra_state(self, state: Any) -> None:
        pass


class Half(Good):
    """(B, channels, H, W) → (B, width, H, W), by blocks of two pixels."""

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        means = F.avg_pool2d(F.pad(self.conv(image), (0, width % 2, 0, height % 2), mode="replicate"), 2)
        return F.interpolate(means, scale_factor=2)[..., :height, :width]


class HalfConfig(GoodConfig):
    """Sees one pixel more, and says nothing of its blocks."""

    def receptive_field(self) -> int | None:
        return 2


def seeded(self: Good) -> None:
    torch.manual_seed(0)
    nn.init.normal_(self.conv.weight)


def hidden(self: Any) -> None:
    self.conv.bias = None
    self.shift = torch.rand(3, 1, 1)
    self.register_forward_hook(lambda module, inputs, output: output + self.shift.to(output))


def drawn_elsewhere(self: Good) -> None:
    with torch.no_grad():
        self.conv.weight.copy_(torch.from_numpy(np.random.rand(*self.conv.weight.shape)))  # noqa: NPY002


def environment(self: Good, image: Tensor) -> Tensor:
    os.environ["BROKEN"] = str(random.random())  # noqa: S311
    return self.conv(image)


def paired(image: Tensor) -> Tensor:
    """Each even column and the one on its right become alike, so that parts must begin at an even column."""
    return image[..., ::2].repeat_interleave(2, -1)[..., : image.shape[-1]]


# Other kinds.


class AnyConfig(DecoderConfig):
    """Takes any size."""

    def sizes(self) -> Any:
        return "any"

    def receptive_field(self) -> int | None:
        return 1

    def check_join(self, features: int, channels: int) -> None:
        if features != channels:
            raise ValueError("other channels")


class Doubling(nn.Module):
    """(B, C, H, W) → (B, C, 2·H, 2·W), whatever was asked for."""

    def __init__(self, config: Any, features: int, channels: int) -> None:
        super().__init__()

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(features, scale_factor=2)


class Averaging(ImplicitDecoder):
    """(B, C, H, W) → (B, C, *size); what it prepares has the mean of all rows taken off, which it does not say."""

    def __init__(self, config: Any, features: int, channels: int) -> None:
        super().__init__()

    def prepare(self, features: Tensor) -> Tensor:
        return (features - features.mean((2, 3), keepdim=True)).permute(0, 2, 3, 1)

    def sample(self, content: Content, positions: Positions) -> Tensor:
        rows, columns = (
            nearest(axis, outputs, count)
            for axis, outputs, count in zip(
                (positions.y, positions.x), positions.counts, (content.height, content.width), strict=True
            )
        )
        return content.at(rows, columns)


class Gridded(Averaging):
    """(B, C, H, W) → (B, C, *size), brighter where it is asked for a grid."""

    def prepare(self, features: Tensor) -> Tensor:
        return features.permute(0, 2, 3, 1)

    def sample(self, content: Content, positions: Positions) -> Tensor:
        return super().sample(content, positions) + 0.1 * (positions.y.ndim - 1)


class BlockConfig(NonLocalConfig):
    """No settings."""

    def receptive_field(self) -> int | None:
        return 0


class Block(nn.Module):
    """(B, C, H, W) → the same."""

    def __init__(self, config: Any, channels: int) -> None:
        super().__init__()

    def forward(self, features: Tensor, correlation: Any) -> Any:
        return features


class Forgetful(Block):
    """(B, C, H, W) → the same; its correlation is of another shape when it comes again."""

    def forward(self, features: Tensor, correlation: Any) -> Any:
        return (features if correlation is None else features[..., 1:]), features


class StepConfig(TransitionConfig):
    """Three channels."""

    channels: int = 3

    def receptive_field(self) -> int | None:
        return 0


class Step(nn.Module):
    """(B, C, H, W) → the same, in the state that it was given."""

    def __init__(self, config: Any, steps: int) -> None:
        super().__init__()

    def forward(self, state: Tensor, stem: Tensor, correlation: Any, step: int) -> Any:
        return state.mul_(2), None


class Holder(BaseModel):
    """Hides a component from the network."""

    part: EncoderSpec


class Hiding(GoodConfig):
    """Settings with a component in a model that is no Config."""

    holder: Holder


BROKEN = [
    Broken("name", "record", encoder(name="My Encoder"), r"got the name 'My Encoder', expected lower-case words"),
    Broken("summary", "record", encoder(summary="A net."), r"got the summary 'A net\.', expected one line without"),
    Broken("paper", "record", encoder(paper=""), r"got no paper, expected who published it"),
    Broken("link", "record", encoder(url="http://example.org"), r"got the url 'http://example.org', expected one that"),
    Broken("factory", "record", encoder(factory=None), r".* has the factory None, expected a callable"),
    Broken("taken name", "record", encoder(name="edsr"), r".* is already provided by toolbox; rename one of them"),
    Broken("no shapes", "docstring", encoder(NoShapes), r"the docstrings say no shapes"),
    Broken("no source", "docstring", encoder(Half, HalfConfig, paper="X, CVPR 2030"), r"the docstring names no source"),
    Broken("config's docstring", "docstring", encoder(config=NoDocstring), r"NoDocstring has no docstring"),
    Broken("undescribed", "defaults", encoder(config=Undescribed), r"the setting 'depth' has neither", {"depth": 1}),
    Broken("no default", "defaults", encoder(config=Impossible), r"decoder: features got -3 channels", {"width": 3}),
    Broken("wrong example", "example", encoder(example={"depth": 1}), r"encoder\.depth: unknown key; "),
    Broken("no example", "example", encoder(config=Undescribed), r"encoder\.depth: missing; ", {"depth": 1}),
    Broken("lossy JSON", "json", encoder(config=Lossy), r"got .*0\.1.* back, expected"),
    Broken("growing", "json", encoder(Growing), r"the same settings build other tensors"),
    Broken(
        "holder",
        "parts",
        encoder(config=Hiding),
        r"the component 'identity' in the settings is not among the parts",
        {"holder": {"part": "identity"}},
    ),
    Broken("any type", "schema", encoder(config=Anything), r"the setting 'extra_setting' may be anything"),
    Broken("no JSON type", "schema", encoder(config=Generator), r"PydanticInvalidForJsonSchema"),
    Broken("lenient", "strict-config", encoder(config=Lenient), r"Lenient has extra='ignore', expected 'forbid'"),
    Broken("fluid", "strict-config", encoder(config=Fluid), r"Fluid has frozen=False, expected True"),
    Broken("no module", "module", encoder(NoModule), r"the factory gives a NoModule, expected a torch\.nn\.Module"),
    Broken(
        "field",
        "module",
        built(lambda self: setattr(self, "receptive_field", 7)),
        r"the module's receptive_field is 7, its config's 1",
    ),
    Broken(
        "wider", "channels", encoder(config=Wider), r"encoder 'broken' has 3 output channels, but its config promis"
    ),
    Broken(
        "more channels",
        "channels",
        forward(lambda self, image: self.conv(image).repeat(1, 2, 1, 1)),
        r"got 6 channels out of 1, expected 3",
    ),
    Broken(
        "valid",
        "sizes",
        forward(lambda self, image: self.conv(image)[..., 1:]),
        r"got \(6, 6\) for a picture of \(6, 7\)",
    ),
    Broken(
        "reflection",
        "sizes",
        forward(lambda self, image: self.conv(F.pad(image, (1, 1, 1, 1), "reflect"))[..., 1:-1, 1:-1]),
        r"RuntimeError: .*[Pp]adding",
    ),
    Broken(
        "root", "sizes", forward(lambda self, image: self.conv(image) + (-image[:, :1]).log()), r"got values that are"
    ),
    Broken(
        "always double",
        "sizes",
        ComponentInfo("decoder", "broken", Doubling, AnyConfig, "for a test", "none"),
        r"got \(12, 14\) for a picture of \(6, 7\), expected \(19, 7\)",
    ),
    Broken(
        "no pair",
        "correlation",
        ComponentInfo("nonlocal-block", "broken", Block, BlockConfig, "for a test", "none"),
        r"got a Tensor, expected \(features, correlation\)",
    ),
    Broken(
        "second state",
        "correlation",
        ComponentInfo("nonlocal-block", "broken", Forgetful, BlockConfig, "for a test", "none"),
        r"got features of shape \(1, 3, 6, 6\), expected \(1, 3, 6, 7\)",
    ),
    Broken("too short a sight", "receptive-field", sees(0), r"got 0, but an output pixel sees at least 1 pixels far"),
    Broken("too long a sight", "receptive-field", sees(9), r"got 9, but no output pixel sees farther than 1"),
    Broken("not the whole", "receptive-field", sees(None), r"got None, the whole picture, but no output pixel"),
    Broken("blocks", "alignment", encoder(Half, HalfConfig), r"a part's features and the whole picture's differ by"),
    Broken(
        "pairs of columns",
        "tiles",
        forward(lambda self, image: self.conv(paired(image))),
        r"features of tiles and those of the whole picture differ by",
    ),
    Broken(
        "a grid is another thing",
        "positions",
        ComponentInfo("decoder", "broken", Gridded, AnyConfig, "for a test", "none"),
        r"points and the grid that they are of differ by",
    ),
    Broken(
        "mean of the rows at hand",
        "bands",
        ComponentInfo("decoder", "broken", Averaging, AnyConfig, "for a test", "none"),
        r"narrow bands and the whole differ by",
    ),
    Broken(
        "mean of the batch",
        "batch",
        forward(lambda self, image: self.conv(image - image.mean(0))),
        r"pictures of a batch and the same alone differ by",
    ),
    Broken(
        "strides",
        "memory-layout",
        forward(lambda self, image: self.conv(image) + image.stride(3)),
        r"a picture that is not contiguous and",
    ),
    Broken(
        "in place",
        "input-unchanged",
        forward(lambda self, image: self.conv(image.mul_(2))),
        r"the features that go in are",
    ),
    Broken(
        "the state",
        "input-unchanged",
        ComponentInfo("transition", "broken", Step, StepConfig, "for a test", "none"),
        r"the features that go in are changed in place",
    ),
    Broken("float32", "dtype", forward(lambda self, image: self.conv(image).float()), r"got torch\.float32, expected"),
    Broken(
        "constant",
        "device",
        forward(lambda self, image: self.conv(image) * torch.linspace(0, 1, image.shape[-1]).to(image.dtype)),
        r".*devices, cuda:0 and cpu",
    ),
    Broken("attribute", "device", built(hidden), r".*"),
    Broken("to the CPU", "device", forward(lambda self, image: self.conv(image).cpu()), r".*devices, cpu and cuda:0"),
    Broken(
        "dropout",
        "deterministic",
        forward(lambda self, image: F.dropout(self.conv(image))),
        r"the same picture gave two results",
    ),
    Broken(
        "another dice", "deterministic", built(drawn_elsewhere), r"encoder\.conv\.weight differs between two networks"
    ),
    Broken("hidden", "state-dict", built(hidden), r"a network that loaded a state dict and the first differ by"),
    Broken("extra state", "weights-file", encoder(Extra), r"AttributeError: 'dict' object has no attribute 'detach'"),
    Broken(
        "detached", "gradients", forward(lambda self, image: self.conv(image).detach()), r"the result has no gradient"
    ),
    Broken(
        "idle",
        "gradients",
        built(lambda self: setattr(self, "idle", nn.Parameter(torch.ones(1)))),
        r"no gradient reaches encoder\.idle",
    ),
    Broken(
        "not the picture",
        "gradients",
        forward(lambda self, image: self.conv(image.detach())),
        r"no gradient reaches the picture",
    ),
    Broken(
        "a branch on values",
        "export",
        forward(lambda self, image: self.conv(image) if image.mean() > 0 else image),
        r"GuardOnDataDependentSymNode",
    ),
    Broken(
        "one height",
        "export",
        forward(lambda self, image: self.conv(image) + int(image.shape[2]) - image.shape[2]),
        r"UserError: Constraints violated \(L\['image'\]\.size\(\)\[2\]\)",
    ),
    Broken(
        "something else in a trace",
        "export",
        forward(lambda self, image: self.conv(image) + torch.compiler.is_compiling()),
        r"the program for 1 pictures of 11x5 and the network differ by",
    ),
    Broken(
        "an operation that ONNX lacks",
        "onnx",
        forward(lambda self, image: torch.lgamma(2 + self.conv(image).square())),
        r"encoder .* cannot be exported: encoder \(",
    ),
    Broken("seeded", "global-state", built(seeded), r"building it seeds torch's random numbers"),
    Broken(
        "draws",
        "global-state",
        forward(lambda self, image: self.conv(image) + 0 * torch.rand(1).to(image)),
        r"in eval mode it draws from torch's random numbers",
    ),
    Broken("environment", "global-state", forward(environment), r"it changes Python's random state, the environment"),
    Broken(
        "plain", "plain", encoder(plain=lambda module, image: module(image) + 1e-3), r"the component and its plain v"
    ),
]


RULE = {rule.name: rule for rule in RULES}


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_a_broken_component_is_told_the_rule_that_it_breaks(broken: Broken) -> None:
    broken.is_told_by(RuleCase(RULE[broken.rule], broken.info, broken.settings), broken.info.kind)


def test_each_rule_that_a_component_breaks_has_a_line() -> None:
    with pytest.raises(ConformanceError) as caught:
        check_component(encoder(NoShapes, Lenient))
    told = re.findall(r"^encoder 'broken' breaks the rule ([\w-]+): ", str(caught.value), re.MULTILINE)
    assert told == ["docstring", "strict-config"]
    with pytest.raises(ConformanceError) as caught:
        check_component(encoder(NoShapes, name="My Encoder"))  # with a wrong record the other rules say nothing
    assert len(str(caught.value).splitlines()) == 1


def test_every_rule_is_broken_by_one_of_them() -> None:
    assert {broken.rule for broken in BROKEN} == {rule.name for rule in RULES}


def test_the_encoder_that_the_broken_ones_are_made_of_keeps_every_rule() -> None:
    check_component(encoder())
    check_component(encoder(), {"width": 5})
