"""Toolbox in ComfyUI: the node "Restore (Toolbox)", and Toolbox's files in ComfyUI's own node for upscaling."""

from toolbox.integrations.spandrel import install

from .nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

install()  # ComfyUI loads upscale models with spandrel, which then knows the files of `toolbox export --to spandrel`

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
