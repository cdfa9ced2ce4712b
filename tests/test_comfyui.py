"""The node package for ComfyUI: its mappings, its pictures, and Toolbox's files in the host's own loop over tiles."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import toolbox
from tests.parts import architecture, restorer_of
from toolbox.exporting.export import export
from toolbox.exporting.request import ExportRequest

spandrel = pytest.importorskip("spandrel")
PACKAGE = Path(__file__).parents[1] / "examples" / "comfyui-toolbox"
ANY = architecture("edsr", "local-ensemble")


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The package, imported as ComfyUI imports a folder of custom_nodes; spandrel's registry is restored later."""
    for field in ("_architectures", "_ordered", "_by_id"):
        monkeypatch.setattr(spandrel.MAIN_REGISTRY, field, getattr(spandrel.MAIN_REGISTRY, field))
    name = "custom_nodes_comfyui_toolbox"
    spec = importlib.util.spec_from_file_location(
        name, PACKAGE / "__init__.py", submodule_search_locations=[str(PACKAGE)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop(f"{name}.nodes", None)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "any.safetensors"
    toolbox.save(restorer_of(ANY).float(), path)
    return path


class Interrupted(Exception):
    """The user of the host pressed cancel."""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, weights: Path) -> SimpleNamespace:
    """The modules of ComfyUI that the nodes use, in the smallest form."""
    state = SimpleNamespace(bars=[], interrupts=False)

    class ProgressBar:
        def __init__(self, total: int) -> None:
            state.bars.append([])

        def update_absolute(self, value: int, total: int) -> None:
            state.bars[-1].append((value, total))

    def throw() -> None:
        if state.interrupts:
            raise Interrupted

    folders: Any = ModuleType("folder_paths")
    folders.get_filename_list = lambda folder: [weights.name] if folder == "upscale_models" else []
    folders.get_full_path = lambda folder, name: str(weights.parent / name)
    comfy, utils, management = ModuleType("comfy"), ModuleType("comfy.utils"), ModuleType("comfy.model_management")
    utils.ProgressBar = ProgressBar  # type: ignore[attr-defined]  # a stand-in
    management.throw_exception_if_processing_interrupted = throw  # type: ignore[attr-defined]  # the same
    for module in (folders, comfy, utils, management):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return state


def node(package: ModuleType) -> Any:
    return package.NODE_CLASS_MAPPINGS["ToolboxRestore"]()


def test_the_mappings_describe_a_node_that_the_host_can_call(package: ModuleType) -> None:
    assert package.NODE_CLASS_MAPPINGS.keys() == package.NODE_DISPLAY_NAME_MAPPINGS.keys()
    restore = node(package)
    inputs = restore.INPUT_TYPES()["required"]
    assert callable(getattr(restore, restore.FUNCTION))
    assert restore.RETURN_TYPES == ("IMAGE",)
    assert inputs["image"] == ("IMAGE",)
    assert {"automatic", "photo", "diinn-lite"} <= set(inputs["model"][0])
    assert package.NODE_DISPLAY_NAME_MAPPINGS["ToolboxRestore"] == "Restore (Toolbox)"


@pytest.mark.parametrize(
    ("asked", "size"), [({"scale": 2.5}, (30, 25)), ({"width": 17, "height": 40, "scale": 9.0}, (40, 17))]
)
def test_a_batch_goes_through_and_back(
    package: ModuleType, weights: Path, asked: dict[str, Any], size: tuple[int, int]
) -> None:
    images = torch.rand(2, 12, 10, 3)
    (restored,) = node(package).restore(images, str(weights), **asked)
    restorer = toolbox.load(weights)
    with torch.no_grad():
        expected = restorer(images.movedim(-1, 1), size=size).clamp(0, 1).movedim(1, -1)
    assert restored.shape == (2, *size, 3)
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=0)


def test_files_of_the_host_s_folder_are_found_and_the_bar_moves(
    package: ModuleType, host: SimpleNamespace, weights: Path
) -> None:
    restore = node(package)
    assert weights.name in restore.INPUT_TYPES()["required"]["model"][0]
    restore.restore(torch.rand(2, 8, 8, 3), weights.name, scale=2.0)
    (bar,) = host.bars
    shares = [value / total for value, total in bar]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_the_user_of_the_host_can_interrupt(package: ModuleType, host: SimpleNamespace, weights: Path) -> None:
    host.interrupts = True
    with pytest.raises(Interrupted):
        node(package).restore(torch.rand(1, 8, 8, 3), weights.name, scale=2.0)


def test_a_width_alone_is_refused(package: ModuleType, weights: Path) -> None:
    with pytest.raises(toolbox.ToolboxError, match=r"^got a width of 20 and a height of 0, expected both or none$"):
        node(package).restore(torch.rand(1, 8, 8, 3), str(weights), width=20)


def tiled(model: Any, image: Tensor, tile: int, overlap: int) -> Tensor:
    """The loop of the host's own node: overlapping tiles with soft edges, added and divided by their weights."""
    scale = model.scale
    total = torch.zeros(1, 3, scale * image.shape[2], scale * image.shape[3])
    weight = torch.zeros_like(total)
    for top in range(0, image.shape[2], tile - overlap):
        for left in range(0, image.shape[3], tile - overlap):
            top, left = min(top, max(image.shape[2] - tile, 0)), min(left, max(image.shape[3] - tile, 0))
            part = model(image[..., top : top + tile, left : left + tile])
            mask, feather = torch.ones_like(part), scale * overlap
            for step in range(feather):
                for edge in (mask[..., step, :], mask[..., -1 - step, :], mask[..., step], mask[..., -1 - step]):
                    edge.mul_((step + 1) / feather)
            inside = (
                ...,
                slice(scale * top, scale * top + part.shape[2]),
                slice(scale * left, scale * left + part.shape[3]),
            )
            total[inside] += part * mask
            weight[inside] += mask
    return total / weight


def test_the_host_s_own_node_takes_files_of_toolbox(package: ModuleType, tmp_path: Path) -> None:
    """It hands the tensors to spandrel, without a header, and restores in tiles."""
    restorer = restorer_of(ANY).float().eval()
    export(restorer, tmp_path / "double.safetensors", ExportRequest(2), to="spandrel")
    model = spandrel.ModelLoader().load_from_state_dict(load_file(tmp_path / "double.safetensors")).eval()
    assert isinstance(model, spandrel.ImageModelDescriptor)
    image, radius = torch.rand(1, 3, 60, 52), restorer.receptive_field
    assert radius is not None
    with torch.no_grad():
        expected = restorer(image, scale=2).clamp(0, 1)
    restored = tiled(model, image, tile=32, overlap=12)
    assert restored.shape == expected.shape
    # Soft edges blend the borders of tiles, which are not those of the picture, so the middle of a tile is exact.
    middle = slice(2 * radius, 2 * (32 - 12 - radius))
    torch.testing.assert_close(restored[..., middle, middle], expected[..., middle, middle], atol=1e-5, rtol=0)
    assert math.isclose(float(restored.mean()), float(expected.mean()), abs_tol=0.02)
