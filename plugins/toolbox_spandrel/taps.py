"""The places where the features of spandrel's networks end and their upsamplers begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from torch import Tensor, nn

TRANSFORMER = ("conv_before_upsample", "upsample", "conv_up1", "conv_up2", "conv_up3", "conv_hr", "conv_last")

# The parts of each network from its upsampler on, or from the last convolution where it keeps the size. "body:-1"
# stands for the children of body from the last one on. Parts that a network lacks are passed over.
TAPS: Mapping[str, tuple[str, ...]] = {
    "ATD": TRANSFORMER,
    "CRAFT": ("upsample",),
    "DAT": TRANSFORMER,
    "DCTLSA": ("upsampler",),
    "DITN_Real": ("upsample",),
    "DRCT": TRANSFORMER,
    "DRUNet": ("m_tail",),
    "DnCNN": ("model:-1",),
    "FDAT": ("upsampler",),
    "GRL": TRANSFORMER,
    "Generator": ("upsampler", "final_conv"),  # of SwiftSRGAN
    "HAT": TRANSFORMER,
    "KBNet_s": ("ending",),
    "MoESR": ("upscale",),
    "MoSR": ("upsampler",),
    "NAFNet": ("ending",),
    "OmniSR": ("up",),
    "PLKSR": ("feats:-1",),
    "RCAN": ("tail", "add_mean"),
    "RGT": TRANSFORMER,
    "RRDBNet": ("model:2",),  # of ESRGAN
    "RealPLKSR": ("feats:-1",),
    "SAFMN": ("to_img",),
    "SCUNet": ("m_tail",),
    "SPAN": ("upsampler",),
    "SRVGGNetCompact": ("body:-1",),  # of Compact
    "Swin2SR": TRANSFORMER,
    "SwinIR": TRANSFORMER,
}


class Reached(Exception):
    """The features have arrived at a tap, and the rest of the network is not needed."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.features = features


class Tap(nn.Module):
    """Takes the place of an upsampler, and ends the computation with the features that arrive."""

    # A trace keeps a stack of the modules that it is in, which an exception would leave with those that it goes
    # through. So neither a tap nor what is around it is called the way that a trace sees.
    def __call__(self, features: Tensor) -> NoReturn:
        """Features (B, C, H, W) → an exception with them."""
        raise Reached(features)


class Tapped(nn.Sequential):
    """A sequence that ends with a tap."""

    def __call__(self, image: Tensor) -> NoReturn:
        """(B, C, H, W) → an exception with the features."""
        for module in self:
            image = module(image)
        raise AssertionError("the last module is a tap")


class Direct:
    """A network for a function that calls it: its attributes, and its forward without the call around it."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def __call__(self, image: Tensor) -> Tensor:
        """(B, C, H, W) → what the network gives."""
        restored: Tensor = self._network.forward(image)
        return restored

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


def tap(network: nn.Module) -> None:
    """Replace every part of a network from its upsampler on by taps, so that no weight without a use remains."""
    for path in TAPS[type(network).__name__]:
        parent, _, first = path.partition(":")
        if not first:
            if hasattr(network, parent):
                network.set_submodule(parent, Tap())
            continue
        parts = network.get_submodule(parent)
        children = [*parts.children()][: int(first)]
        if isinstance(parts, nn.Sequential):
            network.set_submodule(parent, Tapped(*children, Tap()))
        else:
            network.set_submodule(parent, nn.ModuleList([*children, Tap()]))
