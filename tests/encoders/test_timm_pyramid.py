"""timm's backbones: every family, any size, declared truthfully, and first weights from where the user says."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

import toolbox
from tests.parts import encoder_of, restorer_of
from toolbox.encoders.timm_pyramid import TimmConfig, TimmPyramid
from toolbox.errors import SpecError, WeightsError
from toolbox.images.engine.tiling import Tiling, encode_in_tiles, exact_tiling
from toolbox.resolve import resolve

# The model, the strides of its maps, what sizes are padded to, and how far a feature of all maps sees.
FAMILIES = {
    "resnet10t": ([2, 4, 8, 16, 32], 32, 162),
    "mobilenetv3_small_050": ([2, 4, 8, 16, 32], 32, None),
    "efficientnet_lite0": ([2, 4, 8, 16, 32], 32, 488),
    "tf_efficientnet_lite0": ([2, 4, 8, 16, 32], 32, 488),
    "convnext_atto": ([4, 8, 16, 32], 32, 614),
    "regnetx_002": ([2, 4, 8, 16, 32], 32, 334),
    "hrnet_w18_small": ([2, 4, 8, 16, 32], 32, 354),
    "edgenext_xx_small": ([4, 8, 16, 32], 32, None),
    "mobilevitv2_050": ([2, 4, 8, 16, 32], 256, None),
    "efficientvit_m0": ([16, 32, 64], 64, None),
    "vit_tiny_patch16_224": ([16, 16, 16], 16, None),
    "eva02_tiny_patch14_224": ([14, 14, 14], 14, None),
    "swin_tiny_patch4_window7_224": ([4, 8, 16, 32], 32, None),
    "maxvit_rmlp_pico_rw_256": ([2, 4, 8, 16, 32], 256, None),
    "pvt_v2_b0": ([4, 8, 16, 32], 32, None),
    "dla46_c": ([1, 2, 4, 8, 16, 32], 32, 206),
}


def config(model: str, **settings: Any) -> TimmConfig:
    spec = {"channels": 3, "encoder": {"name": "timm", "model": model, **settings}, "decoder": "residual-conv"}
    found: TimmConfig = resolve(spec).encoder.config
    return found


@pytest.mark.parametrize("model", FAMILIES)
def test_a_backbone_of_any_family_takes_any_size_and_is_as_declared(model: str) -> None:
    strides, step, radius = FAMILIES[model]
    settings = config(model, channels=6, stages=range(6) if model == "dla46_c" else ())  # timm itself begins at 1
    encoder = TimmPyramid(settings, 3).eval()
    maps = encoder.backbone(torch.rand(1, 3, step, step))
    heights = [each.shape[1 if encoder.channels_last else 2] for each in maps]
    assert [step // height for height in heights] == strides
    assert (settings.alignment(), settings.receptive_field()) == (step, radius)
    for size in ((37, 50), (1, 1)) if step < 256 else ((37, 50),):
        features = encoder(torch.rand(1, 3, *size))
        assert features.shape == (1, settings.out_channels(3), *size)
        assert features.isfinite().all()


@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_the_maps_are_fused_from_the_coarsest_to_the_image_itself(height: int, width: int) -> None:
    encoder = encoder_of({"name": "timm", "model": "test_resnet", "stages": [0, 1, 3], "channels": 4})
    image = torch.rand(1, 2, height, width, dtype=torch.float64)
    rows = [min(y, height - 1) for y in range(-(-height // 16) * 16)]
    columns = [min(x, width - 1) for x in range(-(-width // 16) * 16)]
    fine, middle, coarse = encoder.backbone(image[:, :, rows][..., columns])
    assert [len(rows) // each.shape[2] for each in (fine, middle, coarse)] == [2, 4, 16]

    def projected(number: int, features: torch.Tensor) -> torch.Tensor:
        lateral = encoder.lateral[number]
        return torch.einsum("oc,bchw->bohw", lateral.weight[:, :, 0, 0], features) + lateral.bias[:, None, None]

    def enlarged(features: torch.Tensor, factor: int) -> torch.Tensor:
        return F.interpolate(features, scale_factor=factor, mode="bilinear")

    sum_ = projected(1, middle) + enlarged(projected(2, coarse), 4)
    sum_ = enlarged(projected(0, fine) + enlarged(sum_, 2), 2)[:, :, :height, :width]
    expected = encoder.smooth(encoder.image(image) + sum_)
    torch.testing.assert_close(encoder(image), expected)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_of_any_channels_goes_in(channels: int) -> None:
    encoder = encoder_of({"name": "timm", "model": "test_efficientnet", "stages": [0], "channels": 5}, channels)
    assert encoder(torch.rand(2, channels, 9, 7, dtype=torch.float64)).shape == (2, 5, 9, 7)


@pytest.mark.parametrize("size", [(64, 65), (31, 90)], ids=lambda size: "x".join(map(str, size)))
def test_tile_by_tile_is_as_at_once(size: tuple[int, int]) -> None:
    spec = {"name": "timm", "model": "test_resnet", "stages": [0, 1], "channels": 3}
    restorer = restorer_of({"channels": 1, "encoder": spec, "decoder": "residual-conv"})
    image = torch.rand(1, 1, *size, dtype=torch.float64)
    tiling = exact_tiling(restorer.spec.encoder.config, 16)
    assert (tiling.halo, tiling.alignment) == (22, 4)
    with torch.inference_mode():
        whole = restorer.encode(image)
        torch.testing.assert_close(encode_in_tiles(restorer, image, tiling, lambda: None), whole, rtol=1e-9, atol=1e-9)
        narrow = encode_in_tiles(restorer, image, Tiling(16, 8, 4), lambda: None)
        assert not torch.allclose(narrow, whole)


# What is refused, before any tensor exists.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "resnet81"}, r"^encoder\.model: timm has no model 'resnet81'; did you mean 'resnet\w+', "),
        (
            {"model": "resnet18.a9"},
            r"^encoder\.model: timm has no weights 'a9' of 'resnet18', expected one of .*a1_in1k",
        ),
        ({"model": "qqqqqqq"}, r"^encoder\.model: timm has no model 'qqqqqqq'; expected one of its \d+$"),
        ({"model": "hf-hub:timm/resnet18.a1_in1k"}, r"^encoder\.model: timm has no model 'hf-hub:timm/"),
        ({"model": "local-dir:."}, r"^encoder\.model: timm has no model 'local-dir:\.'"),
        ({}, r"^encoder\.model: missing; this key is required$"),
        ({"model": 3}, r"^encoder\.model: got 3, expected a valid string$"),
        ({"model": "coatnet_nano_rw_224"}, r"^encoder\.model: timm's 'coatnet_nano_rw_224' takes pictures of its own "),
        (
            {"model": "mixer_s32_224"},
            r"^encoder\.model: timm's 'mixer_s32_224' (gives no feature maps|takes pictures of its own) ",
        ),
        (
            {"model": "resnet18", "stages": [1, 5]},
            r"^encoder\.stages: got 5, expected a stage of 'resnet18', from 0 to 4$",
        ),
        ({"model": "resnet18", "stages": [-1]}, r"^encoder\.stages: got -1, expected a stage of 'resnet18', from 0 "),
        ({"model": "resnet18", "stages": [2, 1]}, r"^encoder\.stages: got \[2, 1\], expected each number once, in "),
        ({"model": "resnet18", "stages": [1, 1]}, r"^encoder\.stages: got \[1, 1\], expected each number once, in "),
        ({"model": "resnet18", "chanels": 8}, r"^encoder\.chanels: unknown key; did you mean 'channels'\?$"),
        ({"model": "resnet18", "pretrained": False}, r"^encoder\.pretrained: got False, expected "),
    ],
)
def test_what_cannot_be_is_refused_in_the_spec(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 3, "encoder": {"name": "timm", **settings}, "decoder": "residual-conv"})


def test_a_stored_spec_names_its_stages() -> None:
    assert config("dla34").stages == (1, 2, 3, 4, 5)
    assert config("vit_tiny_patch16_224", stages=[2, 5]).stages == (2, 5)


def test_validating_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    assert config("test_byobnet").receptive_field() is None  # it has not been asked for before
    assert torch.equal(torch.get_rng_state(), before)


def test_timm_is_imported_for_this_component_alone() -> None:
    code = "import sys, toolbox; toolbox.list_components(); toolbox.build({!r}); print('timm' in sys.modules)"
    spec: dict[str, Any] = {"channels": 3, "encoder": "identity", "decoder": "bicubic"}
    command = [sys.executable, "-c", code.format(spec)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == "False"


# First weights.


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Weights of a whole timm model, classifier and all, as timm publishes them."""
    path = tmp_path / "published.safetensors"
    model = timm.create_model("test_resnet")
    save_file({name: tensor + 0.01 for name, tensor in model.state_dict().items()}, path)
    return path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, published: Path) -> list[tuple[str, str]]:
    """A hub that has one file; what it is asked for."""
    asked: list[tuple[str, str]] = []

    def download(repository: str, file: str) -> str:
        asked.append((repository, file))
        return str(published)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return asked


