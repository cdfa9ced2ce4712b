"""Score networks so that others can score the same: by a protocol, with a table and a sheet of crops.

    python examples/score.py

The same as `toolbox eval -m bicubic -m diinn-lite --data examples/photos --protocol sr-y --scale 2`, in code.
Writes out/scores.md and out/scores.png.
"""

from pathlib import Path

import toolbox
from toolbox.discovery import installed
from toolbox.evaluation.cases import find_cases
from toolbox.evaluation.run import find_jobs, new_report, run
from toolbox.evaluation.sheet import choose_rows, draw_sheet

PHOTOS = Path(__file__).parent / "photos"
OUT = Path("out")

# A protocol says everything that moves a score: color, border, rounding, how low resolution is made.
protocol = installed().protocols["sr-y"]
models = {name: toolbox.load(name) for name in ("bicubic", "diinn-lite")}
cases = find_cases(PHOTOS, protocol, scales=(2,))
report = new_report(models, protocol, PHOTOS, None, None, [], installed())
jobs = find_jobs(models, cases, protocol)

for score, _ in run(models, jobs, protocol, sigma=0, metrics=report.metrics, workers=1):
    report.add(score)
    print(f"{score.picture} x{score.scale:g} by {score.model}: {score.psnr:.2f} dB")

OUT.mkdir(exist_ok=True)
(OUT / "scores.md").write_text(report.markdown(), encoding="utf-8")
draw_sheet(choose_rows(report, models, jobs, protocol)).save(OUT / "scores.png")
print(f"wrote {OUT / 'scores.md'} and {OUT / 'scores.png'}")
