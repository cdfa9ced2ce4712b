"""What would go wrong later, or for somebody else, is refused at once and in words of ours."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any, cast

import pytest
import torch

import toolbox
from tests import plain
from tests.parts import component, installed_and
from toolbox.decoders.bicubic import BICUBIC
from toolbox.errors import ImageError, PluginError, SpecError
from toolbox.evaluation.metrics import psnr
from toolbox.records import ComponentInfo
from toolbox.resize import resize
from toolbox.resolve import resolve

IMAGE = {"channels": 3, "encoder": "identity", "decoder": "bicubic"}
NOBODY: Any = None


def refusal(spec: Any, **overrides: Any) -> str:
    with pytest.raises(SpecError) as caught:
        resolve(spec, **overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (component(NOBODY), r"got the encoder name None, expected some text"),
        (
            replace(component("x"), config=cast(Any, dict)),
            r"encoder 'x' has the config .* expected a subclass of EncoderConfig",
        ),
        (replace(component("x"), factory=NOBODY), r"encoder 'x' has the factory None, expected a callable"),
        (
            replace(BICUBIC, kind="encoder", name="x"),
            r"has the config .*BicubicConfig.*expected a subclass of EncoderConfig",
        ),
        (component("edsr", "recurrent-wrapper"), r"'edsr' of stranger has the name of an encoder of toolbox"),
    ],
    ids=["no name", "no config", "no factory", "a config of another kind", "a name of the same slot"],
)
def test_a_record_that_would_break_others_is_refused(record: ComponentInfo, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        installed_and(record)


def test_a_component_of_another_kind_is_told_its_kind() -> None:
    message = refusal({**IMAGE, "decoder": "nonlocal-residual"})
    assert message == "decoder.name: 'nonlocal-residual' is of kind transition, expected a component of kind decoder"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalization": {"std": 0}}, "normalization.std: got 0.0, expected positive, finite numbers"),
        ({"normalization": {"std": "x"}}, "normalization.std: got 'x', expected a valid number"),
        ({"decoder": {"name": "dual-interactive", "hidden": [0]}}, "decoder.hidden.0: got 0, expected greater than 0"),
        (
            {"encoder": {"name": "edsr", "residual_scale": math.inf}},
            "encoder.residual_scale: got inf, expected a finite",
        ),
        ({"encoder": {"name": "edsr", "preset": ["full"]}}, "encoder.preset: got ['full'], expected one of baseline"),
        ({"encoder": {"name": "edsr", "blocks": 10**9}}, "encoder.blocks: got 1000000000, expected less than or equal"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_value_out_of_range_is_told_the_range(changes: dict[str, Any], message: str) -> None:
    assert refusal({**IMAGE, **changes}).startswith(message)


@pytest.mark.parametrize(
    ("neighborhood", "message"),
    [
        ("whole", "neighborhood: got 'whole', expected a mapping"),
        ({"size": 3}, "neighborhood.kind: missing; this key is required"),
        ({"kind": "ring"}, "neighborhood.kind: got 'ring', expected one of 'window', 'top-k', 'whole'"),
    ],
)
def test_a_neighborhood_is_explained_in_words_of_ours(neighborhood: Any, message: str) -> None:
    block = {"name": "nl-means", "neighborhood": neighborhood}
    refused = refusal({**IMAGE, "encoder": {"name": "nonlocal", "nonlocal": block}, "decoder": "features"})
    assert refused == f"encoder.nonlocal.{message}"


def test_a_shorthand_can_be_overridden() -> None:
    spec = resolve({**IMAGE, "encoder": "edsr", "decoder": "residual-conv"}, encoder={"channels": 5})
    assert spec.encoder.config.channels == 5


@pytest.mark.parametrize("source", [3, None, ["nlrn"]], ids=str)
def test_what_is_no_spec_is_refused(source: Any) -> None:
    with pytest.raises(SpecError, match=r"^got a \w+, expected a name, a mapping, a YAML path or a spec$"):
        resolve(source)


@pytest.mark.parametrize("wish", [{"scale": "2"}, {"scale": [2, 2, 2]}, {"size": 5}, {"size": (True, 2)}], ids=str)
def test_what_is_no_size_is_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=re.compile(r"^got (scale|size) .*, expected")):
        toolbox.build(IMAGE)(torch.rand(1, 3, 4, 5), **wish)


def test_pictures_of_different_sizes_have_no_psnr() -> None:
    with pytest.raises(ImageError, match=r"expected the same$"):
        psnr(torch.rand(1, 3, 4, 5), torch.rand(1, 1, 4, 5))


@pytest.mark.parametrize("shape", [(4, 3), (6, 1), (8, 5)], ids=str)
def test_an_image_reduced_to_one_column_keeps_its_rows(shape: tuple[int, int]) -> None:
    image = torch.randn(1, 1, *shape, dtype=torch.float64)
    size = (shape[0] // 2, 1)
    torch.testing.assert_close(resize(image, size), plain.bicubic(image, size, antialias=True))
