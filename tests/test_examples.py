"""Every script in examples/ runs."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import toolbox
from tests.parts import architecture, restorer_of
from tests.training.runs import write_pictures

ROOT = Path(__file__).parents[1]


def test_the_demo_writes_better_pictures(tmp_path: Path) -> None:
    demo = [sys.executable, ROOT / "examples" / "demo.py", "--out", tmp_path]
    printed = subprocess.run(demo, check=True, capture_output=True, text=True).stdout
    for photo in ("camera", "coffee", "chelsea"):
        assert (tmp_path / f"{photo}-before-after.png").stat().st_size > 0
        assert f"{photo}-restored.png" in printed
    scores = [float(word) for word in printed.replace("dB", "").split() if word.replace(".", "").isdigit()]
    gains = [after - before for before, after in zip(scores[::2], scores[1::2], strict=True)]
    assert len(gains) == 3
    assert min(gains) > 0.5


def test_the_ablation_goes_on_and_writes_its_tables_and_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ablation = runpy.run_path(str(ROOT / "examples" / "ablation" / "ablation.py"))
    every = list(ablation["variants"]())
    assert Counter(variant.study for variant in every) == {"neighborhood": 9, "states": 4, "DIINN": 6}

    main = ablation["main"]
    few = [variant for variant in every if variant.name in ("none", "whole, propagated", "T = 2", "f")]
    monkeypatch.setitem(main.__globals__, "variants", lambda: iter(few))
    data = write_pictures(tmp_path / "data", side=100)
    kept = write_pictures(tmp_path / "kept", count=1, side=50)
    folders = ("--data", data, "--gray", kept, "--color", kept, "--out", tmp_path / "out")
    command = [str(each) for each in ("ablation.py", *folders, "--minutes", 0.0005, "--seeds", 2)]
    monkeypatch.setattr(sys, "argv", command)
    main()
    table = (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    rows = [row.split(" | ")[0].strip("| ") for row in table.splitlines() if "±" in row]
    assert rows == [variant.name for variant in few]
    assert (tmp_path / "out" / "results.csv").read_text(encoding="utf-8").count("\n") == 1 + 2 * 4
    with Image.open(tmp_path / "out" / "results.png") as plot:
        assert plot.width > plot.height

    monkeypatch.setitem(main.__globals__, "train", lambda *_, **__: pytest.fail("trained again"))
    main()
    assert (tmp_path / "out" / "results.md").read_text(encoding="utf-8") == table


DOWNSTREAM = """
import runpy, sys
script, *runs = sys.argv[1:]
for run in runs:
    sys.argv = [script, *run.split("|")]
    runpy.run_path(script, run_name="__main__")
assert not [name for name in sys.modules if name.split(".")[0].startswith("toolbox")]
"""


# Its weights are channels last, which torch.export.save takes for slices of something larger.
@pytest.mark.filterwarnings("ignore:No complete tensor found")
def test_a_program_without_toolbox_gets_the_same_numbers(tmp_path: Path) -> None:
    image = torch.rand(1, 3, 6, 7)
    save_file({"image": image}, tmp_path / "image.safetensors")
    edsr = {"name": "edsr", "channels": 4, "blocks": 2, "residual_scale": 0.1}
    expected = {}
    with torch.no_grad():
        for scale, mean in ((2, [0.4, 0.5, 0.6]), (4, 0.5)):
            decoder = {"name": "pixel-shuffle", "scale": scale, "channels": 4}
            network = restorer_of(architecture(edsr, decoder, normalization={"mean": mean, "std": 0.25})).float()
            toolbox.save(network, tmp_path / f"{scale}.safetensors")
            expected[f"{scale}.safetensors"] = network(image)
        network = restorer_of(architecture("recurrent", "residual-conv")).float()
        torch.export.save(torch.export.export(network, (image,)), tmp_path / "network.pt2")
        expected["network.pt2"] = network(image)
    runs = [f"{tmp_path / name}|{tmp_path / 'image.safetensors'}|{tmp_path / name}.out" for name in expected]
    script = ROOT / "examples" / "downstream.py"
    subprocess.run([sys.executable, "-c", DOWNSTREAM, script, *runs], check=True, capture_output=True)
    for name, restored in expected.items():
        torch.testing.assert_close(load_file(tmp_path / f"{name}.out")["image"], restored, atol=1e-6, rtol=1e-5)
