"""Picture files: read whole or refused with a sentence, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from toolbox.errors import ImageError
from toolbox.files import written_beside

DIRECT_MODES = ("L", "RGB", "LA", "RGBA", "I;16")  # what restoring works on; others are converted
SAVE_OPTIONS = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"quality": 95}}


def read_picture(path: Path) -> Image.Image:
    """A picture, upright, in one of DIRECT_MODES: gray, RGB, either with alpha, or 16-bit gray.

    Raises:
        ImageError: the file is missing, is not a picture, or is damaged.
    """
    try:
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
    except UnidentifiedImageError:
        raise ImageError(f"{path}: not a picture in a format that can be read") from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path}: refused: {error}") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror or error}") from None
    # Decoders raise whatever they meet in a damaged file.
    except Exception as error:
        raise ImageError(f"{path}: a damaged picture: {error}") from None
    return direct(upright)


def direct(image: Image.Image) -> Image.Image:
    """The picture in one of DIRECT_MODES; others are converted without losing alpha."""
    if image.mode in ("1", "L", "RGB") and image.has_transparency_data:  # one color stands for it
        return image.convert("RGBA" if image.mode == "RGB" else "LA")
    if image.mode in DIRECT_MODES:
        return image
    if image.mode.startswith("I;16"):  # the same in another byte order
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    if image.mode in ("I", "F"):
        raise ImageError(f"got a picture of mode {image.mode!r}, expected 8-bit gray or color, or 16-bit gray")
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def check_writable(path: Path) -> None:
    """Refuse a target before any work is done for it.

    Raises:
        ImageError: its suffix names no picture format that can be written, or its folder is missing.
    """
    if _format(path) is None:
        raise ImageError(f"{path}: no picture format has the suffix {path.suffix!r}; use .png, .jpg, .tif or .webp")
    try:
        in_folder, is_folder = path.parent.is_dir(), path.is_dir()
    except OSError as error:  # a name that is too long
        raise ImageError(f"{path}: cannot be written: {error.strerror}") from None
    if not in_folder:
        raise ImageError(f"{path}: the folder {path.parent} does not exist; make it first")
    if is_folder:
        raise ImageError(f"{path}: is a folder, expected the name of a picture file")


def write_picture(image: Image.Image, path: Path) -> None:
    """Write a picture in the format of the path's suffix; JPEG at quality 95.

    Raises:
        ImageError: it cannot be written, or the format cannot hold it; what was there is untouched.
    """
    check_writable(path)
    kind = _format(path)
    try:
        with written_beside(path) as partial:
            image.save(partial, format=kind, **SAVE_OPTIONS.get(kind or "", {}))
    # Encoders raise whatever they meet in a picture that their format cannot hold.
    except Exception as error:
        raise ImageError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None


def _format(path: Path) -> str | None:
    kind = Image.registered_extensions().get(path.suffix.lower())
    return kind if kind in Image.SAVE else None
