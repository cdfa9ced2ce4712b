"""The picture formats that Toolbox reads and writes, and the contents that each can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from toolbox.errors import ImageError

EVERYTHING = frozenset(("exif", "xmp", "icc", "dpi"))


class CannotHold(Exception):
    """A picture does not fit its format. The caller, who knows the file's name, turns this into an ImageError."""


@dataclass(frozen=True)
class Format:
    """A format, with the contents that its files can hold besides 8-bit gray and RGB."""

    name: str  # Pillow's
    metadata: frozenset[str] = frozenset()
    deep: bool = False  # 16 bits per channel
    alpha: bool = True
    pages: bool = False
    by_rows: bool = False  # whether rows are written as they come
    quality: int | None = None  # the default; None for a format without loss


@dataclass(frozen=True)
class Reader:
    """Another package by which Pillow reads a format."""

    format: str  # Pillow's name
    name: str
    module: str
    register: str | None  # the function that tells Pillow, unless the import does
    extra: str  # of Toolbox, which installs the package
    suffixes: tuple[str, ...]


KNOWN = {
    each.name: each
    for each in (
        Format("PNG", EVERYTHING, deep=True, pages=True),
        Format("TIFF", EVERYTHING, deep=True, pages=True, by_rows=True),
        Format("JPEG", EVERYTHING, alpha=False, quality=95),
        Format("WEBP", frozenset(("exif", "xmp", "icc")), pages=True, quality=95),
        Format("AVIF", frozenset(("exif", "xmp", "icc")), pages=True, quality=90),
        Format("BMP", frozenset(("dpi",)), alpha=False),
        Format("GIF", pages=True),
        Format("PCX", alpha=False),
        Format("PPM", alpha=False),
    )
}
# The formats that Toolbox reads, by Pillow's names. Pillow knows more, and other packages can add some, but those are
# drawings or scientific data, and PostScript would start another program. MPO is read as the JPEG at its start.
READ = (
    *("AVIF", "BMP", "CUR", "DCX", "DDS", "DIB", "FLI", "GIF", "ICNS", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM"),
    *("PSD", "QOI", "SGI", "SUN", "TGA", "TIFF", "WEBP", "XBM", "XPM"),
)
WRITTEN = (
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "ICNS", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "SGI", "TGA"),
    *("TIFF", "WEBP", "XBM"),
)
# Formats that Pillow reads with another package, which is an extra of ours.
READERS = {
    each.format: each
    for each in (
        Reader("HEIF", "HEIC", "pi_heif", "register_heif_opener", "heic", (".heic", ".heif", ".hif")),
        Reader("JXL", "JPEG XL", "pillow_jxl", None, "jxl", (".jxl",)),
    )
}
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
JXL_STARTS = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a")
RAW = "camera RAW"
# Kinds of files that are refused by name: their first bytes, and the name.
REFUSED = {
    b"FUJIFILMCCD-RAW": RAW,
    b"IIRO": RAW,
    b"IIRS": RAW,
    b"MMOR": RAW,
    b"IIU\x00": RAW,
    b"II\x1a\x00\x00\x00HEAPCCDR": RAW,
    b"FOVb": RAW,
    b"\x00MRM": RAW,
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "EPS",
    b"%PDF": "PDF",
    b"\xd7\xcd\xc6\x9a": "WMF",
    b"\x01\x00\x00\x00": "EMF",
    b"SIMPLE  =": "FITS",
    b"\x89HDF": "HDF5",
    b"GRIB": "GRIB",
    b"BUFR": "BUFR",
    b"\x00\x00\x01\xb3": "MPEG",
    b"<svg": "SVG",
}
# Suffixes of the pictures in a data set, for scores and training.
DATA_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
SAME = {"MPO": "JPEG", "JPG": "JPEG", "TIF": "TIFF", "JP2": "JPEG2000"}  # names of one format


def format_named(name: str) -> Format:
    """The format of a name such as ``png`` or ``JPEG``.

    Raises:
        ImageError: nothing of that name can be written.
    """
    Image.init()
    kind = SAME.get(name.upper(), name.upper())
    if kind not in WRITTEN:
        raise ImageError(f"got the format {name!r}, expected one that can be written, such as png, jpeg, tiff or webp")
    return KNOWN.get(kind) or Format(kind)


def format_of(path: Path) -> Format:
    """The format of a path's suffix.

    Raises:
        ImageError: no picture format that can be written has that suffix.
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in (*WRITTEN, "MPO"):
        raise ImageError(f"{path}: no picture format has the suffix {path.suffix!r}; use .png, .jpg, .tif or .webp")
    return format_named(str(kind))


def reader_for(start: bytes) -> Reader | None:
    """The reader for a file that starts so, if Pillow needs one."""
    if start[4:8] == b"ftyp" and start[8:12] in HEIC_BRANDS:
        return READERS["HEIF"]
    return READERS["JXL"] if start.startswith(JXL_STARTS) else None


def refused_name(start: bytes) -> str | None:
    """The name of the kind of a file that starts so, if it is refused by name."""
    if start[4:12] == b"ftypcrx " or (start[:2] in (b"II", b"MM") and start[8:10] == b"CR"):
        return RAW
    return next((name for signature, name in REFUSED.items() if start.startswith(signature)), None)


def suffix_of(kind: Format) -> str:
    """The usual suffix of a format."""
    usual = {"JPEG": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2"}
    suffixes = [suffix for suffix, name in Image.registered_extensions().items() if name == kind.name]
    return usual.get(kind.name) or next(iter(suffixes), f".{kind.name.lower()}")


def readable_suffixes() -> frozenset[str]:
    """The suffixes of files that may be pictures."""
    own = {suffix for suffix, name in Image.registered_extensions().items() if name in (*READ, "MPO")}
    return frozenset(own.union(*(reader.suffixes for reader in READERS.values())))


def check_writable(path: Path) -> None:
    """Refuse an impossible target before any work.

    Raises:
        ImageError: its suffix names no picture format that can be written, or its folder is missing.
    """
    format_of(path)
    try:
        in_folder, is_folder = path.parent.is_dir(), path.is_dir()
    except OSError as error:  # a name that is too long
        raise ImageError(f"{path}: cannot be written: {error.strerror}") from None
    if not in_folder:
        raise ImageError(f"{path}: the folder {path.parent} does not exist; create it first")
    if is_folder:
        raise ImageError(f"{path} is a folder, expected the name of a picture file")
