"""A plugin of Toolbox: a protocol, the definition of a score."""

from toolbox.plugin import ProtocolInfo, hookimpl

TOOLBOX_API = 1


@hookimpl
def toolbox_protocols() -> list[ProtocolInfo]:
    """``toolbox eval`` can score by these protocols."""
    return [
        ProtocolInfo(
            name="minimal",
            summary="denoising of color pictures: PSNR and SSIM of RGB after Gaussian noise",
            source="none: an example",
            color="rgb",
            metrics=("psnr", "ssim"),
            rounds=True,
            noise_seed=0,
        )
    ]
