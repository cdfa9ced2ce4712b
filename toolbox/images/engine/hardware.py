"""Where and how a network computes: device, type of numbers, threads, and how large a picture may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from PIL import Image

from toolbox.errors import SpecError
from toolbox.restorer import MOST_PIXELS, Restorer

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}


def placed(restorer: Restorer, device: str | None, dtype: str | None) -> Restorer:
    """The restorer on a device such as ``cuda:0``, computing in one of DTYPES; None leaves what it has.

    Raises:
        SpecError: there is no such device or type here.
    """
    if dtype is not None and dtype not in DTYPES:
        raise SpecError(f"got dtype {dtype!r}, expected one of {', '.join(DTYPES)}")
    try:
        where, what = torch.device(device or restorer.mean.device), DTYPES[dtype] if dtype else restorer.mean.dtype
        probe = torch.ones(1, 1, 3, 3, device=where, dtype=what)
        torch.nn.functional.conv2d(probe, probe)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # as PyTorch refuses what is not there
        asked = f"device {device or 'cpu'}" + (f" with dtype {dtype}" if dtype else "")
        available = "cpu" + "".join(
            f", {kind}" for kind in ("cuda", "mps", "xpu") if getattr(torch, kind).is_available()
        )
        reason = str(error).splitlines()[0].split(". ")[0]
        raise SpecError(f"got {asked}, which this machine does not do ({reason}); it has {available}") from None
    return restorer.to(where, what)


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Compute with that many threads; None leaves it."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def large_pictures() -> Iterator[None]:
    """Let the memory decide how large a picture may be, which is estimated from its header before it is decoded.

    Pillow refuses more than 179 megapixels; that is a fixed guess at what is a bomb, and a film scan is none.
    """
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
