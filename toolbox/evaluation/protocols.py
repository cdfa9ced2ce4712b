"""The usual protocols, and the comparison of pictures by a protocol."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from toolbox.blame import blamed, broken
from toolbox.errors import ImageError, SpecError, UnknownComponent
from toolbox.evaluation.metrics import metric
from toolbox.luma import LUMA_OF_BLACK, luma
from toolbox.pixels import rounded_to_bytes
from toolbox.records import MetricInfo, ProtocolInfo

PROTOCOLS = (
    ProtocolInfo(
        name="sr-y",
        summary="super-resolution: PSNR and SSIM of the luma of 8-bit pictures",
        source="EDSR (Lim et al., CVPRW 2017), RCAN (Zhang et al., ECCV 2018) and BasicSR",
        color="luma",
        metrics=("psnr", "ssim"),
        rounds=True,
        shave=(1, 0),
    ),
    ProtocolInfo(
        name="liif-benchmark",
        summary="super-resolution: PSNR of luma, nothing rounded",
        source="the benchmark mode of LIIF's published code (Chen et al., CVPR 2021)",
        color="luma",
        metrics=("psnr",),
        shave=(1, 0),
    ),
    ProtocolInfo(
        name="liif-div2k",
        summary="super-resolution on DIV2K: PSNR of RGB with a wide border left out, nothing rounded",
        source="the div2k mode of LIIF's published code (Chen et al., CVPR 2021), which above x4 reduces with Pillow",
        color="rgb",
        metrics=("psnr",),
        shave=(1, 6),
    ),
    ProtocolInfo(
        name="diinn",
        summary="super-resolution: PSNR and SSIM of RGB, and PSNR against the input after reducing again",
        source="DIINN (Nguyen and Beksi, WACV 2023)",
        color="rgb",
        metrics=("psnr", "ssim", "lr-psnr"),
    ),
    ProtocolInfo(
        name="denoise-gray",
        summary="denoising of gray pictures: PSNR after Gaussian noise",
        source="DnCNN (Zhang et al., IEEE TIP 2017) and its successors on Set12 and BSD68",
        color="gray",
        metrics=("psnr",),
        rounds=True,
        noise_seed=0,
    ),
    ProtocolInfo(
        name="denoise-color",
        summary="denoising of color pictures: PSNR of RGB after Gaussian noise",
        source="CDnCNN (Zhang et al., IEEE TIP 2017) and its successors on CBSD68 and Kodak24",
        color="rgb",
        metrics=("psnr",),
        rounds=True,
        noise_seed=0,
    ),
    ProtocolInfo(
        name="jpeg",
        summary="removal of JPEG's artifacts: PSNR and PSNR-B of RGB",
        source="the color scores of FBCNN (Jiang et al., ICCV 2021)",
        color="rgb",
        metrics=("psnr", "psnr-b"),
        rounds=True,
        compresses=True,
    ),
    ProtocolInfo(
        name="jpeg-luma",
        summary="removal of JPEG's artifacts: PSNR and PSNR-B of the luma of pictures compressed in color",
        source="AR-CNN (Dong et al., ICCV 2015) and DnCNN-3 (Zhang et al., TIP 2017), which compress the luma alone",
        color="luma",
        metrics=("psnr", "psnr-b"),
        rounds=True,
        compresses=True,
    ),
    ProtocolInfo(
        name="real-pairs",
        summary="restoration of real photographs: PSNR and SSIM of RGB against a picture without noise",
        source="the cropped pairs of Nam et al. (CVPR 2016) and PolyU (Xu et al., 2018)",
        color="rgb",
        metrics=("psnr", "ssim"),
        rounds=True,
        same_size_pairs=True,
    ),
    ProtocolInfo(
        name="noisy-sr",
        summary="super-resolution of noisy pictures: PSNR of RGB, nothing rounded",
        source="none published: for networks that remove noise and enlarge in one pass",
        color="rgb",
        metrics=("psnr",),
        shave=(1, 0),
        noise_seed=0,
        noise_on_low_resolution=True,
    ),
    ProtocolInfo(
        name="nlrn-patches",
        summary="denoise-gray with every 45x45 patch at stride 7 restored by itself, overlaps averaged",
        source="NLRN's published evaluation (Liu et al., NeurIPS 2018), about 40 times the work",
        color="gray",
        metrics=("psnr",),
        rounds=True,
        noise_seed=0,
        patches=(45, 7),
    ),
    ProtocolInfo(
        name="denoise-bands",
        summary="denoising of pictures with any number of channels: PSNR of all after Gaussian noise, nothing rounded",
        source="none published: for raw mosaics and the bands of a spectrum",
        color="all",
        metrics=("psnr",),
        noise_seed=0,
    ),
)


def metrics_of(protocol: ProtocolInfo, more: Sequence[str]) -> list[str]:
    """The names of the protocol's metrics and of more, each once and ready to use.

    Raises:
        SpecError: a metric is unknown.
        PluginError: the protocol itself names an unknown metric.
        ToolboxError: its package is not installed.
    """
    names = list(dict.fromkeys((*protocol.metrics, *more)))
    for name in names:
        try:
            info = metric(name)
        except UnknownComponent as error:
            if name in protocol.metrics:
                what = f"protocol {protocol.name!r}"
                raise broken(
                    what, protocol.provider, f"the metric {name!r}", f"one that is installed ({error})"
                ) from None
            raise SpecError(str(error)) from None
        if info.ready is not None:
            with blamed(f"metric {name!r}", info.provider):
                info.ready()
    return names


def measure(
    protocol: ProtocolInfo,
    restored: Tensor,
    original: Tensor,
    degraded: Tensor,
    scale: float,
    metrics: Sequence[str] | None = None,
) -> dict[str, float]:
    """Measure the metrics of one restored picture, by name.

    Args:
        protocol: the definition of the comparison.
        restored: (1, C, H, W), clipped to [0, 1].
        original: the same shape, in [0, 1].
        degraded: the input (1, C, h, w) that ``restored`` was made from.
        scale: output over input size.
        metrics: names from ``metrics_of``; by default the protocol's own.

    Raises:
        ImageError: the sizes differ, or the picture is too small for the border or a metric.
    """
    if restored.shape != original.shape:
        raise ImageError(f"got a restored picture of {_size(restored)}, expected {_size(original)}, the original's")
    restored, original = restored.double(), original.double()
    if protocol.rounds:
        restored, original = (rounded_to_bytes(image) for image in (restored, original))
    pair = [
        _shaved(luma(image) + LUMA_OF_BLACK if protocol.color == "luma" else image, protocol, scale)
        for image in (restored, original)
    ]
    pictures = {"original": pair, "input": (restored, degraded)}
    infos = map(metric, metrics or protocol.metrics)
    return {info.name: measured(info, *pictures[info.compares_with]) for info in infos}


def measured(info: MetricInfo, restored: Tensor, other: Tensor) -> float:
    """The value of a metric for two pictures.

    Raises:
        PluginError: the metric fails, or gives no number.
    """
    what = f"metric {info.name!r}"
    with blamed(what, info.provider):
        value = info.measure(restored, other)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise broken(what, info.provider, repr(value), "a number")
    return float(value)


def describe(protocol: ProtocolInfo) -> dict[str, str]:
    """A complete description of a protocol in words, by topic."""
    times, more = protocol.shave
    border = " + ".join(["scale"] * times + [str(more)] * (more > 0))
    colors = {"gray": "gray", "rgb": "RGB", "luma": "MATLAB's luma of RGB, not rounded", "all": "every channel"}
    made, clipping = "the original", "the output is clipped to [0, 1]"
    if protocol.enlarges:
        made = (
            "the low-resolution picture of a pair; or, by --scale, MATLAB's bicubic imresize of the 8-bit original to "
            "floor(size / scale), the original first cropped at its bottom right to that times the scale"
        )
    if protocol.compresses:
        made = "the original after JPEG of the asked quality, by Pillow, colors at half the resolution"
    if protocol.same_size_pairs:
        made = "the picture of a pair, as large as the original"
    if protocol.noise_seed is not None:
        made += (
            f"{';' if protocol.enlarges else ''} with noise N(0, sigma) on 0 to 255, by torch's generator, of seed "
            f"{protocol.noise_seed} for each picture"
        )
        clipping += ", the noisy input is not"
    return {
        "metrics": ", ".join(metric(name).label for name in protocol.metrics),
        "color": colors[protocol.color],
        "shave": f"{border} px on each side" if border else "none",
        "rounding": "the output is rounded to 8 bits" if protocol.rounds else "none",
        "clipping": clipping,
        "input": made,
        "run": "patches of {0}x{0} at stride {1}, averaged".format(*protocol.patches)
        if protocol.patches
        else "at once",
        "tells": ", ".join(protocol.tells()) or "nothing",
        "source": protocol.source,
        "plugin": protocol.provider,
    }


def _shaved(image: Tensor, protocol: ProtocolInfo, scale: float) -> Tensor:
    times, more = protocol.shave
    border = times * round(scale) + more
    height, width = image.shape[-2:]
    if min(height, width) <= 2 * border:
        raise ImageError(
            f"got a picture of {width}x{height}, expected one larger than the {border} px left out all round"
        )
    return image[..., border : height - border, border : width - border]


def _size(image: Tensor) -> str:
    return f"{image.shape[-1]}x{image.shape[-2]}"
