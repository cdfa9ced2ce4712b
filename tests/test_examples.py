"""Every script in examples/ runs."""

from __future__ import annotations

import csv
import io
import re
import runpy
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import toolbox
from tests.parts import architecture, restorer_of
from tests.training.runs import write_pictures
from toolbox.cli import app
from toolbox.decoders.implicit import ImplicitDecoder
from toolbox.exporting.export import export
from toolbox.exporting.request import ExportRequest

ROOT = Path(__file__).parents[1]


def test_the_demo_writes_better_pictures(tmp_path: Path) -> None:
    demo = [sys.executable, str(ROOT / "examples" / "demo.py"), "--out", str(tmp_path)]
    printed = subprocess.run(demo, check=True, capture_output=True, text=True).stdout
    for photo in ("camera", "coffee", "chelsea"):
        assert (tmp_path / f"{photo}-before-after.png").stat().st_size > 0
        assert f"{photo}-restored.png" in printed
    scores = [float(word) for word in printed.replace("dB", "").split() if word.replace(".", "").isdigit()]
    gains = [after - before for before, after in zip(scores[::2], scores[1::2], strict=True)]
    assert len(gains) == 3
    assert min(gains) > 0.5


class RunExample(Protocol):
    """What a script of examples/ prints when it runs in an empty folder."""

    def __call__(self, name: str) -> str: ...


@pytest.fixture
def run_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunExample:
    monkeypatch.chdir(tmp_path)

    def run(name: str) -> str:
        capsys.readouterr()
        runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_a_composed_hybrid_learns_and_is_kept(run_example: RunExample, tmp_path: Path) -> None:
    printed = run_example("compose_hybrid")
    found = re.search(r"after \d+ steps: ([\d.]+) dB; bicubic: ([\d.]+) dB", printed)
    assert found is not None
    assert float(found[1]) > float(found[2]) + 0.3
    hybrid = toolbox.load(tmp_path / "out" / "hybrid.safetensors")
    assert (hybrid.spec.encoder.name, hybrid.spec.decoder.name) == ("edsr", "local-ensemble")
    with Image.open(tmp_path / "out" / "hybrid-before-after.png") as picture:
        assert picture.width > picture.height > 800


def test_features_of_a_fixed_network_learn_any_scale(run_example: RunExample, tmp_path: Path) -> None:
    pytest.importorskip("spandrel")
    printed = run_example("spandrel_any_scale")
    found = re.search(r"after 200 steps: ([\d.]+) dB; bilinear: ([\d.]+) dB", printed)
    assert found is not None
    assert float(found[1]) > float(found[2]) + 0.3
    network = toolbox.load(tmp_path / "out" / "compact-any-scale.safetensors")
    assert (network.spec.encoder.name, network.sizes) == ("spandrel", "any")


def test_a_nonlocal_block_changes_nothing_until_it_learns(run_example: RunExample, tmp_path: Path) -> None:
    printed = run_example("nonlocal_in_a_network")
    differences = [float(line.split()[-1]) for line in printed.splitlines() if "largest difference" in line]
    assert len(differences) == 2
    assert max(differences) < 1e-5
    noisy, clean = map(float, re.findall(r"([\d.]+) dB", printed))
    assert clean > noisy + 4
    assert (tmp_path / "out" / "nonlocal.png").stat().st_size > 0


def test_the_zoom_is_an_animation_that_goes_in_and_out_again(run_example: RunExample, tmp_path: Path) -> None:
    run_example("zoom")
    with Image.open(tmp_path / "out" / "zoom.webp") as animation:
        frames = []
        for number in range(getattr(animation, "n_frames", 1)):
            animation.seek(number)
            frames.append(np.asarray(animation.convert("RGB"), dtype=float))
    assert len(frames) == 38
    side = frames[0].shape[0]
    left, right = (np.stack([frame[:, part] for frame in frames]) for part in (slice(0, side), slice(-side, None)))
    sharpness = [np.abs(np.diff(half, axis=2)).mean((1, 2, 3)) for half in (left, right)]
    assert (sharpness[1] > sharpness[0]).all()
    assert sharpness[1][0] > sharpness[1][19]  # a pixel of the farthest frame is a small part of one
    np.testing.assert_allclose(frames[1], frames[-1], atol=40)


