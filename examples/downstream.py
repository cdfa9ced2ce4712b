"""Use a network in a program without Toolbox, with only torch and safetensors.

    python examples/downstream.py NETWORK IMAGE OUTPUT

IMAGE and OUTPUT are safetensors files with one tensor, ``image``: (B, C, H, W) in [0, 1]. NETWORK is either

- a weights file of an EDSR with pixel-shuffle, from ``toolbox.save`` or ``toolbox convert``, whose header says
  which layers its tensors are for; or
- a program of any network, written by ``torch.export.save(torch.export.export(network, (image,)), "NETWORK.pt2")``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor


class EDSR:
    """EDSR with pixel-shuffle from a weights file: images (B, C, H, W) in [0, 1] → (B, C, s·H, s·W), not clamped."""

    def __init__(self, path: Path) -> None:
        with safe_open(path, "pt") as file:
            spec: dict[str, Any] = json.loads(file.metadata()["toolbox.spec"])
        encoder, decoder = spec["encoder"], spec["decoder"]
        named = encoder["name"], decoder["name"], encoder["nonlocal"], spec["global_skip"]
        if named != ("edsr", "pixel-shuffle", None, "none"):
            raise SystemExit(f"{path}: expected a plain EDSR with pixel-shuffle, got {named}")
        self.tensors = load_file(path)
        self.blocks: int = encoder["blocks"]
        self.residual_scale: float = encoder["residual_scale"]
        self.shuffles = (2, 2) if decoder["scale"] == 4 else (decoder["scale"],)
        # One number for all channels, or one for each.
        self.mean, self.std = (torch.tensor(spec["normalization"][key]).view(-1, 1, 1) for key in ("mean", "std"))

    def convolve(self, name: str, features: Tensor) -> Tensor:
        """A 3×3 convolution by its name in the file."""
        return F.conv2d(features, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"], padding=1)

    def __call__(self, image: Tensor) -> Tensor:
        features = shallow = self.convolve("encoder.head", (image - self.mean) / self.std)
        for block in range(self.blocks):
            inner = F.relu(self.convolve(f"encoder.blocks.{block}.body.0", features))
            features = features + self.residual_scale * self.convolve(f"encoder.blocks.{block}.body.2", inner)
        features = shallow + self.convolve("encoder.tail", features)
        for number, factor in enumerate(self.shuffles):
            features = F.pixel_shuffle(self.convolve(f"decoder.upscale.{2 * number}", features), factor)
        return self.convolve("decoder.conv", features) * self.std + self.mean


def main() -> None:
    """Restore the image of one file and write it to another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("network", "image", "output"):
        parser.add_argument(name, type=Path, metavar=name.upper())
    arguments = parser.parse_args()
    path: Path = arguments.network
    network = torch.export.load(path).module() if path.suffix == ".pt2" else EDSR(path)
    with torch.no_grad():
        restored = network(load_file(arguments.image)["image"])
    save_file({"image": restored.contiguous()}, arguments.output)
    print(f"wrote {arguments.output}, {tuple(restored.shape)}")


if __name__ == "__main__":
    main()