def spec_with(pretrained: Any, model: str = "test_resnet", channels: int = 3) -> dict[str, Any]:
    encoder = {"name": "timm", "model": model, "stages": [0, 2], "channels": 4, "pretrained": pretrained}
    return {"channels": channels, "encoder": encoder, "decoder": "residual-conv"}


def holds(restorer: toolbox.Restorer, path: Path) -> bool:
    """Whether the backbone has a file's weights, by timm's own way of reading it."""
    model: Any = timm.create_model("test_resnet", checkpoint_path=str(path)).double().eval()
    image = torch.rand(1, 3, 32, 32, dtype=torch.float64)
    wanted = model.forward_intermediates(image, indices=[0, 2], intermediates_only=True)
    given = restorer.double().eval().encoder.backbone(image)
    return all(torch.allclose(mine, theirs) for mine, theirs in zip(given, wanted, strict=True))


def test_a_backbone_starts_with_the_weights_of_a_file(published: Path, hub: list[tuple[str, str]]) -> None:
    assert holds(toolbox.build(spec_with(str(published))), published)
    assert not holds(toolbox.build(spec_with(None)), published)
    assert hub == []


def test_a_backbone_starts_with_the_weights_of_the_hub(published: Path, hub: list[tuple[str, str]]) -> None:
    assert holds(toolbox.build(spec_with(True)), published)
    assert hub == [("timm/test_resnet.r160_in1k", "model.safetensors")]


