"""Score a restorer of photographs on damage that it should mend, and on parts that it should leave alone.

    python examples/photo_scores.py PICTURES -m photo
    pip install bm3d opencv-python-headless   # bm3d's license allows research only
    python examples/photo_scores.py PICTURES --references

PICTURES has clean pictures named clean_*.png, and pairs of a camera's picture and the truth, noisy_NN.png and
noisy_NN_clean.png. The script prints a table of mean PSNR in dB of 8-bit RGB. The second column has the worst
picture's gain over its input or, for clean pictures, the lowest PSNR.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import toolbox
from toolbox.degradations.noise import add_noise
from toolbox.evaluation.metrics import psnr
from toolbox.images.arrays import to_tensor
from toolbox.images.engine.run import restore_tensor
from toolbox.luma import luma
from toolbox.pixels import to_bytes

SIGMAS = (15, 25, 50)
QUALITIES = (10, 20, 40, 60, 80, 95)

Way = Callable[[Tensor, float], Tensor]  # a picture (1, 3, H, W) and its σ of 255 → the same, restored


def main() -> None:
    """Score every way on every case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="folder of clean_* and noisy_* pictures")
    parser.add_argument("-m", "--model", action="append", default=[], help="a name or a weights file; may be repeated")
    parser.add_argument("--references", action="store_true", help="also CBM3D and OpenCV, where they are told the σ")
    arguments = parser.parse_args()
    ways: dict[str, Way] = {"input": lambda picture, sigma: picture}
    for model in arguments.model:
        ways[Path(model).stem] = partial(_restored, toolbox.load(model))
    if arguments.references:
        ways |= {"CBM3D": _cbm3d, "OpenCV": _opencv}
    print("| case |", *(f"{name} | worst |" for name in ways))
    print("| --- |", *("--: | --: |" for _ in ways), flush=True)
    seconds = dict.fromkeys(ways, 0.0)
    for case, pairs in cases(arguments.pictures):
        cells = []
        for name, way in ways.items():
            if name in ("CBM3D", "OpenCV") and not case.startswith(("white", "real")):
                cells.append("– | – |")
                continue
            started = time.perf_counter()
            restored = [_rounded(way(degraded, sigma)) for degraded, _, sigma in pairs]
            seconds[name] += time.perf_counter() - started
            scores = [_psnr(case, mine, clean) for mine, (_, clean, _) in zip(restored, pairs, strict=True)]
            before = [_psnr(case, _rounded(degraded), clean) for degraded, clean, _ in pairs]
            gains = [after - given for after, given in zip(scores, before, strict=True)]
            cells.append(f"{mean(scores):.2f} | {min(scores) if case == 'clean' else min(gains):+.2f} |")
        print(f"| {case} |", *cells, flush=True)
    for name, way in ways.items():
        if name not in ("input", "CBM3D", "OpenCV"):
            print(f"\n{name}: flat pictures stay within {flatness(way):.2f} of 255")
    print(f"\nseconds: {', '.join(f'{name} {taken:.0f}' for name, taken in seconds.items())}")


def cases(folder: Path) -> Iterator[tuple[str, list[tuple[Tensor, Tensor, float]]]]:
    """Each case by name: degraded pictures, clean ones, and the noise's σ of 255."""
    clean = [_read(path) for path in sorted(folder.glob("clean_*.png"))]
    for sigma in SIGMAS:
        generators = [torch.Generator().manual_seed(number) for number in range(len(clean))]
        noisy = [add_noise(each, sigma, generator) for each, generator in zip(clean, generators, strict=True)]
        yield f"white noise, σ {sigma}", [(*pair, float(sigma)) for pair in zip(noisy, clean, strict=True)]
    yield "clean", [(each, each, 0.0) for each in clean]
    real = []
    for path in sorted(folder.glob("noisy_*_clean.png")):
        truth, degraded = _read(path), _read(path.with_name(path.name.replace("_clean", "")))
        real.append((degraded, truth, 255 * float((degraded - truth).square().mean().sqrt())))
    yield "real pairs", real
    for quality in QUALITIES:
        pairs = [(_jpeg(each, quality), each, 0.0) for each in clean]
        yield f"JPEG {quality}", pairs
        yield f"JPEG {quality}, luma", pairs


def flatness(way: Way) -> float:
    """The largest change of a pixel of a flat picture, in levels of 255."""
    generator = torch.Generator().manual_seed(0)
    colors = torch.randint(256, (12, 3), generator=generator) / 255
    flat = [color.view(1, 3, 1, 1).expand(-1, -1, 64, 64) for color in (*colors, torch.zeros(3), torch.ones(3))]
    return max(255 * float((way(each, 0.0).clamp(0, 1) - each).abs().max()) for each in flat)


def _restored(restorer: toolbox.Restorer, picture: Tensor, sigma: float) -> Tensor:
    return restore_tensor(restorer, picture)


def _cbm3d(picture: Tensor, sigma: float) -> Tensor:
    """CBM3D (Dabov et al., ICIP 2007), by its authors' package, with the known σ."""
    from bm3d import bm3d_rgb

    denoised = bm3d_rgb(picture[0].permute(1, 2, 0).double().numpy(), sigma / 255)
    return torch.as_tensor(denoised).permute(2, 0, 1)[None].to(picture.dtype)


def _opencv(picture: Tensor, sigma: float) -> Tensor:
    """OpenCV's non-local means in color, with the known σ as its strengths h."""
    import cv2

    levels = to_bytes(picture)[0].permute(1, 2, 0).numpy()[..., ::-1]
    denoised = cv2.fastNlMeansDenoisingColored(np.ascontiguousarray(levels), None, sigma, sigma)
    return to_tensor(np.ascontiguousarray(denoised[..., ::-1]))


def _psnr(case: str, restored: Tensor, clean: Tensor) -> float:
    """The PSNR of color or of luma, at most 99.99 dB for equal pictures."""
    if case.endswith("luma"):
        restored, clean = luma(restored), luma(clean)
    return min(psnr(restored, clean), 99.99)


def _rounded(picture: Tensor) -> Tensor:
    return to_bytes(picture).float() / 255


def _jpeg(picture: Tensor, quality: int) -> Tensor:
    """A JPEG as Pillow writes it, with colors at half the resolution."""
    memory = io.BytesIO()
    Image.fromarray(to_bytes(picture)[0].permute(1, 2, 0).numpy()).save(memory, "JPEG", quality=quality)
    with Image.open(memory) as compressed:
        return to_tensor(np.asarray(compressed.convert("RGB")))


def _read(path: Path) -> Tensor:
    with Image.open(path) as picture:
        return to_tensor(np.asarray(picture.convert("RGB")))


if __name__ == "__main__":
    main()