def test_hybrids_learn_are_the_same_in_tiles_and_keep_what_is_frozen(run_example: RunExample) -> None:
    printed = run_example("hybrids")
    scores = [float(score) for score in re.findall(r"([\d.]+) dB after 20", printed)]
    assert len(scores) == 6
    assert min(scores) > 20  # the noisy picture has 20.4
    assert max(scores) > 20.6
    assert [float(each) for each in re.findall(r"in tiles ([\d.]+) of 255", printed)] == [
        pytest.approx(0, abs=0.01)
    ] * 6
    assert "encoder: as it was" in printed


def test_scores_are_those_of_the_command(
    run_example: RunExample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = run_example("score")
    shutil.copytree(ROOT / "examples" / "photos", tmp_path / "photos")
    models = ("-m", "bicubic", "-m", "diinn-lite")
    app(["eval", *models, "--data", "photos", "--protocol", "sr-y", "--scale", "2", "--csv"], standalone_mode=False)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    lines = [
        f"{row['picture']} x{float(row['scale']):g} by {row['model']}: {float(row['psnr']):.2f} dB" for row in rows
    ]
    assert sorted(lines) == sorted(line for line in printed.splitlines() if line.endswith(" dB"))
    assert len(lines) == 6
    assert "| diinn-lite |" in (tmp_path / "out" / "scores.md").read_text(encoding="utf-8")
    with Image.open(tmp_path / "out" / "scores.png") as sheet:
        assert sheet.height > sheet.width


def test_noisy_enlarging_compares_one_pass_with_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Image.open(ROOT / "examples" / "photos" / "coffee.png") as photo:
        photo.crop((100, 60, 200, 160)).save(tmp_path / "photo.png")
    monkeypatch.setattr(sys, "argv", ["noisy_enlarging.py", str(tmp_path)])
    runpy.run_path(str(ROOT / "examples" / "noisy_enlarging.py"))["main"]()
    rows = [row.strip("|").split("|") for row in capsys.readouterr().out.splitlines()[2:]]
    scores = {way.strip(): (float(double), float(triple)) for way, double, triple in rows}
    for one, two in zip(scores["`nlrn-diinn-lite`"], scores["`nlrn-lite-blind`, then `bicubic`"], strict=True):
        assert one > two + 0.5


def test_beside_bm3d_scores_both_on_the_same_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path, count=1, side=64)
    main = runpy.run_path(str(ROOT / "examples" / "beside_bm3d.py"))["main"]
    monkeypatch.setattr(sys, "argv", ["beside_bm3d.py", str(tmp_path), "--model", "bicubic"])
    monkeypatch.setitem(sys.modules, "bm3d", SimpleNamespace(bm3d=lambda noisy, sigma: noisy))
    main()
    for row in capsys.readouterr().out.splitlines()[2:]:
        _, unchanged, _, bicubic, _, _ = row.split("|")[1:]
        assert unchanged == bicubic  # of the same size, bicubic changes nothing either

    monkeypatch.setitem(sys.modules, "bm3d", None)
    with pytest.raises(SystemExit, match="pip install bm3d"):
        main()


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
    command = [str(each) for each in ("ablation.py", *folders, "--steps", 2, "--seeds", 2)]
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


