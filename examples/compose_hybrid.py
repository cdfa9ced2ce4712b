"""Compose a network that nobody published: one paper's trained encoder with another paper's decoder.

    python examples/compose_hybrid.py

The encoder is that of diinn-lite, with its weights. The decoder is LIIF's, and learns for some seconds to use those
features. The script writes out/hybrid.safetensors and out/hybrid-before-after.png.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import toolbox
from toolbox.evaluation.metrics import psnr
from toolbox.images.arrays import to_image, to_tensor
from toolbox.images.comparison import side_by_side
from toolbox.images.files.picture import read_picture
from toolbox.imresize import imresize

PHOTOS = Path(__file__).parent / "photos"
OUT = Path("out")
STEPS, BATCH, PATCH, SCALE = 90, 4, 16, 2  # of training; PATCH is low-resolution pixels per side


def photo(name: str) -> torch.Tensor:
    """A photograph, (1, 3, H, W) in [0, 1]."""
    return to_tensor(np.asarray(read_picture(PHOTOS / name).convert("RGB")))


# 1. Compose. A spec is data, so the parts of one network are the parts of another.
trained = toolbox.load("diinn-lite")
torch.manual_seed(0)
hybrid = toolbox.build(
    {
        "summary": "diinn-lite's features under LIIF's decoder",
        "channels": 3,
        "normalization": trained.spec.normalization.model_dump(),
        "global_skip": "bicubic",
        "encoder": trained.spec.encoder.to_data(),
        "decoder": {"name": "local-ensemble", "hidden": [32, 32]},
    }
)
hybrid.encoder.load_state_dict(trained.encoder.state_dict())
hybrid.encoder.requires_grad_(False)

# 2. Let the decoder learn, on two photographs; the third is kept apart.
originals = [photo("coffee.png"), photo("camera.png")]
pairs = [(imresize(original, size=(160, 160)), original) for original in originals]
optimizer = torch.optim.Adam(hybrid.decoder.parameters(), lr=3e-3)
for step in range(STEPS):
    low, high = pairs[step % len(pairs)]
    corners = torch.randint(160 - PATCH, (BATCH, 2)).tolist()
    inputs = torch.cat([low[..., y : y + PATCH, x : x + PATCH] for y, x in corners])
    targets = torch.cat([high[..., 2 * y : 2 * (y + PATCH), 2 * x : 2 * (x + PATCH)] for y, x in corners])
    loss = F.l1_loss(hybrid(inputs, scale=SCALE), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# 3. Look at the result on the photograph that it has not seen.
hybrid.eval()
original = photo("chelsea.png")
low = imresize(original, size=(150, 150))
with torch.inference_mode():
    restored = hybrid(low, scale=SCALE).clamp(0, 1)
    smooth = toolbox.build("bicubic")(low, scale=SCALE).clamp(0, 1)
print(f"after {STEPS} steps: {psnr(restored, original):.2f} dB; bicubic: {psnr(smooth, original):.2f} dB")

# 4. Save it. The file describes its network.
OUT.mkdir(exist_ok=True)
toolbox.save(hybrid, OUT / "hybrid.safetensors")
before, after, reference = (to_image(each[0].permute(1, 2, 0).numpy()) for each in (smooth, restored, original))
sheet = side_by_side(before, after, labels=("bicubic", "hybrid"), reference=reference)
sheet.save(OUT / "hybrid-before-after.png")
print(f"wrote {OUT / 'hybrid.safetensors'} and {OUT / 'hybrid-before-after.png'}")
