"""Score networks in a way that others can repeat: by a protocol, with a table and a sheet of crops.

    python examples/score.py

This is `toolbox eval -m bicubic -m diinn-lite --data examples/photos --protocol sr-y --scale 2` in code.
The script writes out/scores.md and out/scores.png.
"""

from pathlib import Path

import toolbox

PHOTOS = Path(__file__).parent / "photos"
OUT = Path("out")

OUT.mkdir(exist_ok=True)
# A protocol defines everything that moves a score: color, border, rounding, and low resolution.
report = toolbox.evaluate(["bicubic", "diinn-lite"], PHOTOS, "sr-y", scales=[2], sheet=OUT / "scores.png")
(OUT / "scores.md").write_text(report.markdown(), encoding="utf-8")
for score in report.scores:
    print(f"{score.picture} x{score.scale:g} by {score.model}: {score.psnr:.2f} dB")
print(f"wrote {OUT / 'scores.md'} and {OUT / 'scores.png'}")
