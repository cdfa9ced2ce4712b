"""Every published format: told by its names, converted to the same network, refused where it does not add up."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import toolbox
from tests.parts import restorer_of
from tests.plugins.published_diinn import diinn
from tests.plugins.published_liif import liif
from tests.plugins.published_nlrn import nlrn
from tests.weights import published
from tests.weights.formats import FORMATS, VARIANTS
from tests.weights.published import Arrays
from toolbox.conversion import Checkpoint
from toolbox.discovery import PluginWarning, installed
from toolbox.errors import SpecError, ToolboxError, UnknownComponent, WeightsError
from toolbox.weights.convert import formats_of, recognize

formats = pytest.mark.parametrize("name", FORMATS)


def answers(restorer: toolbox.Restorer) -> Tensor:
    image = torch.rand(2, restorer.channels, 5, 4)
    with torch.inference_mode():
        return restorer(image)


def structure(restorer: toolbox.Restorer) -> dict[str, Any]:
    """The spec without what is said about it."""
    return restorer.spec.model_dump(mode="json", exclude={"summary", "paper"})


def same_network(converted: toolbox.Restorer, original: toolbox.Restorer) -> bool:
    """The same spec, and every weight that makes a difference, up to the rounding of a converter that rescales."""
    ours, theirs = converted.state_dict(), original.state_dict()
    assert structure(converted) == structure(original)
    assert ours.keys() == theirs.keys()
    return all(
        torch.allclose(ours[key], theirs[key], rtol=1e-6, atol=1e-7)
        for key in ours
        if not key.endswith("num_batches_tracked")
    )


# Recognizing and converting.


def test_every_registered_format_is_tested_here() -> None:
    assert sorted(FORMATS) == [converter.name for converter in installed().converters]


@formats
def test_a_format_is_recognized_from_its_names_alone(name: str) -> None:
    case = FORMATS[name]()
    recognized = recognize(case.arrays, hints=case.hints)
    assert recognized.converter.name == name
    assert recognized.checkpoint.tensors.keys() == case.arrays.keys()
    assert [each.name for each in formats_of(recognized.checkpoint, installed())] == [name]


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"spandrel", "toolbox-spandrel"}))  # of no single authors
def test_the_license_of_the_authors_weights_goes_along(name: str) -> None:
    stated = installed().converters[name].license
    assert stated
    case = FORMATS[name]()
    assert toolbox.convert(case.arrays, **case.hints).training_record["license"] == stated


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_published_network_is_converted_weight_for_weight(variant: str) -> None:
    case = VARIANTS[variant]()
    converted = toolbox.convert(case.arrays, **case.hints)
    assert same_network(converted, case.restorer)
    assert not converted.training
    torch.manual_seed(1)
    expected = answers(case.restorer)
    torch.manual_seed(1)
    torch.testing.assert_close(answers(converted), expected)


@formats
def test_naming_the_format_changes_nothing(name: str) -> None:
    case = FORMATS[name]()
    named = toolbox.convert(case.state_dict, format=name, **case.hints)
    assert same_network(named, toolbox.convert(case.arrays, **case.hints))
    assert named.training_record["converted_from"] == name


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_float_types_become_float32(dtype: type[np.floating[Any]]) -> None:
    case = published.edsr()
    converted = toolbox.convert({name: array.astype(dtype) for name, array in case.arrays.items()})
    expected = torch.from_numpy(case.arrays["head.0.weight"].astype(dtype).astype(np.float32))
    assert torch.equal(converted.state_dict()["encoder.head.weight"], expected)


@formats
def test_converting_leaves_the_arrays_and_the_random_state_alone(name: str) -> None:
    case = FORMATS[name]()
    before = {key: array.copy() for key, array in case.arrays.items()}
    state = torch.get_rng_state()
    restorer = toolbox.convert(case.arrays, **case.hints)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        for parameter in restorer.parameters():
            parameter.add_(1)
    assert all(np.array_equal(array, before[key]) for key, array in case.arrays.items())


# EDSR's mean shift.


def edsr_formula(arrays: Arrays, image: Tensor, white: float, mean: bool) -> Tensor:
    """EDSR-PyTorch's forward pass on images in [0, 1], from its own state dict."""
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}

    def conv(name: str, x: Tensor, padding: int = 1) -> Tensor:
        return F.conv2d(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], padding=padding)

    seen = conv("sub_mean", image * white, padding=0) if mean else image * white
    head = x = conv("head.0", seen)
    for block in range(2):
        x = x + conv(f"body.{block}.body.2", F.relu(conv(f"body.{block}.body.0", x)))
    x = F.pixel_shuffle(conv("tail.0.0", head + conv("body.2", x)), 2)
    x = conv("tail.1", x)
    return (conv("add_mean", x, padding=0) if mean else x) / white


@pytest.mark.parametrize("white", [1, 255])
def test_the_mean_shift_is_kept_as_it_is_in_the_file(white: int) -> None:
    arrays = published.edsr().arrays | published.mean_shift(white)
    image = torch.rand(1, 3, 6, 5)
    with torch.inference_mode():
        restored = toolbox.convert(arrays)(image)
    torch.testing.assert_close(restored, edsr_formula(arrays, image, white, mean=True), rtol=1e-4, atol=1e-5)


