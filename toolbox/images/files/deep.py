"""Decode pictures that Pillow cuts to 8 bits or does not read: 9 to 16 bits, and all colors of TIFF."""

from __future__ import annotations

import dataclasses
import io
import math
import re
from collections.abc import Callable
from functools import partial
from typing import IO, Any, cast

import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageFile

from toolbox.errors import ImageError
from toolbox.images.files.color import cmyk_to_rgb, lab_to_rgb
from toolbox.images.files.metadata import ORIENTATION, metadata_of_tiff
from toolbox.images.files.page import Page, upright
from toolbox.pixels import Array

DEEP = re.compile(r"(L|LA|RGB|RGBA|RGBX|CMYK)[A-Za-z]?;16[A-Z]?|SGI16")  # Pillow's names for what it cuts to 8 bits
# TIFF: photometric interpretations, and the number of colors that each has.
TIFF_COLORS = {0: 1, 1: 1, 2: 3, 5: 4, 8: 3}


def deep_pixels(image: ImageFile.ImageFile, content: Callable[[], bytes]) -> Array | None:
    """Pixels with more than 8 bits per channel that Pillow would cut to 8, or None if it would not.

    Args:
        image: opened, not yet loaded.
        content: returns the bytes of the file.

    Raises:
        ImageError: the picture has more than 8 bits in a form that Toolbox cannot read.
    """
    decode: Callable[[bytes], Array]
    if image.format in ("JPEG2000", "AVIF"):
        bits = (_bits_of_jpeg2000 if image.format == "JPEG2000" else _bits_of_avif)(content())
        codec = imagecodecs.jpeg2k_decode if image.format == "JPEG2000" else imagecodecs.avif_decode
        deep, decode = bits > 8, partial(_by_codec, codec, 2**bits - 1)
    elif image.format == "PPM" and image.mode == "RGB" and isinstance(image.tile[0].args, tuple):
        (_, white), start = image.tile[0].args, image.tile[0].offset
        deep, decode = white > 255, partial(_deep_ppm, start, image.size, white)
    else:
        deep = not image.mode.startswith("I") and _is_cut(image)
        if deep and image.format != "PNG":
            raise ImageError(
                f"Toolbox does not read {image.format} with 16 bits per channel; save the picture as TIFF or PNG"
            )
        decode = partial(_deep_png, image.info.get("transparency"))
    if deep and getattr(image, "n_frames", 1) > 1:
        raise ImageError("got an animation with more than 8 bits per channel, expected 8")
    return decode(content()) if deep else None


def may_be_deep(image: ImageFile.ImageFile) -> bool:
    """Whether a picture, not yet loaded, may have more than 8 bits per channel."""
    return image.mode.startswith("I") or image.format in ("JPEG2000", "AVIF", "PPM") or _is_cut(image)


def deep_tiff_page(page: tifffile.TiffPage) -> Page:
    """Decode a page with more than 8 bits, or one that Pillow does not read: gray, RGB, CMYK, Lab, or with alpha."""
    colors, bits = TIFF_COLORS.get(page.photometric), page.bitspersample
    if colors is None or page.sampleformat != 1 or bits > 16 or len(page.shape) > 3:
        kind = {2: "signed", 3: "floating-point"}.get(page.sampleformat, "unsigned")
        color = tifffile.PHOTOMETRIC(page.photometric).name
        raise ImageError(
            f"got a TIFF of {bits}-bit {kind} samples, {color}, expected 8 or 16 bits of gray, RGB, CMYK or Lab"
        )
    _check_complete(page)
    values, (height, width) = page.asarray(), (page.imagelength, page.imagewidth)
    planes = values.reshape(-1, height, width).transpose(1, 2, 0) if page.planarconfig == 2 else None
    values = _stretched(
        values.reshape(height, width, -1) if planes is None else planes, 2**bits - 1 if bits > 8 else 255
    )
    if values.shape[2] < colors:
        raise ImageError(f"the picture is damaged: {values.shape[2]} samples a pixel, expected {colors}")
    tags = Image.Exif()
    tags.endian, tags.bigtiff = page.parent.byteorder, page.parent.is_bigtiff
    tags.load_from_fp(cast(IO[bytes], page.parent.filehandle), page.offset)
    metadata = metadata_of_tiff(tags)
    kinds = [int(kind) for kind in page.extrasamples]
    alpha = next((values[..., colors + at, None] for at, kind in enumerate(kinds) if kind in (1, 2)), None)
    paint = values[..., :colors]
    if 1 in kinds and alpha is not None and colors != 4:
        paint = _without_alpha(paint, alpha)
    if page.photometric == 0:
        paint = np.iinfo(paint.dtype).max - paint
    icc, notes = metadata.icc, tuple[str, ...]()
    if page.photometric in (5, 8):
        paint, icc = cmyk_to_rgb(paint, icc) if colors == 4 else lab_to_rgb(paint)
        notes = (f"converted {'CMYK' if colors == 4 else 'Lab'} to RGB",)
    pixels = paint if alpha is None else np.concatenate((paint, alpha), -1)
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    metadata = dataclasses.replace(metadata, icc=icc)
    bands = values if bands_of(page) else None
    return upright(pixels, int(tags.get(ORIENTATION, 1)), metadata, notes, bands)


