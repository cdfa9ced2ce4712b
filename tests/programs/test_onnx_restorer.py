"""A network in an ONNX file restores like the network itself, and a file that is none of ours is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import toolbox
from tests.parts import architecture, restorer_of
from tests.test_downstream import FAMILIES
from toolbox.errors import ImageError, SpecError, WeightsError
from toolbox.exporting.export import export
from toolbox.exporting.request import ExportRequest
from toolbox.images.engine.hardware import placed
from toolbox.images.engine.plan import make_plan
from toolbox.images.engine.reach import FixedTiling, reach_of
from toolbox.images.engine.request import Geometry, Request
from toolbox.images.engine.run import restore_tensor
from toolbox.images.engine.tiling import Tiling
from toolbox.programs.onnx_restorer import OnnxRestorer, open_onnx
from toolbox.restorer import Restorer

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

SHUFFLED = architecture("pixel-unshuffle", "residual-conv", channels=1)
NETWORKS: dict[str, tuple[dict[str, Any], ExportRequest]] = {
    "any-size": (FAMILIES["diinn-lite"], ExportRequest(any_size=True)),
    "same-size": (SHUFFLED, ExportRequest()),
    "double": (FAMILIES["rdn"], ExportRequest()),
    "baked": (FAMILIES["liif"], ExportRequest(1.5)),
    "told": (architecture("edsr", "residual-conv", conditions={"sigma": {"unit": 255}}), ExportRequest()),
    "whole": (FAMILIES["nlrn-whole"], ExportRequest()),
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Restorer, OnnxRestorer]]:
    """Each network, and the same in an ONNX file."""
    folder = tmp_path_factory.mktemp("programs")
    found = {}
    for name, (spec, request) in NETWORKS.items():
        restorer = restorer_of(spec).float()
        export(restorer, folder / f"{name}.onnx", request)
        found[name] = restorer, open_onnx(folder / f"{name}.onnx")
    return found


Pairs = dict[str, tuple[Restorer, OnnxRestorer]]


def same(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "told"])
def test_it_restores_like_the_network(pairs: Pairs, name: str) -> None:
    network, program = pairs[name]
    image = torch.rand(2, network.channels, 21, 18)
    asked: dict[str, Any] = {"scale": 1.5} if network.sizes == "any" else {}
    with torch.no_grad():
        same(program(image, **asked), network(image, **asked))
    assert program.receptive_field == network.receptive_field
    assert program.output_size(21, 18, **asked) == network.output_size(21, 18, **asked)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("any-size", (90, 120)),  # ×2 and ×2
        ("any-size", (75, 150)),  # 5 to 3, and 5 to 2
        ("any-size", (45, 90)),  # the height of the picture
        ("same-size", None),
        ("double", None),
    ],
)
def test_tiles_give_what_the_whole_gives(pairs: Pairs, name: str, size: tuple[int, int] | None) -> None:
    network, program = pairs[name]
    image = torch.rand(1, network.channels, 45, 60)
    target = size or network.output_size(45, 60)
    reach = reach_of(program, (45, 60), target)
    tiling = Tiling(8, reach.field or 0, reach.alignment)
    assert tiling.count(45, 60) > 1
    same(
        restore_tensor(program, image, target, tiling=tiling),
        restore_tensor(network, image, target),
    )


def test_a_ratio_that_no_pixels_share_is_restored_in_one_piece(pairs: Pairs) -> None:
    _, program = pairs["any-size"]
    reach = reach_of(program, (43, 61), (97, 127))
    assert Tiling(8, reach.field or 0, reach.alignment).count(43, 61) == 1


def test_a_program_of_one_tile_restores_any_picture_that_is_larger(tmp_path: Path) -> None:
    network = restorer_of(SHUFFLED).float()
    side = 2 * (network.receptive_field or 0) + 6
    export(network, tmp_path / "net.onnx", ExportRequest(tile=side))
    program = open_onnx(tmp_path / "net.onnx")
    for height, width in ((side, 3 * side + 2), (2 * side, side + 2)):
        image = torch.rand(1, 1, height, width)
        same(restore_tensor(program, image), restore_tensor(network, image))
    for height in (side - 2, side + 1):
        with pytest.raises(
            ImageError, match=rf"got a picture with a side of {height} px, expected at least {side}, in"
        ):
            restore_tensor(program, torch.rand(1, 1, height, 2 * side))


def test_fixed_tiles_cover_an_axis_exactly() -> None:
    for length in range(32, 200, 4):
        cut = FixedTiling(32, 6, 4).segments(length) if length % 4 == 0 else []
        assert [pixel for start, stop, _, _ in cut for pixel in range(start, stop)] == list(range(length))
        assert {outer_stop - outer_start for _, _, outer_start, outer_stop in cut} == {32}
        for start, stop, outer_start, outer_stop in cut:
            assert outer_start % 4 == 0
            assert start - outer_start >= 6 or outer_start == start == 0
            assert outer_stop - stop >= 6 or outer_stop == stop == length


def test_a_condition_is_a_number(pairs: Pairs) -> None:
    network, program = pairs["told"]
    image = torch.rand(1, 3, 20, 24)
    same(
        restore_tensor(program, image, conditions={"sigma": 25}),
        restore_tensor(network, image, conditions={"sigma": 25}),
    )
    with pytest.raises(SpecError, match="the network needs sigma"):
        program(image)
    with pytest.raises(SpecError, match=r"got a map for sigma, but told.onnx takes one number for each picture"):
        program(image, sigma=torch.ones(20, 24))


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        (
            "baked",
            {"scale": 2},
            r"got output size 20x16 for input 10x8, but baked.onnx has the scale 1.5x1.5; export the n",
        ),
        ("double", {"size": (10, 8)}, r"but double.onnx has the scale 2; the network does no other"),
        ("same-size", {"scale": 2}, r"but same-size.onnx keeps the size; the network does no other"),
        ("baked", {"scale": 1.5, "size": (15, 12)}, r"got size \(15, 12\) and scale 1.5, expected one of them"),
    ],
)
def test_another_size_is_refused(pairs: Pairs, name: str, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        pairs[name][1].output_size(10, 8, **asked)


def test_its_type_and_device_are_those_of_the_file(pairs: Pairs) -> None:
    _, program = pairs["double"]
    assert placed(program, "cpu", "float32") is program
    with pytest.raises(SpecError, match=r"double.onnx computes on cpu in float32; another type needs another export"):
        placed(program, None, "float64")


def test_less_memory_means_smaller_tiles(pairs: Pairs) -> None:
    _, program = pairs["any-size"]
    request = Request(Geometry(scale=2), max_memory="8GB")
    roomy = make_plan(program, (3, 2000, 2000), request)
    assert roomy.exact
    assert roomy.memory is not None
    assert roomy.seconds is not None
    tight = make_plan(program, (3, 2000, 2000), Request(Geometry(scale=2), max_memory=roomy.memory - 5e7))
    assert tight.tiles > roomy.tiles


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_public_call_takes_the_file(pairs: Pairs, kind: type[np.unsignedinteger[Any]]) -> None:
    network, program = pairs["double"]
    picture = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (9, 12, 4), dtype=kind)  # with alpha
    expected = toolbox.restore(picture, model=network).astype(int)
    restored = toolbox.restore(picture, model=program.path)
    assert restored.dtype == kind
    assert np.abs(restored - expected).max() <= max(1, np.iinfo(kind).max // 10_000)


def test_a_file_that_is_none_of_ours_is_refused(pairs: Pairs, tmp_path: Path) -> None:
    def changed(name: str, **texts: str | None) -> Path:
        model = onnx.load(pairs["double"][1].path)
        kept = {each.key: each.value for each in model.metadata_props} | {f"toolbox.{k}": v for k, v in texts.items()}
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, {key: value for key, value in kept.items() if value is not None})
        onnx.save(model, tmp_path / name)
        return tmp_path / name

    (tmp_path / "broken.onnx").write_bytes(b"no program")
    refused = {
        tmp_path / "missing.onnx": "no such ONNX file",
        tmp_path / "broken.onnx": "not a readable ONNX file: ",
        changed("foreign.onnx", spec=None): "no spec in its header; expected a file that Toolbox wrote",
        changed("newer.onnx", format="9"): "got format '9', expected 1; upgrade toolbox to read it",
        changed("stranger.onnx", plugins='{"rain": "1.0"}'): r"needs plugin rain \(written with version 1.0\)",
        changed("halo.onnx", receptive_field="-3"): "got -3 for toolbox.receptive_field in its metadata; export the n",
        changed("scale.onnx", scale=None): "got nothing for toolbox.scale in its metadata",
        changed("inputs.onnx", scale='"any"'): "got inputs image, expected image, height, width; export it again",
    }
    for path, message in refused.items():
        with pytest.raises(WeightsError, match=f"{path.name}: {message}"):
            open_onnx(path)


def test_without_onnx_runtime_it_says_what_to_install(pairs: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(WeightsError, match=r"needs ONNX Runtime, which is not installed; pip install 'toolbox-restora"):
        open_onnx(pairs["double"][1].path)