def test_a_mean_shift_in_the_file_can_be_left_out() -> None:
    arrays = published.edsr().arrays | published.mean_shift()
    image = torch.rand(1, 3, 6, 5)
    with torch.inference_mode():
        restored = toolbox.convert(arrays, mean_shift=False)(image)
    torch.testing.assert_close(restored, edsr_formula(arrays, image, 1, mean=False), rtol=1e-4, atol=1e-5)


def test_a_mean_shift_that_the_file_lacks_can_be_put_in() -> None:
    arrays = published.edsr().arrays
    image = torch.rand(1, 3, 6, 5)
    with torch.inference_mode():
        restored = toolbox.convert(arrays, mean_shift=True)(image)
    expected = edsr_formula(arrays | published.mean_shift(), image, 1, mean=True)
    torch.testing.assert_close(restored, expected, rtol=1e-4, atol=1e-5)


def test_a_mean_shift_that_mixes_channels_is_refused() -> None:
    shift = published.mean_shift()
    shift["sub_mean.weight"] = np.ones((3, 3, 1, 1), np.float32)
    with pytest.raises(WeightsError, match=r"as edsr: sub_mean is no shift and scale per channel$"):
        toolbox.convert(published.edsr().arrays | shift)


def test_the_full_edsr_multiplies_its_residuals_by_a_tenth() -> None:
    encoder = {"name": "edsr", "channels": 256, "blocks": 1, "residual_scale": 0.1}
    restorer: Any = restorer_of(
        {"channels": 3, "output_channels": 256, "encoder": encoder, "decoder": "features"}
    ).float()
    converted = toolbox.convert(published.as_stored(published.edsr_layers(restorer.encoder)))
    assert same_network(converted, restorer)


# Hints.


@pytest.mark.parametrize("modulation_input", ["modulation+content", "synthesis+content"])
def test_a_hint_that_is_needed_is_named_with_its_choices(modulation_input: str) -> None:
    choices = r"modulation_input='modulation\+content' or modulation_input='synthesis\+content'$"
    with pytest.raises(
        WeightsError, match=rf"diinn: its tensors do not determine modulation_input; give the hint {choices}"
    ):
        toolbox.convert(diinn(modulation_input=modulation_input).arrays)


@pytest.mark.parametrize(
    ("variant", "hint", "told"),
    [
        ("diinn-a", "synthesis+content", "modulation"),
        ("diinn-f", "modulation", "modulation+content or synthesis+content"),
        ("diinn-3x3", "modulation+content", "synthesis+content"),
    ],
)
def test_a_hint_that_the_file_contradicts_is_refused(variant: str, hint: str, told: str) -> None:
    message = f"diinn: got the hint modulation_input='{hint}', but the file says {told}"
    with pytest.raises(WeightsError, match=rf"{re.escape(message)}$"):
        toolbox.convert(VARIANTS[variant]().arrays, modulation_input=hint)


@pytest.mark.parametrize(
    ("name", "hints", "message"),
    [
        ("edsr", {"meanshift": True}, r"^hints for edsr: meanshift: unknown key; did you mean 'mean_shift'\?$"),
        ("edsr", {"mean_shift": "perhaps"}, r"^hints for edsr: mean_shift: got 'perhaps', expected a valid boolean"),
        ("rdn", {"scale": 2}, r"^hints for rdn: scale: unknown key"),
        ("liif", {"mode": 3}, r"^hints for liif: mode: unknown key"),
        ("metasr", {"propagation": "none"}, r"^hints for metasr: propagation: unknown key"),
        ("diinn", {"modulation_input": 3}, r"^hints for diinn: modulation_input: got 3, expected 'modulation', "),
        ("nlrn-tf", {"propagation": True}, r"^hints for nlrn-tf: propagation: got True, expected 'accumulate' or"),
    ],
)
def test_a_hint_that_is_unknown_or_wrong_is_refused(name: str, hints: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        toolbox.convert(FORMATS[name]().arrays, **hints)


def test_liif_s_local_ensemble_can_be_switched_off_by_a_hint() -> None:
    case = liif(local_ensemble=False)
    assert same_network(toolbox.convert(case.arrays, local_ensemble=False), case.restorer)


def test_a_window_that_is_even_is_refused() -> None:
    with pytest.raises(ToolboxError, match=r"got 44, expected an odd number$"):
        toolbox.convert(nlrn().arrays, neighborhood="window", window=44)


def test_nlrn_s_window_is_a_hint() -> None:
    converted = toolbox.convert(nlrn().arrays, neighborhood="window", window=7)
    assert "'size': 7" in str(structure(converted))


# What does not add up.


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "edsr"])
def test_a_format_that_is_another_s_is_refused(name: str) -> None:
    with pytest.raises(WeightsError, match=rf"the given tensors as {name}: "):
        toolbox.convert(published.edsr().arrays, format=name)


