"""Set where and how a network computes: device, number type, threads, and the limit for pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from PIL import Image

from toolbox.errors import SpecError
from toolbox.restorer import MOST_PIXELS, Restorer

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}


def placed(restorer: Restorer, device: str | None, dtype: str | None) -> Restorer:
    """Move the restorer to a device such as ``cuda:0`` and to one of DTYPES; None changes nothing.

    Raises:
        SpecError: this machine has no such device or type.
    """
    if dtype is not None and dtype not in DTYPES:
        raise SpecError(f"got dtype {dtype!r}, expected one of {', '.join(DTYPES)}")
    try:
        where, what = torch.device(device or restorer.mean.device), DTYPES[dtype] if dtype else restorer.mean.dtype
        probe = torch.ones(1, 1, 3, 3, device=where, dtype=what)
        torch.nn.functional.conv2d(probe, probe)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # as PyTorch refuses them
        asked = f"device {device or 'cpu'}" + (f" with dtype {dtype}" if dtype else "")
        available = "cpu" + "".join(
            f", {kind}" for kind in ("cuda", "mps", "xpu") if getattr(torch, kind).is_available()
        )
        reason = str(error).splitlines()[0].split(". ")[0]
        raise SpecError(f"got {asked}, which this machine does not do ({reason}); it has {available}") from None
    return restorer.to(where, what)


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Compute with that many threads; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def large_pictures() -> Iterator[None]:
    """Let memory limit the size of a picture. Toolbox estimates it from the header, before decoding.

    Pillow refuses more than 179 megapixels as a decompression bomb, but a film scan can be that large.
    """
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