def test_the_comparison_of_decoders_goes_on_and_writes_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = runpy.run_path(str(ROOT / "examples" / "decoders" / "compare.py"))["main"]
    every = main.__globals__["DECODERS"]
    implicit = {
        info.name
        for info in toolbox.list_components("decoder")
        if isinstance(info.factory, type) and issubclass(info.factory, ImplicitDecoder)
    }
    assert {decoder["name"] for decoder in every.values()} == implicit

    monkeypatch.setitem(main.__globals__, "SIDE", 24)
    data = write_pictures(tmp_path / "data", side=100)
    kept = write_pictures(tmp_path / "kept", count=1, side=48)
    page = tmp_path / "decoders.md"
    page.write_text(
        "A.\n\n<!-- tables of examples/decoders/compare.py -->\n\nx\n\n<!-- end of tables -->\n\nB.\n", "utf-8"
    )

    def run(*words: object) -> None:
        monkeypatch.setattr(sys, "argv", [str(each) for each in ("compare.py", "--results", tmp_path, *words)])
        main()

    folders = ("--data", data, "--set5", kept, "--kept", kept, "--runs", tmp_path / "runs")
    run("train", *folders, "--steps", 1, "--seeds", 1)
    run("report", "--page", page)
    assert not page.with_suffix(".png").exists()  # without times there is nothing to plot over
    run("time", "--repeats", 1)
    run("report", "--page", page)
    text = page.read_text(encoding="utf-8")
    rows = [row.split(" | ")[0].strip("| ") for row in text.splitlines()]
    assert [row for row in rows if row in every] == 3 * list(every)  # weights and times, and two sets of pictures
    assert rows.count("bicubic") == 2
    assert text.startswith("A.\n\n<!--")
    assert text.endswith("-->\n\nB.\n")
    with Image.open(page.with_suffix(".png")) as plot:
        assert plot.width > plot.height

    scores = (tmp_path / "scores.csv").read_text(encoding="utf-8")
    assert scores.count("\n") == 1 + 11 * 2 * 5
    monkeypatch.setitem(main.__globals__, "train", lambda *_, **__: pytest.fail("trained again"))
    run("train", *folders, "--steps", 1, "--seeds", 1)
    assert (tmp_path / "scores.csv").read_text(encoding="utf-8") == scores


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


def test_the_estimator_of_noise_is_trained(
    run_example: RunExample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolbox.images.inspection import noise

    weights = tmp_path / "noise.safetensors"
    arguments = [str(ROOT / "examples" / "photos"), "-o", str(weights), "--cases", "6", "--steps", "3"]
    monkeypatch.setattr(sys, "argv", ["train_noise.py", *arguments])
    threads = torch.get_num_threads()
    run_example("train_noise")
    torch.set_num_threads(threads)
    shapes = {key: value.shape for key, value in load_file(weights).items()}
    assert shapes == {key: value.shape for key, value in load_file(noise.WEIGHTS).items()}


@pytest.mark.parametrize(("scale", "asked"), [(None, ["--scale", "1.5"]), (2, [])])
def test_a_program_runs_with_onnx_runtime_alone(
    scale: int | None, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    network = restorer_of(architecture("edsr", "dual-interactive", global_skip="bicubic")).float()
    export(network, tmp_path / "net.onnx", ExportRequest(scale, any_size=scale is None))
    pixels = np.random.default_rng(0).integers(0, 256, (300, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    monkeypatch.setattr(sys, "argv", ["onnx_only.py", *(str(tmp_path / name) for name in NAMES), *asked])
    runpy.run_path(str(ROOT / "examples" / "onnx_only.py"), run_name="__main__")
    expected = toolbox.restore(pixels, model=network, scale=scale or 1.5).astype(int)
    with Image.open(tmp_path / "out.png") as restored:
        assert np.abs(np.asarray(restored) - expected).max() <= 1


NAMES = ("net.onnx", "photo.png", "out.png")


def test_the_program_without_toolbox_imports_none_of_it() -> None:
    source = (ROOT / "examples" / "onnx_only.py").read_text(encoding="utf-8")
    imported = re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE)
    third_party = set(imported) - sys.stdlib_module_names
    assert third_party == {"numpy", "onnxruntime", "PIL"}
