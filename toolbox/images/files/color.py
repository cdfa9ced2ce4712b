"""Convert CMYK and Lab to RGB at the same depth."""

from __future__ import annotations

import struct
from functools import cache

import imagecodecs
import numpy as np
from PIL import ImageCms

from toolbox.pixels import Array


@cache
def srgb() -> bytes:
    """The ICC profile of sRGB, always the same bytes."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + profile[36:]  # it holds the current date


@cache
def _lab() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def cmyk_to_rgb(ink: Array, icc: bytes) -> tuple[Array, bytes]:
    """(H, W, 4) uint8 or uint16, 0 being no ink → (H, W, 3) of the same type, and its ICC profile.

    With a CMYK profile the result is sRGB. Without one, or with a damaged one, the inks count as perfect
    filters, and the meaning of the RGB is as unknown as that of the inks.
    """
    if icc[16:20] == b"CMYK":
        try:
            converted = imagecodecs.cms_transform(
                ink, icc, srgb(), colorspace="cmyk", outcolorspace="rgb", outdtype=ink.dtype
            )
        except (imagecodecs.CmsError, ValueError):
            pass
        else:
            return np.asarray(converted), srgb()
    white = int(np.iinfo(ink.dtype).max)
    paper = np.uint32(white) - ink
    return ((paper[..., :3] * paper[..., 3:] + white // 2) // white).astype(ink.dtype), b""


def lab_to_rgb(lab: Array) -> tuple[Array, bytes]:
    """TIFF's CIELab, (H, W, 3) uint8 or uint16 with signed a and b → sRGB of the same type, and its ICC profile."""
    encoded = lab.copy()
    if lab.dtype == np.uint8:
        encoded[..., 1:] ^= 0x80  # ICC counts from −128
    else:  # TIFF's a and b are 256ths, ICC's 257ths from −128
        encoded[..., 1:] = np.round((lab[..., 1:].view(np.int16) / 256 + 128) * 257).clip(0, 65535)
    rgb = imagecodecs.cms_transform(
        encoded, _lab(), srgb(), colorspace="lab", outcolorspace="rgb", outdtype=encoded.dtype
    )
    return np.asarray(rgb), srgb()