def test_an_unknown_format_is_refused_with_close_names() -> None:
    with pytest.raises(UnknownComponent, match=r"^unknown checkpoint format 'nlrn'; did you mean .*'nlrn-tf' \("):
        toolbox.convert(nlrn().arrays, format="nlrn")


def test_a_state_dict_of_another_network_is_refused_with_the_formats_there_are() -> None:
    arrays = {"layer1.0.conv1.weight": np.zeros((4, 3, 3, 3)), "fc.bias": np.zeros(10)}
    known = ", ".join(sorted(FORMATS))
    with pytest.raises(WeightsError, match=rf"its names fit no known format \({known}\); give the format"):
        toolbox.convert(arrays)


@pytest.mark.parametrize("half", ["rdn", "liif", "nlrn-tf", "diinn"])
def test_half_of_one_network_and_half_of_another_is_refused(half: str) -> None:
    one, other = list(published.edsr().arrays.items()), list(FORMATS[half]().arrays.items())
    mixed = dict(one[: len(one) // 2] + other[len(other) // 2 :])
    with pytest.raises(WeightsError, match=r"its names fit|missing|unexpected"):
        toolbox.convert(mixed)
    with pytest.raises(WeightsError, match=r"as edsr: .*(missing|unexpected)"):
        toolbox.convert(mixed, format="edsr")


def test_two_networks_in_one_file_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"its names fit several formats \(edsr, rdn\); give the format"):
        toolbox.convert(published.edsr().arrays | published.rdn().arrays)


def test_every_difference_is_listed_under_its_published_name() -> None:
    arrays = published.edsr().arrays
    for name in ("tail.1.bias", "body.0.body.2.weight"):
        del arrays[name]
    arrays |= {"zoom.bias": np.zeros(1), "extra.weight": np.zeros(1)}
    arrays["tail.0.0.bias"], arrays["body.1.body.0.bias"] = np.zeros(17), np.zeros(())
    complaint = (
        r"missing body\.0\.body\.2\.weight, tail\.1\.bias; unexpected extra\.weight, zoom\.bias; of another shape "
        r"body\.1\.body\.0\.bias \(got \[\], expected \[4\]\), tail\.0\.0\.bias \(got \[17\], expected \[16\]\)$"
    )
    with pytest.raises(WeightsError, match=complaint):
        toolbox.convert(arrays)


def test_a_long_list_of_differences_is_cut_short() -> None:
    arrays = published.edsr().arrays | {f"extra.{i}": np.zeros(1) for i in range(20)}
    with pytest.raises(WeightsError, match=r"unexpected extra\.0, .* and 12 more$"):
        toolbox.convert(arrays)


@formats
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(name: str, value: float) -> None:
    case = FORMATS[name]()
    key = next(key for key, array in case.arrays.items() if array.ndim == 4)
    case.arrays[key].flat[1] = value
    with pytest.raises(WeightsError, match=rf"as {name}: .*{key} has values that are not finite$"):
        toolbox.convert(case.arrays, **case.hints)


@formats
def test_no_tensor_can_be_missing(name: str) -> None:
    case = FORMATS[name]()
    unused = recognize(case.arrays, format=name, hints=case.hints).conversion.ignored
    for key in case.arrays.keys() - unused:
        rest = {other: array for other, array in case.arrays.items() if other != key}
        # Without a weight the rest may look like another network; a bias alone says nothing of the kind.
        with pytest.raises(WeightsError, match=re.escape(f"missing {key}") if key.endswith(("bias", "beta")) else None):
            toolbox.convert(rest, format=name, **case.hints)


@formats
def test_no_damage_to_a_state_dict_raises_anything_but_a_sentence(name: str) -> None:
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        case = FORMATS[name]()
        arrays = case.arrays
        for _ in range(rng.integers(1, 4)):
            key = str(rng.choice(list(arrays)))
            shape = list(arrays[key].shape)
            match rng.integers(5):
                case 0:
                    arrays.pop(key)
                case 1 if shape:
                    shape[rng.integers(len(shape))] = int(rng.integers(4))
                    arrays[key] = np.zeros(shape, np.float32)
                case 2:
                    arrays[key] = np.zeros(rng.integers(1, 4, rng.integers(6)), np.float32)
                case 3:
                    arrays[f"{key}.more"] = arrays[key]
                case _:
                    arrays[key] = arrays[key].astype(rng.choice(np.array(["int64", "float64", "bool"])))
        with contextlib.suppress(ToolboxError):
            toolbox.convert(arrays, format=name, **case.hints)
            continue
        refused += 1
    assert refused > 20


def test_a_stranger_s_format_that_fails_on_a_file_is_passed_over() -> None:
    def fails(checkpoint: Checkpoint) -> bool:
        raise KeyError(checkpoint.shape("stranger.weight"))

    found = dataclasses.replace(installed())
    found.add_plugin("stranger", converters=[dataclasses.replace(found.converters["rdn"], name="odd", recognize=fails)])
    arrays = FORMATS["rdn"]().arrays
    with pytest.warns(PluginWarning, match=r"^format odd of plugin stranger is passed over: WeightsError: missing"):
        assert recognize(arrays, hints={}, registries=found).converter.name == "rdn"
