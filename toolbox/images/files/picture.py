"""Read and write picture files as PIL images."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from toolbox.images.files.formats import check_writable, format_of
from toolbox.images.files.metadata import Metadata, metadata_of
from toolbox.images.files.page import Page, page_of_bands
from toolbox.images.files.reading import opened, pixels_of
from toolbox.images.files.writing import kept_whole, write_pages
from toolbox.pixels import eight_bits

__all__ = [
    "check_writable",
    "image_of",
    "page_of",
    "read_picture",
    "read_pixels",
    "with_info_of",
    "write_array",
    "write_picture",
]

DIRECT_MODES = ("L", "RGB", "LA", "RGBA", "I;16")  # other modes are converted


def read_picture(path: Path) -> Image.Image:
    """Read the first page of a file, upright, in one of DIRECT_MODES, with 16 bits only for gray, as in Pillow.

    Raises:
        ImageError: the file is missing, is not a picture, or is damaged.
    """
    with opened(path) as file:
        return image_of(file.page(file.pages[0]))


def read_pixels(source: Path | io.BytesIO, name: str | None = None) -> np.ndarray[Any, Any]:
    """Read the first page of a file, upright, at its 8 or 16 bits: (H, W), or (H, W, C) with alpha and other channels.

    Raises:
        ImageError: the file is missing, is not a picture, or is damaged; it is called ``name``.
    """
    with opened(source, name) as file:
        page = file.page(file.pages[0])
        return page.pixels if page.bands is None else page.bands


def write_picture(image: Image.Image, path: Path) -> None:
    """Write a picture, with its metadata, in the format of the path's suffix; JPEG at quality 95.

    Raises:
        ImageError: it cannot be written, or the format cannot hold it; what was there is untouched.
    """
    page = page_of(image)
    write_array(page.pixels, path, page.metadata)


def write_array(array: np.ndarray[Any, Any], path: Path, metadata: Metadata, *, bands: bool = False) -> None:
    """Write (H, W) or (H, W, C), uint8, uint16 or float in [0, 1], with 16 bits if both format and array have them.

    More than four channels, or with ``bands`` any number, are neither colors nor alpha; only TIFF holds them.

    Raises:
        ImageError: it cannot be written, or the format cannot hold it; what was there is untouched.
    """
    check_writable(path)
    if np.issubdtype(array.dtype, np.floating):
        array = np.round(array.astype(np.float64) * 65535).astype(np.uint16)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    bands = array.ndim == 3 and (bands or array.shape[2] > 4)
    page = page_of_bands(array, metadata) if bands else Page(array, metadata)
    with kept_whole(path) as file:
        write_pages(file, [page], format_of(path))


def image_of(page: Page) -> Image.Image:
    """A page as a PIL image, with its metadata in Pillow's places."""
    image = Image.fromarray(page.pixels if page.pixels.ndim == 2 else eight_bits(page.pixels))
    metadata = page.metadata
    if metadata.exif:
        image.info["exif"] = b"Exif\0\0" + metadata.exif
    for name, value in (("xmp", metadata.xmp), ("icc_profile", metadata.icc), ("dpi", metadata.dpi)):
        if value:
            image.info[name] = value
    return image


def page_of(image: Image.Image) -> Page:
    """A PIL image as a page, not rotated, with its metadata.

    Raises:
        ImageError: the range of its values is unknown.
    """
    metadata = metadata_of(image)
    pixels, icc, notes = pixels_of(image, metadata.icc)
    return Page(pixels, dataclasses.replace(metadata, icc=icc), notes)


def with_info_of(before: Image.Image, after: Image.Image, icc: bytes) -> Image.Image:
    """``after`` with the info of ``before``, except for its pixels and palette, and with that ICC profile."""
    after.info = {key: value for key, value in before.info.items() if key not in ("transparency", "icc_profile")}
    if icc:
        after.info["icc_profile"] = icc
    return after
