"""Networks of spandrel: their files, their features, and the sentences where something does not fit."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import toolbox
from tests.plugins.tiny_spandrel import TINY
from toolbox.errors import SpecError, WeightsError
from toolbox.restorer import Restorer
from toolbox.testing import check_component

spandrel = pytest.importorskip("spandrel")

from toolbox_spandrel import library  # noqa: E402  # it needs spandrel
from toolbox_spandrel.encoder import ONE_BY_ONE, SPANDREL, SpandrelConfig  # noqa: E402
from toolbox_spandrel.taps import TAPS  # noqa: E402

IDS = [name for _, name, _ in TINY]
COMPACT: dict[str, Any] = {"num_feat": 4, "num_conv": 1, "upscale": 4}
CLOSE = 1e-5


def built(architecture: str, name: str, settings: dict[str, Any]) -> nn.Module:
    """spandrel's network with weights that differ from place to place and from those of another call."""
    torch.manual_seed(1)
    with library.quiet():
        network = library.networks_of(architecture)[name](**settings).eval()
    for parameter in network.parameters():
        if parameter.requires_grad and parameter.is_floating_point():
            nn.init.normal_(parameter, std=0.05)
    return network


def saved(network: nn.Module, path: Path) -> Path:
    tensors = {name: tensor.clone().contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, path)
    return path


def spec_of(architecture: str, name: str, settings: dict[str, Any], **more: Any) -> dict[str, Any]:
    encoder = {"name": "spandrel", "architecture": architecture, "network": name, "hyperparameters": settings}
    return {"channels": 3, "encoder": encoder, "decoder": "conv", **more}


# Files.