def test_weights_for_color_are_adapted_to_gray(published: Path) -> None:
    gray = toolbox.build(spec_with(str(published), channels=1)).eval().encoder.backbone
    color = toolbox.build(spec_with(str(published))).eval().encoder.backbone
    image = torch.rand(1, 1, 32, 32)
    for mine, theirs in zip(gray(image), color(image.expand(-1, 3, -1, -1)), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_nobody_is_asked_before_there_are_tensors(hub: list[tuple[str, str]]) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(spec_with(True))
        toolbox.build(spec_with("nowhere.safetensors"))
    assert all(parameter.is_meta for parameter in restorer.parameters())
    assert hub == []


def test_saved_weights_need_no_others(tmp_path: Path, hub: list[tuple[str, str]]) -> None:
    wrapped = spec_with(True)
    wrapped["encoder"] = {"name": "pixel-unshuffle", "encoder": {**wrapped["encoder"], "channels": 8}}
    for number, spec in enumerate((spec_with(True), wrapped)):
        restorer, path = toolbox.build(spec).eval(), tmp_path / f"{number}.safetensors"
        assert "'pretrained': True" in str(restorer.spec.model_dump())
        toolbox.save(restorer, path)
        hub.clear()
        loaded = toolbox.load(path)
        with safe_open(path, "pt") as file:
            header = json.loads(file.metadata()["toolbox.spec"])
        toolbox.build(header)
        assert hub == []
        assert '"pretrained": true' not in json.dumps(header)
        image = torch.rand(1, 3, 20, 30)
        torch.testing.assert_close(loaded(image), restorer(image))


def test_a_file_that_claims_to_need_others_is_loaded_without(tmp_path: Path, hub: list[tuple[str, str]]) -> None:
    toolbox.save(toolbox.build(spec_with(None)), tmp_path / "mine.safetensors")
    with safe_open(tmp_path / "mine.safetensors", "pt") as file:
        metadata = {**file.metadata()}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no mapping
    metadata["toolbox.spec"] = metadata["toolbox.spec"].replace('"pretrained":null', '"pretrained":true')
    assert '"pretrained":true' in metadata["toolbox.spec"]
    save_file(tensors, tmp_path / "theirs.safetensors", metadata)
    toolbox.load(tmp_path / "theirs.safetensors")
    assert hub == []


def test_a_hub_that_cannot_be_reached_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(repository: str, file: str) -> str:
        raise ConnectionError("no route\nto the host")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    expected = (
        r"^the weights timm/resnet18\.a1_in1k/model\.safetensors cannot be fetched \(no route\); give the path of a "
        r"safetensors file as pretrained, or leave it out$"
    )
    with pytest.raises(WeightsError, match=expected):
        toolbox.build(spec_with(True, "resnet18"))


def test_a_model_without_weights_on_the_hub_is_said(hub: list[tuple[str, str]]) -> None:
    with pytest.raises(WeightsError, match=r"^timm has no weights of 'regnetz_005' on its hub; give the path of"):
        toolbox.build(spec_with(True, "regnetz_005"))
    assert hub == []


def test_a_file_of_another_network_is_refused(published: Path) -> None:
    with pytest.raises(WeightsError, match=r"published\.safetensors: does not fit timm's 'test_vit': missing "):
        toolbox.build(spec_with(str(published), "test_vit"))
    with pytest.raises(
        WeightsError, match=r"does not fit timm's 'test_efficientnet': size mismatch for bn1\.weight: .*$"
    ):
        toolbox.build(spec_with(str(published), "test_efficientnet"))


def test_a_file_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    tensors = timm.create_model("test_resnet").state_dict()
    lacking = next(name for name in tensors if name.startswith("layer1"))
    save_file({name: tensor for name, tensor in tensors.items() if name != lacking}, tmp_path / "less.safetensors")
    with pytest.raises(WeightsError, match=rf"does not fit timm's 'test_resnet': missing {lacking}$"):
        toolbox.build(spec_with(str(tmp_path / "less.safetensors")))


def test_what_is_no_safetensors_file_is_refused_and_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    for content in (pickle.dumps(Trap()), b"", b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"weights\.pth: not a readable safetensors file: "):
            toolbox.build(spec_with(str(path)))
    for missing in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(WeightsError, match=r": not a readable safetensors file: "):
            toolbox.build(spec_with(str(missing)))


class Trap:
    """What runs when it is unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("unpickled",)
