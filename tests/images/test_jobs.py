"""Which files are restored, and what the results are called."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from toolbox.errors import ImageError, SpecError
from toolbox.images.files.formats import KNOWN, format_named
from toolbox.images.jobs import Output, Source, find_sources, output_of

NAMES = ("b.png", "a.jpg", "c.txt", ".hidden.png", "sub/d.TIF", "sub/deep/e.webp", "out/old.png", ".dark/f.png")


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scans"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    monkeypatch.chdir(tmp_path)
    return folder


def found(*arguments: str, recursive: bool = False, output: str | None = None) -> list[str]:
    out = None if output is None else output_of(output, arguments, None)
    return [str(source) for source in find_sources(arguments, recursive, out).sources]


def test_a_folder_is_its_pictures_in_order(scans: Path) -> None:
    assert found("scans") == ["scans/a.jpg", "scans/b.png"]
    everything = ["scans/a.jpg", "scans/b.png", "scans/out/old.png", "scans/sub/d.TIF", "scans/sub/deep/e.webp"]
    assert found("scans", recursive=True) == everything
    assert found("scans", recursive=True, output="scans/out/") == [name for name in everything if "out" not in name]


def test_patterns_files_and_standard_input_add_up_and_each_comes_once(scans: Path) -> None:
    assert found("scans/*.png", "scans/b.png", "-", "scans") == ["scans/b.png", "standard input", "scans/a.jpg"]
    assert found("scans/**/*.webp") == ["scans/sub/deep/e.webp"]
    assert found(str(scans / "?.png")) == [str(scans / "b.png")]
    assert found("none.png", "*.gif") == ["none.png", "*.gif"]  # to fail one by one


def test_a_name_with_the_signs_of_a_pattern_is_a_name(scans: Path) -> None:
    (scans / "[1].png").touch()
    assert found("scans/[1].png") == ["scans/[1].png"]


def test_a_folder_without_a_picture_is_refused(scans: Path) -> None:
    (scans / "empty").mkdir()
    with pytest.raises(ImageError, match=r"^scans/empty: no picture found; use --recursive to search subfolders$"):
        found("scans/empty")


def test_a_picture_counts_by_its_content_and_the_rest_of_a_folder_is_counted(scans: Path) -> None:
    Image.new("RGB", (4, 3)).save(scans / "holiday.dat", "JPEG")
    (scans / "notes").write_bytes(b"no picture at all")
    (scans / "raw.xyz").write_bytes(b"FUJIFILMCCD-RAW 0201")
    in_folder = find_sources(("scans",), False, None)
    names = [str(source) for source in in_folder.sources]
    assert names == ["scans/a.jpg", "scans/b.png", "scans/holiday.dat", "scans/raw.xyz"]
    assert in_folder.others == 2  # c.txt and notes
    assert find_sources(("scans/notes",), False, None).others == 0  # it was named, and fails


def test_a_name_is_printed_without_control_characters() -> None:
    assert str(Source(Path("a\x1b[31m\nb.png"))) == "a\\x1b[31m\\nb.png"
    assert str(Source(Path(b"caf\xe9 \xc3\xa9.png".decode(errors="surrogateescape")))) == "caf\\xe9 é.png"
    assert str(Source(Path("right\u202egnp.exe"))) == "right\\u202egnp.exe"


def target(output: str, source: str, inside: str = "", kind: str | None = None, several: bool = False) -> str:
    arguments = (source, source) if several else (source,)
    out = output_of(output, arguments, None if kind is None else format_named(kind))
    values = {"scale": "2.5", "width": "30", "height": "20", "model": "bicubic"}
    path, named = out.target(Source(Path(source), Path(inside)), KNOWN["PNG"], values)
    assert named.name in ("PNG", "JPEG", "TIFF", "WEBP")
    return str(path)


def test_results_have_names(scans: Path) -> None:
    assert target("out.jpg", "a/b.png") == "out.jpg"
    assert target("new/", "a/b.png") == "new/b.png"
    assert target("new", "a/b.png", several=True) == "new/b.png"
    assert target("scans", "a/b.png") == "scans/b.png"
    assert target("new/", "a/deep/b.png", inside="deep") == "new/deep/b.png"
    assert target("new/", "a/b.psd") == "new/b.png"
    assert target("new/", "a/b.png", kind="jpg") == "new/b.jpg"
    assert target("new/", "a/b.PNG") == "new/b.PNG"
    assert target("{stem}_x{scale}{suffix}", "a/b.png") == "b_x2.5.png"
    assert target("{folder}/{stem}-{width}x{height}-{model}.tif", "a/b.png") == "a/b-30x20-bicubic.tif"
    assert target("{stem}{suffix}", "a/b.png", kind="webp") == "b.webp"
    assert Output("-", False).is_standard


@pytest.mark.parametrize("pattern", ["{steam}.png", "{}.png", "{stem", "{stem.real}.png", "{0}.png"])
def test_a_pattern_with_a_fault_is_refused(pattern: str) -> None:
    with pytest.raises(SpecError, match=r"expected the fields \{stem\} \{suffix\} \{folder\} \{scale\} \{width\}"):
        output_of(pattern, ("a.png",), None)


def test_several_pictures_are_not_one_file(scans: Path) -> None:
    with pytest.raises(SpecError, match=r"^got several pictures for out\.png, expected a folder such as out/, or a"):
        output_of("out.png", ("a.png", "b.png"), None)
    with pytest.raises(SpecError, match=r"^got several pictures for out\.png"):
        output_of("out.png", ("scans",), None)
    with pytest.raises(SpecError, match=r"^got several pictures for standard output, expected one$"):
        output_of("-", ("scans/*.png",), None)


def test_a_suffix_of_another_format_is_refused() -> None:
    with pytest.raises(ImageError, match=r"^out\.jpg: got the format PNG, which this suffix does not name; drop"):
        target("out.jpg", "a.png", kind="png")
    Image.init()
    with pytest.raises(ImageError, match=r"^b\.xyz: no picture format has the suffix"):
        target("{stem}.xyz", "b.png")
