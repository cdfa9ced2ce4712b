"""Pictures of any number of channels: raw mosaics and spectra, as arrays, tensors and TIFF files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import toolbox
from tests.parts import restorer_of
from tests.training.runs import recipe_of
from toolbox.choice import Choice
from toolbox.datasets.folders import PICTURES, PicturesConfig
from toolbox.errors import ImageError
from toolbox.images.files.picture import read_pixels
from toolbox.images.files.reading import opened
from toolbox.images.restore_file import Networks, Settings, restore_file
from toolbox.restorer import Restorer
from toolbox.training.loop import train
from toolbox.training.pictures import DataWarning, OpenDatasets, open_pictures


def network(channels: int, **more: Any) -> Restorer:
    encoder = {"name": "edsr", "channels": 4, "blocks": 1}
    spec = {"channels": channels, "encoder": encoder, "decoder": "conv", "global_skip": "bicubic", **more}
    return restorer_of(spec).float()


def pixels(channels: int, dtype: Any = np.uint16, height: int = 12, width: int = 17) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


@pytest.mark.parametrize("channels", [2, 4, 5, 31])
def test_arrays_and_tensors_are_all_the_model_s(channels: int) -> None:
    restorer, image = network(channels), torch.rand(1, channels, 9, 8)
    with torch.no_grad():
        expected = restorer(image).clamp(0, 1)
    torch.testing.assert_close(toolbox.restore(image, restorer), expected)
    array = image[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(toolbox.restore(array, restorer), expected[0].permute(1, 2, 0), atol=1e-6)
    large = torch.rand(1, channels, 300, 9)  # of more than one tile
    with torch.no_grad():
        torch.testing.assert_close(toolbox.restore(large, restorer), restorer(large).clamp(0, 1), atol=1e-5, rtol=0)


def test_of_another_number_the_last_of_two_or_four_is_alpha_as_before() -> None:
    rgba = pixels(4, np.uint8)
    restored = toolbox.restore(rgba, network(3))
    assert np.array_equal(restored[..., 3], rgba[..., 3])
    for channels, model in ((5, 3), (31, 1), (3, 4)):
        with pytest.raises(ImageError, match=rf"got a picture of {channels} channels, expected {model} for this model"):
            toolbox.restore(pixels(channels), network(model))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("channels", "written"),
    [
        (31, {"photometric": "minisblack", "planarconfig": "contig"}),
        (31, {"photometric": "minisblack", "planarconfig": "separate"}),
        (4, {"photometric": "minisblack", "planarconfig": "contig"}),
        (4, {"photometric": "rgb", "extrasamples": ["unspecified"]}),
    ],
)
def test_tiff_files_keep_every_channel(
    channels: int, written: dict[str, Any], dtype: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bands, restorer = pixels(channels, dtype), network(channels)
    planes = bands.transpose(2, 0, 1) if written.get("planarconfig") == "separate" else bands
    tifffile.imwrite(tmp_path / "in.tif", planes, **written)
    assert np.array_equal(read_pixels(tmp_path / "in.tif"), bands)
    toolbox.restore(tmp_path / "in.tif", restorer, output=tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert np.array_equal(file.pages[0].asarray(), toolbox.restore(bands, restorer))
        assert [int(kind) for kind in file.pages[0].aspage().extrasamples] == [0] * (channels - 1)
    toolbox.restore(bands, restorer, output=tmp_path / "array.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "array.tif"), tifffile.imread(tmp_path / "out.tif"))
    assert capsys.readouterr().err == ""


def test_they_are_turned_upright(tmp_path: Path) -> None:
    bands = pixels(5)
    tifffile.imwrite(
        tmp_path / "in.tif", bands, photometric="minisblack", planarconfig="contig", extratags=[(274, "H", 1, 6, True)]
    )
    with opened(tmp_path / "in.tif") as file:
        page = file.page(0)
        assert file.bands(0) == 5
    assert page.bands is not None
    assert np.array_equal(page.bands, np.rot90(bands, -1))


def test_other_formats_do_not_hold_them(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"cannot be written: 31 channels, which PNG does not hold; write TIFF$"):
        toolbox.restore(pixels(31), network(31), output=tmp_path / "out.png")
    assert not list(tmp_path.iterdir())


def test_a_color_model_says_what_it_leaves_out(tmp_path: Path) -> None:
    bands, restorer = pixels(4), network(3)
    tifffile.imwrite(tmp_path / "in.tif", bands, photometric="rgb", extrasamples=["unspecified"])
    report = restore_file(tmp_path / "in.tif", tmp_path / "out.tif", Settings(Networks((restorer,), "rgb")))
    assert report.notes == ("left out channels that are no colors; a model with 4 channels restores all",)
    assert np.array_equal(tifffile.imread(tmp_path / "out.tif"), toolbox.restore(bands[..., :3], restorer))


@pytest.mark.parametrize("channels", [4, 31])
def test_they_are_trained_on_and_scored(channels: int, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number in range(2):
        tifffile.imwrite(data / f"{number}.tif", pixels(channels), photometric="minisblack", planarconfig="contig")
    model = network(channels).spec.model_dump(mode="json")
    validation = {"folder": str(data), "protocol": "denoise-bands"}
    recipe = recipe_of(data, model=model, validation=validation, budget={"steps": 2})
    (tmp_path / "run").mkdir()
    trained = train(recipe, tmp_path / "run", "run")
    assert trained is not None
    (mean,) = toolbox.evaluate(trained.restorer, data, "denoise-bands").means()
    assert mean["psnr"] == pytest.approx(trained.run.state.progress.validation)


def test_training_pictures_of_another_number_of_channels_are_left_out_by_name(tmp_path: Path) -> None:
    Image.fromarray(pixels(3, np.uint8)).save(tmp_path / "color.png")
    tifffile.imwrite(tmp_path / "five.tif", pixels(5), photometric="minisblack", planarconfig="contig")
    datasets = OpenDatasets([Choice(PICTURES, PicturesConfig(folder=tmp_path))], 5)
    with pytest.warns(DataWarning, match=r".*color\.png: got a picture of 3 channels, expected 5"):
        pictures = open_pictures(datasets, 4, 1.0, tmp_path / "cache.bin")
    assert np.array_equal(pictures[0].clean, pixels(5))
