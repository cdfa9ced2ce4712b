"""Parity with the published code: its outputs on drawn weights, and on one checkpoint as it was published.

Where the published code has a quirk that changes numbers, the goldens have it too:

- DIINN picks the nearest feature pixel by torch's ``nearest-exact``. Where the center of an output pixel falls on the
  edge of two feature pixels, which it does at odd output sizes, float32 rounding decides.
- LIIF computes its coordinates in float32. At the border of odd scales both pixels of an axis are the same one, its
  area is zero but for rounding, and that rounding weighs the other axis.
- Meta-SR measures the offset between top-left corners, and takes the vertical scale for both axes.
- NLRN shares its convolutions between states, but not its batch norm: 3 per state, numbered through, epsilon 1e-3.
  Its correlation is accumulated before the softmax, over the whole input.
- EDSR comes with the mean shift in its state dict whether its code uses it or not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import toolbox
from tests.shared import goldens, reference

NAMES = (
    "diinn_decoder_only",
    "diinn_mode1",
    "diinn_mode1_initq",
    "diinn_mode2",
    "diinn_mode2_initq",
    "diinn_mode3",
    "diinn_mode3_initq",
    "diinn_mode4",
    "edsr_baseline_x2",
    "edsr_baseline_x4",
    "edsr_meanshift_x2",
    "edsr_meanshift_x3",
    "edsr_meanshift_x4",
    "liif_edsr_published",
    "liif_rdn",
    "metasr_rdn",
    "nlrn_v0_t12",
    "nlrn_v0_t3",
    "nlrn_v0_t4_noprop",
    "rdn_a_x2",
    "rdn_a_x3",
    "rdn_a_x4",
    "rdn_b_features",
)
TOLERANCE = 1e-4  # of the largest reference value
MODES = {1: "modulation", 2: "modulation+content", 3: "synthesis+content", 4: "synthesis+content"}


def case_of(name: str) -> Any:
    reference("goldens", f"{name}.npz")
    return goldens()["load_case"](name)


def hints_of(case: Any) -> dict[str, Any]:
    """The format, and what the state dict of the case cannot tell."""
    model, arguments = case.meta["model"], case.meta["args"]
    if model == "NLRN":
        propagation = "accumulate" if arguments["propagation"] else "none"
        return {"format": "nlrn-tf", "propagation": propagation, "neighborhood": "whole"}
    if model in ("DIINN", "ImplicitDecoder"):
        return {"format": "diinn", "modulation_input": MODES[arguments["mode"]]}
    if model == "EDSR":
        return {"format": "edsr", "mean_shift": arguments["mean_shift"]}
    return {"format": model.lower()}


def converted(case: Any) -> toolbox.Restorer:
    weights = reference(case.meta["weights"]) if "weights" in case.meta else case.weights()
    return toolbox.convert(weights, **hints_of(case))


def outputs(case: Any, restorer: toolbox.Restorer) -> dict[str, np.ndarray[Any, Any]]:
    """What the restorer makes of the case's input, in the range and layout of the published network."""
    image = torch.from_numpy(case.input)
    model = case.meta["model"]
    results = {}
    with torch.inference_mode():
        for key in case.outputs:
            size = tuple(int(n) for n in key.split("x")) if "x" in key else None
            if model == "NLRN":  # sees 0 to 255, NHWC; its output is what is added to the input
                picture = image.permute(0, 3, 1, 2) / 255
                result = ((restorer(picture) - picture) * 255).permute(0, 2, 3, 1)
            elif model in ("DIINN", "LIIF", "MetaSR"):  # see (x − 0.5) / 0.5
                result = restorer((image + 1) / 2, size=size) * 2 - 1
            else:  # EDSR and RDN see the image, DIINN's decoder alone sees features
                result = restorer(image, size=size)
            results[key] = result.numpy()
    return results


def largest_difference(ours: np.ndarray[Any, Any], published: np.ndarray[Any, Any]) -> float:
    """As a fraction of the largest published value."""
    assert ours.shape == published.shape
    return float(np.abs(ours - published).max() / np.abs(published).max())


def test_every_case_is_here() -> None:
    assert goldens()["case_names"]() == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_output_equals_the_published_code_s(name: str) -> None:
    case = case_of(name)
    results = outputs(case, converted(case))
    assert results
    for key, result in results.items():
        assert largest_difference(result, case.outputs[key]) <= TOLERANCE, key


@pytest.mark.parametrize(
    "name",
    [
        "diinn_decoder_only",
        "diinn_mode3",
        "edsr_baseline_x2",
        "edsr_meanshift_x4",
        "liif_edsr_published",
        "nlrn_v0_t3",
        "nlrn_v0_t4_noprop",
    ],
)
def test_a_converted_file_gives_the_same_output(name: str, tmp_path: Path) -> None:
    case, path = case_of(name), tmp_path / "converted.safetensors"
    restorer = converted(case)
    toolbox.save(restorer, path)
    loaded = toolbox.load(path)
    path.unlink()  # 90 MB, for some
    assert loaded.spec == restorer.spec
    before, after = outputs(case, restorer), outputs(case, loaded)
    for key, published in case.outputs.items():
        assert np.array_equal(after[key], before[key]), key
        assert largest_difference(after[key], published) <= TOLERANCE, key


# That the goldens would notice.


def test_batch_norm_of_another_state_misses_the_golden() -> None:
    case = case_of("nlrn_v0_t3")
    weights = case.weights()
    shared = {
        name: weights[name.replace("normalization_3", "normalization").replace("normalization_6", "normalization")]
        if name.startswith("model/rnn/batch_normalization")
        else array
        for name, array in weights.items()
    }
    (result,) = outputs(case, toolbox.convert(shared, **hints_of(case))).values()
    assert largest_difference(result, case.outputs["residual"]) > TOLERANCE


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("nlrn_v0_t3", {"propagation": "none"}),
        ("nlrn_v0_t3", {"neighborhood": "window", "window": 15}),
        ("nlrn_v0_t4_noprop", {"propagation": "accumulate"}),
        ("diinn_decoder_only", {"modulation_input": "modulation+content"}),
        ("edsr_baseline_x2", {"mean_shift": True}),
        ("edsr_meanshift_x2", {"mean_shift": False}),
    ],
)
def test_another_hint_misses_the_golden(name: str, change: dict[str, Any]) -> None:
    case = case_of(name)
    for key, result in outputs(case, toolbox.convert(case.weights(), **{**hints_of(case), **change})).items():
        assert largest_difference(result, case.outputs[key]) > TOLERANCE, key
