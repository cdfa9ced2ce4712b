"""The node "Restore (Toolbox)": any network of Toolbox on the pictures of a workflow, at any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, ClassVar

import torch
from torch import Tensor

import toolbox

FOLDER = "upscale_models"  # of ComfyUI, with the files of other upscale models
AUTOMATIC = "automatic"  # Toolbox looks at each picture and chooses


class Restore:
    """Pictures (B, H, W, C) in [0, 1] → pictures (B, H', W', C) in [0, 1], as ComfyUI's type IMAGE has them."""

    RETURN_TYPES: ClassVar = ("IMAGE",)
    FUNCTION: ClassVar = "restore"
    CATEGORY: ClassVar = "image/upscaling"
    DESCRIPTION: ClassVar = "Cleans or enlarges pictures with a network of Toolbox, in tiles where memory is short."

    @classmethod
    def INPUT_TYPES(cls) -> Mapping[str, Any]:  # noqa: N802  # ComfyUI's name
        """The inputs, as ComfyUI shows them."""
        pixels = {"default": 0, "min": 0, "max": 65536}
        return {
            "required": {
                "image": ("IMAGE",),
                "model": (models(),),
                "scale": (
                    "FLOAT",
                    {"default": 2.0, "min": 0.0, "max": 16.0, "step": 0.01, "tooltip": "0: the model's"},
                ),
                "width": ("INT", {**pixels, "tooltip": "pixels; with the height, in place of the scale"}),
                "height": ("INT", {**pixels, "tooltip": "pixels; with the width, in place of the scale"}),
                "memory": ("FLOAT", {"default": 0.0, "min": 0.0, "step": 0.5, "tooltip": "GB for tiles; 0: all"}),
            }
        }

    def restore(
        self, image: Tensor, model: str, scale: float = 0.0, width: int = 0, height: int = 0, memory: float = 0.0
    ) -> tuple[Tensor]:
        """Restore every picture of a batch.

        Raises:
            ToolboxError: the network cannot be loaded, or does not do that size.
        """
        asked: dict[str, Any] = {}
        if (width > 0) != (height > 0):
            raise toolbox.ToolboxError(f"got a width of {width} and a height of {height}, expected both or none")
        if width:
            asked["size"] = (height, width)
        elif scale:
            asked["scale"] = scale
        if memory:
            asked["max_memory"] = memory * 1e9
        network = None if model == AUTOMATIC else toolbox.load(path_of(model))
        progress = progress_for(len(image))
        restored = [
            toolbox.restore(picture.movedim(-1, 0), network, progress=progress(number), **asked).movedim(0, -1)
            for number, picture in enumerate(image.float())
        ]
        return (torch.stack(restored).to(image.device),)


def models() -> list[str]:
    """The choices for a network: automatic, those that Toolbox ships, and the files in ComfyUI's folder."""
    shipped = [each.name for each in toolbox.list_architectures() if each.weights is not None]
    folders = part_of_comfyui("folder_paths")
    return [AUTOMATIC, *shipped, *(folders.get_filename_list(FOLDER) if folders else ())]


def path_of(model: str) -> str:
    """The path of a file in ComfyUI's folder; a name that Toolbox ships stays one."""
    folders = part_of_comfyui("folder_paths")
    if folders is not None and model in folders.get_filename_list(FOLDER):
        return str(folders.get_full_path(FOLDER, model))
    return model


def progress_for(count: int) -> Callable[[int], Callable[[int, int], None]]:
    """For the number of a picture, a function that moves ComfyUI's bar, and ends the work when its user does."""
    utils, management = part_of_comfyui("comfy.utils"), part_of_comfyui("comfy.model_management")
    bar = utils.ProgressBar(count) if utils else None

    def for_picture(number: int) -> Callable[[int, int], None]:
        def progress(done: int, steps: int) -> None:
            if management is not None:
                management.throw_exception_if_processing_interrupted()
            if bar is not None:
                bar.update_absolute(number * steps + done, count * steps)

        return progress

    return for_picture


def part_of_comfyui(name: str) -> Any:
    """A module of ComfyUI; None where this runs without it."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return None


NODE_CLASS_MAPPINGS = {"ToolboxRestore": Restore}
NODE_DISPLAY_NAME_MAPPINGS = {"ToolboxRestore": "Restore (Toolbox)"}