@pytest.mark.parametrize(("architecture", "name", "settings"), TINY, ids=IDS)
def test_a_file_gives_what_spandrel_gives_also_from_a_weights_file(
    architecture: str, name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    path = saved(built(architecture, name, settings), tmp_path / "theirs.safetensors")
    with library.quiet():
        theirs = spandrel.ModelLoader().load_from_file(path)
    restorer = toolbox.convert(path, format="spandrel")
    assert restorer.spec.encoder.config.architecture == theirs.architecture.id == architecture
    toolbox.save(restorer, tmp_path / "ours.safetensors")
    path.unlink()
    again = toolbox.load(tmp_path / "ours.safetensors")
    assert again.spec == restorer.spec
    for height, width in ((30, 26), (17, 40)):
        image = torch.rand(1, 3, height, width)
        with torch.no_grad(), library.quiet():
            expected = theirs(image.clone())
            assert expected.std() > 0  # clamped to one value, anything would be equal
            for each in (restorer, again):
                torch.testing.assert_close(each(image).clamp(0, 1), expected, atol=CLOSE, rtol=0)


@pytest.mark.parametrize("wrapped", [lambda state: state, lambda state: {"params_ema": state}, lambda s: {"net": s}])
def test_a_checkpoint_that_only_spandrel_knows_is_loaded_and_restores(
    wrapped: Callable[[dict[str, Tensor]], dict[str, Any]], tmp_path: Path
) -> None:
    network, path = built("Compact", "SRVGGNetCompact", COMPACT), tmp_path / "4x-compact.pth"
    torch.save(wrapped(network.state_dict()), path)
    restorer = toolbox.load(path)
    assert restorer.training_record == {"converted_from": "spandrel"}
    assert (restorer.sizes, restorer.receptive_field) == (4, 3)
    picture = np.random.default_rng(0).random((300, 280, 3), dtype=np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].clamp(0, 1).permute(1, 2, 0).numpy()
    restored = toolbox.restore(picture, model=path)  # in tiles of 256 px
    np.testing.assert_allclose(restored, expected, atol=CLOSE)
    assert toolbox.restore(picture[:64, :64], model=[path, "bicubic"], scale=2.5).shape == (160, 160, 3)
    deep = (picture[:32, :32] * 65535).astype(np.uint16)
    assert toolbox.restore(deep, model=path).dtype == np.uint16


def test_a_format_of_our_own_comes_first(tmp_path: Path) -> None:
    settings = {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 4, "upscale": 2}
    restorer = toolbox.load(saved(built("SPAN", "SPAN", settings), tmp_path / "span.safetensors"))
    assert restorer.spec.encoder.name == "span"


def test_old_names_of_esrgan_s_tensors_are_translated(tmp_path: Path) -> None:
    network = built("ESRGAN", "RRDBNet", {"num_filters": 4, "num_blocks": 2, "scale": 1})
    new = {"model.0": "conv_first", "model.1.sub.2": "conv_body", "model.2": "conv_hr", "model.4": "conv_last"}
    tensors = {}
    for name, tensor in network.state_dict().items():
        place, _, kind = name.rpartition(".")
        place = place.replace("model.1.sub.", "body.").replace("RDB", "rdb").removesuffix(".0")
        tensors[f"{new.get(name.rpartition('.')[0], place)}.{kind}"] = tensor
    assert "body.1.rdb3.conv5.weight" in tensors
    save_file(tensors, tmp_path / "new.safetensors")
    restorer, image = toolbox.load(tmp_path / "new.safetensors"), torch.rand(1, 3, 9, 8)
    with torch.no_grad():
        torch.testing.assert_close(restorer(image), network(image), atol=CLOSE, rtol=0)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    state = built("Compact", "SRVGGNetCompact", COMPACT).state_dict()
    torch.save({"params": state, "extra": Attack()}, tmp_path / "evil.pth")
    (tmp_path / "evil.ckpt").write_bytes(pickle.dumps(Attack()))
    for name in ("evil.pth", "evil.ckpt"):
        with pytest.raises(WeightsError, match=r"holds more than tensors|is a pickle"):
            toolbox.load(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_a_network_that_needs_a_mask_is_refused() -> None:
    spec = spec_of("LaMa", "LaMa", {})
    with pytest.raises(SpecError, match=r"encoder\.hyperparameters: spandrel's 'LaMa' needs a mask"):
        toolbox.build(spec)


# Features.

FEATURES = [each for each in TINY if each[1] in TAPS]


def first_part(network: nn.Module, name: str) -> nn.Module:
    """The part of a whole network that its features go to."""
    children = dict(network.named_children())
    path, _, number = next(path for path in TAPS[name] if path.partition(":")[0] in children).partition(":")
    return [*children[path].children()][int(number)] if number else children[path]


@pytest.mark.parametrize(("architecture", "name", "settings"), FEATURES, ids=[name for _, name, _ in FEATURES])
def test_features_are_those_that_go_into_the_upsampler(architecture: str, name: str, settings: dict[str, Any]) -> None:
    whole, seen = built(architecture, name, settings), []
    first_part(whole, name).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    restorer = toolbox.build(spec_of(architecture, name, settings)).eval()
    tapped = restorer.encoder.network
    # FDAT's own load_state_dict reads a buffer of its upsampler.
    nn.Module.load_state_dict(tapped, {key: whole.state_dict()[key] for key in tapped.state_dict()})
    image, call = torch.rand(2, 3, 64, 64), restorer.encoder.facts.call
    with library.quiet():
        features = restorer.encoder(image)
        with torch.no_grad():
            for each in image.split(1 if name in ONE_BY_ONE else 2):
                call(whole, each.clone())
    torch.testing.assert_close(features.detach(), torch.cat(seen)[..., :64, :64], atol=CLOSE, rtol=0)
    with library.quiet():
        restorer.train()(image).square().mean().backward()
        call(whole.train(), (image[:1] if name in ONE_BY_ONE else image).clone()).square().mean().backward()
    unused = {key for key, each in tapped.named_parameters() if each.grad is None}
    assert unused <= {key for key, each in whole.named_parameters() if each.grad is None}


def test_features_see_as_far_as_their_convolutions() -> None:
    compact = toolbox.build(spec_of("Compact", "SRVGGNetCompact", {**COMPACT, "num_conv": 5}))
    assert compact.spec.encoder.config.receptive_field() == 6
    esrgan = SpandrelConfig(architecture="ESRGAN", hyperparameters={"num_filters": 4, "num_blocks": 2}, gives="pixels")
    # The first convolution, fifteen in each block, the one behind, and the four at ×2 and ×4, which see two pixels.
    assert esrgan.receptive_field() == 1 + 2 * 15 + 1 + 2
    span = {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 4}
    ours = toolbox.build({"channels": 3, "encoder": {"name": "span", "channels": 4, "blocks": 6}, "decoder": "conv"})
    theirs = toolbox.build(spec_of("SPAN", "SPAN", span))
    assert theirs.receptive_field == ours.receptive_field


def test_a_network_that_sees_the_whole_picture_says_so() -> None:
    settings = next(settings for _, name, settings in TINY if name == "SwinIR")
    assert toolbox.build(spec_of("SwinIR", "SwinIR", settings)).receptive_field is None


def test_features_give_any_scale_under_an_implicit_decoder() -> None:
    decoder = {"name": "local-ensemble", "hidden": [8]}
    restorer = toolbox.build(spec_of("Compact", "SRVGGNetCompact", COMPACT, decoder=decoder))
    assert restorer(torch.rand(1, 3, 8, 9), scale=2.5).shape == (1, 3, 20, 23)


@pytest.mark.parametrize("gives", ["features", "pixels"])
def test_a_component_of_each_form_keeps_the_rules(gives: str) -> None:
    check_component(SPANDREL, {**SPANDREL.example, "gives": gives})


# Sentences.


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"architecture": "Compct"},
            r"^encoder\.architecture: got 'Compct', expected one of spandrel's: ATD, ",
        ),
        ({"network": "Other"}, r"^encoder\.network: got 'Other', expected one of SRVGGNetCompact$"),
        ({"architecture": "PLKSR", "network": ""}, r"^encoder\.network: got '', expected one of PLKSR, RealPLKSR$"),
        (
            {"hyperparameters": {"width": 4}},
            r"^encoder\.hyperparameters\.width: unknown key; expected one of num_in_ch",
        ),
        (
            {"architecture": "SPAN", "network": "SPAN", "hyperparameters": {}},
            r"^encoder\.hyperparameters\.num_in_ch: missing; this key is required$",
        ),
        (
            {"hyperparameters": {"num_feat": "many"}},
            r"^encoder\.hyperparameters: spandrel cannot build 'SRVGGNetCompact' with these settings: ",
        ),
        (
            {"architecture": "FFTformer", "network": "FFTformer", "hyperparameters": {"dim": 8}},
            r"^encoder\.gives: got 'features', expected pixels, since .* of 'FFTformer' have no known end$",
        ),
        (
            {"architecture": "ESRGAN", "network": "RRDBNet", "hyperparameters": {"in_nc": 12, "shuffle_factor": 2}},
            r"^encoder\.gives: got 'features', expected pixels, since .* do not have the size of the picture$",
        ),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, Any], sentence: str) -> None:
    spec = spec_of("Compact", "SRVGGNetCompact", {})
    with pytest.raises(SpecError, match=sentence):
        toolbox.build({**spec, "encoder": {**spec["encoder"], **change}})


def test_a_decoder_that_does_not_fit_the_pixels_is_refused() -> None:
    spec = spec_of("Compact", "SRVGGNetCompact", COMPACT, decoder={"name": "depth-to-space", "scale": 2})
    spec["encoder"]["gives"] = "pixels"
    with pytest.raises(SpecError, match=r"decoder: got 48 channels, expected 12: 3 for each of 2² pixels"):
        toolbox.build(spec)


def test_without_spandrel_everything_else_works_and_a_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(built("Compact", "SRVGGNetCompact", COMPACT), tmp_path / "4x.safetensors")
    monkeypatch.setattr(library, "is_installed", lambda: False)
    with pytest.raises(WeightsError, match=r"as spandrel: .*; pip install 'toolbox-restoration\[spandrel\]'$"):
        toolbox.load(path)
    with pytest.raises(SpecError, match=r"^encoder\.architecture: .*; pip install 'toolbox-restoration\[spandrel\]'$"):
        toolbox.build(spec_of("Compact", "SRVGGNetCompact", {}))
    assert isinstance(toolbox.load("bicubic"), Restorer)