def bands_of(page: tifffile.TiffPage) -> int:
    """The channels of a page if some are neither colors nor alpha, else 0."""
    if page.photometric not in (1, 2):
        return 0
    return int(page.samplesperpixel) if any(int(kind) == 0 for kind in page.extrasamples) else 0


def _check_complete(page: tifffile.TiffPage) -> None:
    """Refuse a page with a missing part, which tifffile would fill with black."""
    end = page.parent.filehandle.size
    parts = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if len(parts) != math.prod(page.chunked) or any(count == 0 or start + count > end for start, count in parts):
        raise ImageError("cannot be read: image file is truncated")


def _without_alpha(paint: Array, alpha: Array) -> Array:
    """Divide premultiplied colors by alpha again."""
    white = int(np.iinfo(paint.dtype).max)
    divided = (paint.astype(np.uint64) * white + alpha // 2) // np.maximum(alpha, 1)
    return np.minimum(divided, white).astype(paint.dtype)


def _is_cut(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow cuts a picture to 8 bits."""
    names = [str(part) for tile in image.tile for part in (tile.codec_name, *_each(tile.args))]
    return any(DEEP.fullmatch(name) for name in names)


def _each(argument: Any) -> tuple[Any, ...]:
    return argument if isinstance(argument, tuple) else (argument,)


def _by_codec(codec: Callable[[bytes], Array], white: int, data: bytes) -> Array:
    return _stretched(np.asarray(codec(data)), white)


def _deep_ppm(start: int, size: tuple[int, int], white: int, data: bytes) -> Array:
    values = np.frombuffer(data, ">u2", 3 * size[0] * size[1], start)
    return _stretched(values.reshape(size[1], size[0], 3), white)


def _deep_png(transparent: Any, data: bytes) -> Array:
    with Image.open(io.BytesIO(data)) as whole:
        whole.verify()  # without the checksums, about which the decoder prints complaints
    pixels = np.asarray(imagecodecs.png_decode(data))
    if transparent is not None and pixels.ndim == 3 and pixels.shape[2] == 3:  # a single color is transparent
        alpha = (pixels != np.array(transparent, np.uint16)).any(-1, keepdims=True) * np.uint16(65535)
        pixels = np.concatenate((pixels, alpha), -1)
    return pixels


def _stretched(values: Array, white: int) -> Array:
    """Stretch 0 … white to the full range of 8 or 16 bits."""
    if white == 255:
        return values.astype(np.uint8, copy=False)
    if white != 65535:
        values = (values.astype(np.uint32) * 65535 + white // 2) // white
    return values.astype(np.uint16, copy=False)


def _bits_of_jpeg2000(data: bytes) -> int:
    start = data.find(b"\xff\x4f\xff\x51")  # the codestream; its precision follows nine sizes and a count
    return (data[start + 42] & 0x7F) + 1 if start >= 0 else 8


def _bits_of_avif(data: bytes) -> int:
    start = data.find(b"av1C")
    flags = data[start + 6] if start >= 0 else 0
    return 12 if flags & 0x60 == 0x60 else 10 if flags & 0x40 else 8
