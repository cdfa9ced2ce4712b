"""Put a non-local block into a network that has none: a plain PyTorch network, and a stage of a timm network.

    python examples/nonlocal_in_a_network.py

The block starts as the identity, so a trained network does not change until it learns on. The script
writes out/nonlocal.png, a noisy photograph beside the result of the network.
"""

from pathlib import Path

import numpy as np
import timm
import torch
from torch import Tensor, nn

from toolbox.evaluation.metrics import psnr
from toolbox.images.arrays import to_image, to_tensor
from toolbox.images.comparison import side_by_side
from toolbox.images.files.picture import read_picture
from toolbox.nonlocal_blocks.neighborhood import Window
from toolbox.nonlocal_blocks.soft_block_matching import SoftBlockMatching, SoftBlockMatchingConfig

PHOTO = Path(__file__).parent / "photos" / "camera.png"
OUT = Path("out")
SIGMA, STEPS = 0.1, 60  # standard deviation of the noise, of 1; steps of training


class NonLocal(nn.Module):
    """A block of NLRN as one layer of any network: (B, C, H, W) → the same shape."""

    def __init__(self, channels: int, window: int = 15) -> None:
        super().__init__()
        config = SoftBlockMatchingConfig(
            neighborhood=Window(size=window), propagation="none", embedding_channels=max(8, channels // 4)
        )
        self.block = SoftBlockMatching(config, channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        attended, _ = self.block(features)  # the second value is the correlation, for blocks that pass it on
        return attended


# 1. In an nn.Sequential, a block is one more layer.
torch.manual_seed(0)
layers = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 1, 1)]
plain = nn.Sequential(*layers)
plugged = nn.Sequential(*layers[:3], NonLocal(16), *layers[3:])
image = to_tensor(np.asarray(read_picture(PHOTO).crop((110, 20, 206, 116))))
with torch.inference_mode():
    print("nn.Sequential: largest difference", float((plugged(image) - plain(image)).abs().max()))

# 2. In a network of timm or torchvision, the block follows a stage; both together replace the stage.
resnet = timm.create_model("resnet18", features_only=True, out_indices=(1, 2)).eval()
color = image.expand(-1, 3, -1, -1)
with torch.inference_mode():
    before = resnet(color)
    resnet.layer1 = nn.Sequential(resnet.get_submodule("layer1"), NonLocal(64))
    after = resnet(color)
print(
    "timm's resnet18: largest difference", max(float((a - b).abs().max()) for a, b in zip(before, after, strict=True))
)

# 3. It learns like any other layer. Here it learns to remove noise from a photograph, for some steps.
optimizer = torch.optim.Adam(plugged.parameters(), lr=3e-3)
for _ in range(STEPS):
    noisy = image + SIGMA * torch.randn_like(image)
    loss = (noisy - plugged(noisy) - image).square().mean()  # the network predicts the noise
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
noisy = image + SIGMA * torch.randn_like(image)
with torch.inference_mode():
    clean = (noisy - plugged(noisy)).clamp(0, 1)
print(f"noisy: {psnr(noisy.clamp(0, 1), image):.2f} dB; after {STEPS} steps: {psnr(clean, image):.2f} dB")

OUT.mkdir(exist_ok=True)
before, after, reference = (to_image(each[0].permute(1, 2, 0).clamp(0, 1).numpy()) for each in (noisy, clean, image))
side_by_side(before, after, labels=("noisy", "denoised"), reference=reference).save(OUT / "nonlocal.png")
print(f"wrote {OUT / 'nonlocal.png'}")
